// CBOW training step: sum, dot products, sigmoid and both updates of a window in one pass over its rows.
// Implements pyembed/reference.py sections 6 and 7, sequential; may differ in the order of summation.
// PE_ISA names the namespace.
#pragma once

namespace pyembed::PE_ISA {

// The hidden vector's columns from d, the contexts' sum times share: M registers, or where Tail the first `tail` of
// one.
template <int M, bool Tail, class Window>
PE_INLINE void sum_contexts(const Window& window, int64_t d, int tail, float share, float* hidden) {
  Float sum[M];
  unrolled<M>([&](auto m) PE_LAMBDA {
    window.prefetch.while_scoring(d + m * kWidth);
    sum[m] = zero();
  });
  for (int64_t c = 0; c < window.context_count; ++c) {
    const float* const in = window.context_rows[c] + d;
    unrolled<M>([&](auto m) PE_LAMBDA { sum[m] = sum[m] + (Tail ? load_first(in, tail) : load(in + m * kWidth)); });
  }
  unrolled<M>([&](auto m) PE_LAMBDA { store(hidden + d + m * kWidth, sum[m] * broadcast(share)); });
}

// Updates those columns of all outputs and contexts.
template <int M, bool Tail, class Window>
PE_INLINE void cbow_update_columns(const Window& window, int64_t d, int tail, float context_share,
                                   const float* hidden_vector, const float* errors) {
  const auto get = [=](const float* p) PE_LAMBDA { return Tail ? load_first(p, tail) : load(p); };
  const auto put = [=](float* p, Float x) PE_LAMBDA { Tail ? store_first(p, x, tail) : store(p, x); };
  Float hidden[M], change[M];
  unrolled<M>([&](auto m) PE_LAMBDA {
    window.prefetch.while_updating(d + m * kWidth);
    hidden[m] = in_register(load(hidden_vector + d + m * kWidth));
    change[m] = zero();
  });
  for (int n = 0; n < window.N; ++n) {
    float* const out = window.output_rows[n] + d;
    const Float error = in_register(broadcast(errors[n]));
    unrolled<M>([&](auto m) PE_LAMBDA {
      const Float before = in_register(get(out + m * kWidth));
      change[m] = fma(error, before, change[m]);
      put(out + m * kWidth, fma(error, hidden[m], before));
    });
  }
  unrolled<M>([&](auto m) PE_LAMBDA { change[m] = change[m] * broadcast(context_share); });
  for (int64_t c = 0; c < window.context_count; ++c) {
    float* const in = window.context_rows[c] + d;
    unrolled<M>([&](auto m) PE_LAMBDA { put(in + m * kWidth, get(in + m * kWidth) + change[m]); });
  }
}

template <class Window>
PE_INLINE void cbow_window(const Window& window, const CbowOptions& options, int64_t D, const StepScratch& scratch,
                           LossLanes& loss) {
  const float share = options.mean ? 1.0f / static_cast<float>(window.context_count) : 1.0f;
  const float context_share = options.mean && options.exact_gradient ? share : 1.0f;
  for_each_columns(D, [&](auto registers, auto is_tail, int64_t d, int tail) PE_LAMBDA {
    sum_contexts<decltype(registers)::value, decltype(is_tail)::value>(window, d, tail, share, scratch.hidden);
  });
  float* const hidden_row[1] = {scratch.hidden};
  for_each_group(window.N, [&](auto group, int n) PE_LAMBDA {
    constexpr int G = decltype(group)::value;
    score_group<1, G>(hidden_row, window.output_rows + n, D, window.labels(n), window.rate, scratch.errors + n, loss,
                      [](int64_t) PE_LAMBDA {});
  });
  for_each_columns(D, [&](auto registers, auto is_tail, int64_t d, int tail) PE_LAMBDA {
    cbow_update_columns<decltype(registers)::value, decltype(is_tail)::value>(window, d, tail, context_share,
                                                                              scratch.hidden, scratch.errors);
  });
}

// N: the number of outputs where it is common enough for code of its own, else 0.
template <int N, class Element>
LossSum cbow_range(const TokenBlock& block, const Draws& draws, const CbowOptions& options,
                   const Tables<Element>& tables, const LearningRate& rate, int64_t begin, int64_t end, void* memory) {
  const StepScratch scratch = carve(draws, tables.dimensions, memory);
  LossLanes loss = no_loss();
  const auto count = output_count<N>(draws);
  const auto step = [&](const auto& window) PE_LAMBDA {
    cbow_window(window, options, step_columns(tables), scratch, loss);
    return int64_t{1};
  };
  return walk_windows(count, block, draws, tables, rate, begin, end, scratch, loss, step);
}

template <class Element>
LossSum cbow_step(const TokenBlock& block, const Draws& draws, const CbowOptions& options,
                  const Tables<Element>& tables, const LearningRate& rate, int64_t begin, int64_t end, void* memory) {
  const auto range = [&](const auto& kernel) {
    return kernel(block, draws, options, tables, rate, begin, end, memory);
  };
  return draws.negative == 5 ? range(cbow_range<6, Element>) : range(cbow_range<0, Element>);
}

}  // namespace pyembed::PE_ISA
