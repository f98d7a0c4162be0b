// Training steps on batches of windows that train together. Implements pyembed/reference.py section 12 by means of
// batch_vectors.h or batch_tiles.h; may differ in the order of summation, and applies the updates of a context that
// stands twice in a batch one after the other. PE_ISA names the namespace.
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

// The model CBOW: the windows' hidden vectors stand for contexts, each of which meets its own center and the negatives.
template <class Count, class Element>
class CbowBatches {
 public:
  CbowBatches(Count N, int windows, const CbowOptions& options, const BatchWeights<Count>& weights,
              const BatchScratch& scratch, int64_t D)
      : N_(N), P_(windows), options_(options), weights_(weights), scratch_(scratch), D_(D) {
    for (int p = 0; p < P_; ++p) scratch_.hidden_rows[p] = scratch_.hidden + p * scratch_.hidden_stride;
  }

  PE_INLINE int64_t weigh(const BatchRows<Element>& batch, const int32_t* patterns, Element* nothing) const {
    float share[kMostWindows + kWidest] = {}, gradient_share[kMostWindows + kWidest] = {};
    int32_t meets[kMostWindows] = {};
    int64_t pairs = 0;
    for (int64_t i = 0; i < batch.past_last - batch.first; ++i) {
      const int64_t contexts = batch.spans[i].contexts(), p = batch.first_window + i;
      if (contexts == 0) continue;
      share[p] = options_.mean ? 1.0f / static_cast<float>(contexts) : 1.0f;
      gradient_share[p] = options_.exact_gradient ? share[p] : 1.0f;
      meets[p] = 1 << p;
      ++pairs;
    }
    const Float all = load(share), all_gradient = load(gradient_share);
    for (int64_t c = 0; c < batch.C; ++c) {  // whole registers: what they write beyond P is written over, or never read
      const float* const inside = weights_.of(patterns[c]);
      for (int p = 0; p < P_; p += kWidth) {
        const Float here = load(inside + p);
        store(scratch_.shares + c * P_ + p, here * (p == 0 ? all : load(share + p)));
        store(scratch_.gradient_shares + c * P_ + p, here * (p == 0 ? all_gradient : load(gradient_share + p)));
      }
    }
    weights_.fill(meets, P_);
    if (batch.uneven) weights_.merge(batch.output_ids, P_, batch.outputs, nothing);
    return pairs;
  }

  PE_INLINE void train(const BatchRows<Element>& batch, const WindowRows<float>& rows, WeightedLoss& loss) const {
    const int64_t third = batch.coming.count / 3;
    const auto coming = [&](int64_t from, int64_t to) { return batch.coming.part(from, to); };
    for_each_few_windows([&](auto few, int p)
                             PE_LAMBDA { sum_contexts<decltype(few)::value>(rows, p, coming(0, p == 0 ? third : 0)); });
    const StepBatch<Count, Element, float, true> window{
        {coming(third, 2 * third)}, scratch_.hidden_rows, P_, rows.outputs, batch.rate, N_, scratch_.weights};
    train_batch(window, D_, scratch_, loss);
    for_each_few_windows([&](auto few, int p) PE_LAMBDA {
      add_gradients<decltype(few)::value>(rows, p, coming(p == 0 ? 2 * third : batch.coming.count, batch.coming.count));
    });
  }

 private:
  static constexpr int kFew = 4;

  // Calls f(constant kFew or 1, first window) until all windows have passed by.
  template <class F>
  PE_INLINE void for_each_few_windows(const F& f) const {
    int p = 0;
    for (; p + kFew <= P_; p += kFew) f(std::integral_constant<int, kFew>{}, p);
    for (; p < P_; ++p) f(std::integral_constant<int, 1>{}, p);
  }

