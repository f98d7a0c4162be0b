// Skip-gram training step: dot products, sigmoid and both updates of a window in registers, no gradient ever stored.
// Implements pyembed/reference.py sections 5 and 7, sequential; may differ in the order of summation, and applies the
// updates of a context that stands twice in a window one after the other. PE_ISA names the namespace.
//
// First all step sizes of the window, a tile of contexts at a time; then the rows, a few columns at a time: the
// outputs' columns stay in registers, as they were and as they become, while every context passes by.
#pragma once

namespace pyembed::PE_ISA {

// Contexts scored together with G outputs.
template <int G>
constexpr int kTileWith = G > kGroup ? kTileContexts * kGroup / G : kTileContexts;

// Calls f(constant B, c, number of the tile) for tiles of B contexts from number c on, as G outputs allow.
template <int G, class F>
PE_INLINE void for_each_tile(int64_t contexts, const F& f) {
  constexpr int kTile = kTileWith<G>;
  int64_t c = 0, tile = 0;
  for (; c + kTile <= contexts; c += kTile) f(std::integral_constant<int, kTile>{}, c, tile++);
  switch (contexts - c) {
    case 1:
      return f(std::integral_constant<int, 1>{}, c, tile);
    case 2:
      return f(std::integral_constant<int, 2>{}, c, tile);
    case 3:
      return f(std::integral_constant<int, 3>{}, c, tile);
    default:
      return;
  }
}

// Step sizes of all contexts with G outputs from number n on, into errors [C, G].
template <int G, class Window, class Loss>
PE_INLINE void score_contexts(const Window& window, int n, int64_t D, float* errors, Loss& loss) {
  const auto labels = window.labels(n);
  for_each_tile<G>(window.context_count, [&](auto contexts, int64_t c, int64_t tile) PE_LAMBDA {
    score_group<decltype(contexts)::value, G>(window.context_rows + c, window.output_rows + n, D,
                                              of_contexts<G>(labels, c), window.rate, errors + c * G, loss,
                                              [&](int64_t d) PE_LAMBDA { window.prefetch.while_scoring(d, n, tile); });
  });
}

// Updates the columns from d of G outputs and all contexts: M registers, or where Tail the first `tail` of one.
// in_before: those columns of the contexts as the window found them [C, M * kWidth], or null where no other outputs
// have changed them.
template <int G, int M, bool Tail, class Window, class InBefore>
PE_INLINE void update_columns(const Window& window, float* const* out_rows, int64_t d, int tail, const float* errors,
                              InBefore in_before) {
  const auto get = [=](const float* p) PE_LAMBDA { return Tail ? load_first(p, tail) : load(p); };
  const auto put = [=](float* p, Float x) PE_LAMBDA { Tail ? store_first(p, x, tail) : store(p, x); };
  Float out[G * M], out_changed[G * M];
  unrolled<G * M>([&](auto i) PE_LAMBDA { out[i] = out_changed[i] = get(out_rows[i / M] + d + i % M * kWidth); });
  for (int64_t c = 0; c < window.context_count; ++c, errors += G) {
    float* const row = window.context_rows[c] + d;
    Float in[M], in_changed[M];
    unrolled<M>([&](auto m) PE_LAMBDA {
      in[m] = in_changed[m] = get(row + m * kWidth);
      if constexpr (!std::is_null_pointer_v<InBefore>) {
        in[m] = load(in_before + (c * M + m) * kWidth);
      } else if constexpr (Window::kGradients) {
        in_changed[m] = zero();
      }
    });
    Float also[M];  // of every second output, where there are so many that one sum would wait for itself
    unrolled<M>([&](auto m) PE_LAMBDA { also[m] = zero(); });
    unrolled<G>([&](auto g) PE_LAMBDA {
      const Float error = broadcast(errors[g]);
      unrolled<M>([&](auto m) PE_LAMBDA {
        Float& sum = G > kGroup && g % 2 ? also[m] : in_changed[m];
        sum = fma(error, out[g * M + m], sum);
        out_changed[g * M + m] = fma(error, in[m], out_changed[g * M + m]);
      });
    });
    unrolled<M>([&](auto m) PE_LAMBDA { put(row + m * kWidth, G > kGroup ? in_changed[m] + also[m] : in_changed[m]); });
  }
  unrolled<G * M>([&](auto i) PE_LAMBDA { put(out_rows[i / M] + d + i % M * kWidth, out_changed[i]); });
}

// Registers of columns updated together with so many outputs.
template <class Count>
constexpr int kRegistersWith = kUpdateRegisters;
template <int N>
constexpr int kRegistersWith<std::integral_constant<int, N>> = N > kGroup ? 1 : kUpdateRegisters;

// Updates all columns of all contexts and outputs. errors: group by group [C, G].
template <int M, class Window>
PE_INLINE void update_window(const Window& window, int64_t D, float* errors, float* in_before) {
  using Count = std::remove_cv_t<decltype(Window::N)>;
  const int64_t C = window.context_count;
  for_each_columns<M>(D, [&](auto registers, auto is_tail, int64_t d, int tail) PE_LAMBDA {
    constexpr int R = decltype(registers)::value;
    constexpr bool Tail = decltype(is_tail)::value;
    for (int m = 0; m < R; ++m) window.prefetch.while_updating(d + m * kWidth);
    if constexpr (std::is_same_v<Count, int>) {
      for (int64_t c = 0; c < C; ++c) {
        for (int m = 0; m < R; ++m) {
          float* const row = window.context_rows[c] + d + m * kWidth;
          store(in_before + (c * R + m) * kWidth, Tail ? load_first(row, tail) : load(row));
          if constexpr (Window::kGradients) Tail ? store_first(row, zero(), tail) : store(row, zero());
        }
      }
      const float* const before = in_before;
      for_each_group(window.N, [&](auto group, int n) PE_LAMBDA {
        update_columns<decltype(group)::value, R, Tail>(window, window.output_rows + n, d, tail, errors + n * C,
                                                        before);
      });
    } else {
      update_columns<Count::value, R, Tail>(window, window.output_rows, d, tail, errors, nullptr);
    }
  });
}

// N: int, or a constant of at most kLargestGroup, for which no context's columns need be kept between groups.
template <class Window>
PE_INLINE void skipgram_window(const Window& window, int64_t D, const StepScratch& scratch, LossLanes& loss) {
  using Count = std::remove_cv_t<decltype(Window::N)>;
  for_each_group(window.N, [&](auto group, int n) PE_LAMBDA {
    constexpr int G = decltype(group)::value;
    score_contexts<G>(window, n, D, scratch.errors + n * window.context_count, loss);
  });
  update_window<kRegistersWith<Count>>(window, D, scratch.errors, scratch.in_before);
}

// Walks the windows, or the pairs where they have negatives of their own. A function each: in one, the registers would
// not do for the constants of both. N: the number of outputs where it is common enough for code of its own, else 0.
template <int N, class Element, bool OwnNegatives>
LossSum skipgram_range(const TokenBlock& block, const Draws& draws, const Tables<Element>& tables,
                       const LearningRate& rate, int64_t begin, int64_t end, void* memory) {
  const StepScratch scratch = carve(draws, tables.dimensions, memory);
  LossLanes loss = no_loss();
  const auto count = output_count<N>(draws);
  const auto step = [&](const auto& window) PE_LAMBDA {
    skipgram_window(window, step_columns(tables), scratch, loss);
    return window.context_count;
  };
  if constexpr (OwnNegatives) {
    return walk_pairs(count, block, draws, tables, rate, begin, end, scratch, loss, step);
  } else {
    return walk_windows(count, block, draws, tables, rate, begin, end, scratch, loss, step);
  }
}

template <class Element>
LossSum skipgram_step(const TokenBlock& block, const Draws& draws, const Tables<Element>& tables,
                      const LearningRate& rate, int64_t begin, int64_t end, void* scratch) {
  const auto range = [&](const auto& kernel) { return kernel(block, draws, tables, rate, begin, end, scratch); };
  const bool usual = draws.negative == 5;
  if constexpr (std::is_same_v<Element, float>) {
    if (draws.sharing == kPerPair) {
      return usual ? range(skipgram_range<6, Element, true>) : range(skipgram_range<0, Element, true>);
    }
  }
  return usual ? range(skipgram_range<6, Element, false>) : range(skipgram_range<0, Element, false>);
}

}  // namespace pyembed::PE_ISA
