// The step of a batch in vector registers, all of it float32, by means of skipgram_simd.h. Spec: pyembed/reference.py
// section 12. PE_ISA names the namespace.
#pragma once

namespace pyembed::PE_ISA {

// A batch's rows, as those of a window.
template <class Element>
class BatchRowsOfStep : public StepRows<Element> {
 public:
  using Row = float;

  BatchRowsOfStep(const BatchScratch& scratch, int64_t D) : StepRows<Element>(scratch.step, D) {}
  static int64_t columns(int64_t D) { return step_columns<Element>(D); }

  PE_INLINE WindowRows<float> open(const WindowRows<Element>& rows, int64_t) { return StepRows<Element>::open(rows); }
};

// 4 windows and 8 negatives, the default: one group, where the registers do for it. 0: they do not.
constexpr int kUsualOutputs = kLargestGroup >= 12 ? 12 : 0;

template <int N>
PE_INLINE auto batch_outputs(const Draws& draws) {
  if constexpr (N > 0) {
    return std::integral_constant<int, N>{};
  } else {
    return draws.sharing + draws.negative;
  }
}

// Step sizes of all contexts with G outputs, a multiple of 4, into scratch.errors [C, G]. First the dot products, then
// the sigmoids of whole registers of them: those of a tile leave registers half empty, and each waits for its own.
template <int G, class Window>
PE_INLINE void score_batch(const Window& batch, int64_t D, const BatchScratch& scratch, WeightedLoss& loss) {
  static_assert(G % 4 == 0);
  for_each_tile<G>(batch.context_count, [&](auto contexts, int64_t c, int64_t tile) PE_LAMBDA {
    constexpr int B = decltype(contexts)::value;
    Float dots[B * G];
    dot_group<B, G>(batch.context_rows + c, batch.output_rows, D, dots,
                    [&](int64_t d) PE_LAMBDA { batch.prefetch.while_scoring(d, 0, tile); });
    float* const quads = scratch.quads + c * G * (kWidth / 4);
    unrolled<B * G / 4>([&](auto q) PE_LAMBDA {
      store(quads + q * kWidth, sum_quads(dots[4 * q], dots[4 * q + 1], dots[4 * q + 2], dots[4 * q + 3]));
    });
  });
  const int64_t scores = batch.context_count * G;
  for (int i = 0; i < kWidth / 4; ++i) store(scratch.quads + (scores / 4 + i) * kWidth, zero());
  store(scratch.weights + scores, zero());
  const Float rate = broadcast(batch.rate);
  for (int64_t i = 0; i < scores; i += kWidth) {
    Float quads[kWidth / 4];
    unrolled<kWidth / 4>([&](auto q) PE_LAMBDA { quads[q] = load(scratch.quads + (i / 4 + q) * kWidth); });
    store(scratch.step.errors + i,
          weighted_step_sizes<kWidth>(join_quads(quads), load(scratch.weights + i), rate, loss));
  }
}

template <class Window>
PE_INLINE void train_batch(const Window& batch, int64_t D, const BatchScratch& scratch, WeightedLoss& loss) {
  using Count = std::remove_cv_t<decltype(Window::N)>;
  for_each_group(batch.N, [&](auto group, int n) PE_LAMBDA {
    constexpr int G = decltype(group)::value;
    if constexpr (G > kGroup) {
      score_batch<G>(batch, D, scratch, loss);
    } else {
      score_contexts<G>(batch, n, D, scratch.step.errors + n * batch.context_count, loss);
    }
  });
  update_window<kRegistersWith<Count>>(batch, D, scratch.step.errors, scratch.step.in_before);
}

}  // namespace pyembed::PE_ISA
