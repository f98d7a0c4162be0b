// Training steps on batches of windows that train together. Implements pyembed/reference.py section 12 by means of
// batch_vectors.h, batch_tiles.h or batch_dots.h; may differ in the order of summation, and applies the updates of a
// context that stands twice in a batch one after the other. PE_ISA names the namespace.
#pragma once

namespace pyembed::PE_ISA {

// The model skip-gram: every context meets every output, with the weight that the windows give both.
template <class Count, class Element>
class SkipgramBatches {
 public:
  SkipgramBatches(Count N, const BatchWeights<Count>& weights, const BatchScratch& scratch, int64_t D)
      : N_(N), weights_(weights), scratch_(scratch), D_(D) {}

  // Weighs the rows of a batch. Returns its positive pairs.
  PE_INLINE int64_t weigh(const BatchRows<Element>& batch, const int32_t* patterns, Element* nothing) const {
    weights_.fill(patterns, batch.C);
    if (batch.uneven) weights_.merge(batch.output_ids, batch.C, batch.outputs, nothing);
    return batch.pairs;
  }

  template <class Row>
  PE_INLINE void train(const BatchRows<Element>& batch, const WindowRows<Row>& rows, WeightedLoss& loss) const {
    const StepBatch<Count, Element, Row, false> window{
        {batch.coming}, rows.contexts, batch.C, rows.outputs, batch.rate, N_, scratch_.weights};
    train_batch(window, D_, scratch_, loss);
  }

 private:
  const Count N_;
  const BatchWeights<Count>& weights_;
  const BatchScratch& scratch_;
  const int64_t D_;
};

// Trains the batches whose first center is in [begin, end).
template <class Count, class Element, class Model>
PE_INLINE LossSum train_batches(Count N, const TokenBlock& block, const Draws& draws, const Tables<Element>& tables,
                                const LearningRate& rate, int64_t begin, int64_t end, const BatchScratch& scratch,
                                const Model& model) {
  LossSum sum{0, 0};
  if (begin >= end) return sum;
  WeightedLoss loss{zero()};
  BatchRowsOfStep<Element> step_rows(scratch, tables.dimensions);
  BatchWalk<Count, Element> walk(N, block, draws, tables, rate, begin, scratch);
  walk_batches(
      walk, block, draws.sharing, begin, end,
      [&](int64_t first, int64_t last) PE_LAMBDA {
        sum.loss += take_loss(loss);
        step_rows.draw_keys(draws, block.first_position + static_cast<uint64_t>(first), last - first);
      },
      [&](const BatchRows<Element>& batch, int64_t w) PE_LAMBDA {
        sum.pairs += model.weigh(batch, walk.patterns(batch), walk.zeros());
        const WindowRows<Element> lying{batch.contexts, batch.C, batch.outputs, N};
        model.train(batch, step_rows.open(lying, w), loss);
        step_rows.close(lying, w);
      });
  sum.loss += take_loss(loss);
  return sum;
}

// N: the number of outputs where it is common enough for code of its own, else 0.
template <int N, class Element>
LossSum skipgram_batch_range(const TokenBlock& block, const Draws& draws, float negative_weight,
                             const Tables<Element>& tables, const LearningRate& rate, int64_t begin, int64_t end,
                             void* memory) {
  const BatchScratch scratch = carve_batch(draws, tables.dimensions, memory);
  const auto count = batch_outputs<N>(draws);
  const BatchWeights<std::remove_const_t<decltype(count)>> weights(count, draws.sharing, negative_weight, scratch);
  const SkipgramBatches<std::remove_const_t<decltype(count)>, Element> model(
      count, weights, scratch, BatchRowsOfStep<Element>::columns(tables.dimensions));
  return train_batches(count, block, draws, tables, rate, begin, end, scratch, model);
}

template <class Element>
LossSum skipgram_batch_step(const TokenBlock& block, const Draws& draws, float negative_weight,
                            const Tables<Element>& tables, const LearningRate& rate, int64_t begin, int64_t end,
                            void* memory) {
  const bool usual = draws.sharing + draws.negative == kUsualOutputs;
  const auto range = usual ? skipgram_batch_range<kUsualOutputs, Element> : skipgram_batch_range<0, Element>;
  return range(block, draws, negative_weight, tables, rate, begin, end, memory);
}

}  // namespace pyembed::PE_ISA
