// CBOW training step: sum, dot products, sigmoid and both updates of a window in one pass over its rows.
// Implements pyembed/reference.py sections 6 and 7, sequential; may differ in the order of summation.
// PE_ISA names the namespace.
#pragma once

namespace pyembed::PE_ISA {

// Columns d .. of a window: the hidden vector is the contexts' sum times share.
template <bool Tail, class Window>
PE_INLINE void sum_contexts(const Window& window, int64_t d, int tail, float share, float* hidden) {
  Float sum = zero();
  for (int64_t c = 0; c < window.context_count; ++c) {
    const float* in = window.context_rows[c] + d;
    sum = sum + (Tail ? load_first(in, tail) : load(in));
  }
  store(hidden + d, sum * broadcast(share));
}

template <bool Tail, class Window>
PE_INLINE void cbow_update_columns(const Window& window, int N, int64_t d, int tail, float context_share,
                                   const float* hidden_vector, const float* errors) {
  const auto get = [=](const float* p) { return Tail ? load_first(p, tail) : load(p); };
  const auto put = [=](float* p, Float x) { Tail ? store_first(p, x, tail) : store(p, x); };
  const Float hidden = load(hidden_vector + d);
  Float change = zero();
  for (int n = 0; n < N; ++n) {
    float* out = window.output_rows[n] + d;
    const Float error = broadcast(errors[n]), before = get(out);
    change = fma(error, before, change);
    put(out, fma(error, hidden, before));
  }
  change = change * broadcast(context_share);
  for (int64_t c = 0; c < window.context_count; ++c) {
    float* in = window.context_rows[c] + d;
    put(in, get(in) + change);
  }
}

template <class Window>
PE_INLINE void cbow_window(const Window& window, int N, const CbowOptions& options, int64_t D,
                           const StepScratch& scratch, LossLanes& loss) {
  const float share = options.mean ? 1.0f / static_cast<float>(window.context_count) : 1.0f;
  const float context_share = options.mean && options.exact_gradient ? share : 1.0f;
  const int tail = static_cast<int>(D % kWidth);
  int64_t d = 0;
  for (; d + kWidth <= D; d += kWidth) sum_contexts<false>(window, d, 0, share, scratch.hidden);
  if (tail) sum_contexts<true>(window, d, tail, share, scratch.hidden);

  float* const hidden_row[1] = {scratch.hidden};
  for_each_group(N, [&](auto group, int n) {
    constexpr int G = decltype(group)::value;
    score_group<1, G>(hidden_row, window.output_rows + n, D, n == 0, window.rate, scratch.errors + n, loss,
                      [](int64_t) PE_LAMBDA {});
  });

  for (d = 0; d + kWidth <= D; d += kWidth) {
    window.prefetch.while_scoring(d);
    window.prefetch.while_updating(d);
    cbow_update_columns<false>(window, N, d, 0, context_share, scratch.hidden, scratch.errors);
  }
  if (tail) {
    window.prefetch.while_scoring(d);
    window.prefetch.while_updating(d);
    cbow_update_columns<true>(window, N, d, tail, context_share, scratch.hidden, scratch.errors);
  }
}

// N: the number of outputs where it is common enough for code of its own, else 0.
template <int N>
LossSum cbow_range(const TokenBlock& block, const Draws& draws, const CbowOptions& options, const Tables<float>& tables,
                   const LearningRate& rate, int64_t begin, int64_t end, void* memory) {
  const StepScratch scratch = carve(draws, tables.dimensions, memory);
  LossLanes loss = no_loss();
  const auto count = output_count<N>(draws);
  const auto step = [&](const auto& window) PE_LAMBDA {
    cbow_window(window, count, options, tables.dimensions, scratch, loss);
    return int64_t{1};
  };
  return walk_windows(count, block, draws, tables, rate, begin, end, scratch, loss, step);
}

inline LossSum cbow_step(const TokenBlock& block, const Draws& draws, const CbowOptions& options,
                         const Tables<float>& tables, const LearningRate& rate, int64_t begin, int64_t end,
                         void* memory) {
  const auto range = [&](const auto& kernel) {
    return kernel(block, draws, options, tables, rate, begin, end, memory);
  };
  return draws.negative == 5 ? range(cbow_range<6>) : range(cbow_range<0>);
}

}  // namespace pyembed::PE_ISA