  // The hidden vectors of F windows from number p on.
  template <int F>
  PE_INLINE void sum_contexts(const WindowRows<float>& rows, int p, const ComingRows<Element>& coming) const {
    for_each_columns(D_, [&](auto registers, auto is_tail, int64_t d, int tail) PE_LAMBDA {
      constexpr int M = decltype(registers)::value;
      constexpr bool Tail = decltype(is_tail)::value;
      for (int m = 0; m < M; ++m) coming.while_updating(d + m * kWidth);
      Float sums[F * M];
      unrolled<F * M>([&](auto i) PE_LAMBDA { sums[i] = zero(); });
      const float* shares = scratch_.shares + p;
      for (int64_t c = 0; c < rows.context_count; ++c, shares += P_) {
        const float* const row = rows.contexts[c] + d;
        unrolled<M>([&](auto m) PE_LAMBDA {
          const Float in = in_register(Tail ? load_first(row, tail) : load(row + m * kWidth));
          unrolled<F>([&](auto f) PE_LAMBDA { sums[f * M + m] = fma(broadcast(shares[f]), in, sums[f * M + m]); });
        });
      }
      unrolled<F>([&](auto f) PE_LAMBDA {
        unrolled<M>([&](auto m) PE_LAMBDA { store(scratch_.hidden_rows[p + f] + d + m * kWidth, sums[f * M + m]); });
      });
    });
  }

  // Adds their gradients, which have taken their place, to the contexts.
  template <int F>
  PE_INLINE void add_gradients(const WindowRows<float>& rows, int p, const ComingRows<Element>& coming) const {
    for_each_columns(D_, [&](auto registers, auto is_tail, int64_t d, int tail) PE_LAMBDA {
      constexpr int M = decltype(registers)::value;
      constexpr bool Tail = decltype(is_tail)::value;
      for (int m = 0; m < M; ++m) coming.while_updating(d + m * kWidth);
      Float gradients[F * M];
      unrolled<F * M>([&](auto i)
                          PE_LAMBDA { gradients[i] = load(scratch_.hidden_rows[p + i / M] + d + i % M * kWidth); });
      const float* shares = scratch_.gradient_shares + p;
      for (int64_t c = 0; c < rows.context_count; ++c, shares += P_) {
        float* const row = rows.contexts[c] + d;
        unrolled<M>([&](auto m) PE_LAMBDA {
          Float in = Tail ? load_first(row, tail) : load(row + m * kWidth);
          unrolled<F>([&](auto f) PE_LAMBDA { in = fma(broadcast(shares[f]), gradients[f * M + m], in); });
          Tail ? store_first(row, in, tail) : store(row + m * kWidth, in);
        });
      }
    });
  }

  const Count N_;
  const int P_;
  const CbowOptions& options_;
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

template <int N, class Element>
LossSum cbow_batch_range(const TokenBlock& block, const Draws& draws, float negative_weight, const CbowOptions& options,
                         const Tables<Element>& tables, const LearningRate& rate, int64_t begin, int64_t end,
                         void* memory) {
  const BatchScratch scratch = carve_batch(draws, tables.dimensions, memory);
  const auto count = batch_outputs<N>(draws);
  const BatchWeights<std::remove_const_t<decltype(count)>> weights(count, draws.sharing, negative_weight, scratch);
  const CbowBatches<std::remove_const_t<decltype(count)>, Element> model(
      count, draws.sharing, options, weights, scratch, BatchRowsOfStep<Element>::columns(tables.dimensions));
  return train_batches(count, block, draws, tables, rate, begin, end, scratch, model);
}

template <class Element>
LossSum cbow_batch_step(const TokenBlock& block, const Draws& draws, float negative_weight, const CbowOptions& options,
                        const Tables<Element>& tables, const LearningRate& rate, int64_t begin, int64_t end,
                        void* memory) {
  const bool usual = draws.sharing + draws.negative == kUsualOutputs;
  const auto range = usual ? cbow_batch_range<kUsualOutputs, Element> : cbow_batch_range<0, Element>;
  return range(block, draws, negative_weight, options, tables, rate, begin, end, memory);
}

}  // namespace pyembed::PE_ISA
