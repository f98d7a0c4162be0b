// Training steps of CBOW on batches of windows that train together, by means of cbow_vectors.h or cbow_dots.h;
// otherwise as batch_steps.h. PE_ISA names the namespace.
#pragma once

namespace pyembed::PE_ISA {

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
