// Skip-gram training step: dot products, sigmoid and both updates of a window in registers, no gradient ever stored.
// Implements pyembed/reference.py sections 5 and 7, sequential; may differ in the order of summation, and applies the
// updates of a context that stands twice in a window one after the other. PE_ISA names the namespace.
//
// First all step sizes of the window, in tiles of two contexts; then the rows, a register's columns at a time: the
// outputs' columns stay in registers, as they were and as they become, while every context passes by.
#pragma once

namespace pyembed::PE_ISA {

// Step sizes of all contexts with G outputs, into tiles [(C + 1) / 2, kTile], each [2, G].
template <int G>
PE_INLINE void score_contexts(const StepWindow& window, float* const* out_rows, int64_t D, bool with_center,
                              float* tiles, LossLanes& loss) {
  const Float rate = broadcast(window.rate);
  int64_t c = 0;
  for (; c + 2 <= window.context_count; c += 2, tiles += kTile) {
    score_group<2, G>(window.context_rows + c, out_rows, D, with_center, rate, tiles, loss);
    split_exponent(loss);
  }
  if (c < window.context_count) {
    score_group<1, G>(window.context_rows + c, out_rows, D, with_center, rate, tiles, loss);
    split_exponent(loss);
  }
}

// Updates the `Tail ? tail : kWidth` columns from d of G outputs and all contexts. in_before: those columns of the
// contexts as the window found them [C, kWidth], or null where no other outputs have changed them.
template <int G, bool Tail, class InBefore>
PE_INLINE void update_columns(const StepWindow& window, float* const* out_rows, int64_t d, int tail, const float* tiles,
                              InBefore in_before) {
  const auto get = [=](const float* p) { return Tail ? load_first(p, tail) : load(p); };
  const auto put = [=](float* p, Float x) { Tail ? store_first(p, x, tail) : store(p, x); };
  Float out[G], out_changed[G];
  PE_UNROLL
  for (int g = 0; g < G; ++g) out[g] = out_changed[g] = get(out_rows[g] + d);
  const auto update_context = [&](int64_t c, const float* errors) {
    float* const row = window.context_rows[c] + d;
    Float in_changed = get(row), in = in_changed;
    if constexpr (!std::is_null_pointer_v<InBefore>) in = load(in_before + c * kWidth);
    PE_UNROLL
    for (int g = 0; g < G; ++g) {
      const Float error = broadcast(errors[g]);
      in_changed = fma(error, out[g], in_changed);
      out_changed[g] = fma(error, in, out_changed[g]);
    }
    put(row, in_changed);
  };
  int64_t c = 0;
  for (; c + 2 <= window.context_count; c += 2, tiles += kTile) {
    update_context(c, tiles);
    update_context(c + 1, tiles + G);
  }
  if (c < window.context_count) update_context(c, tiles);
  PE_UNROLL
  for (int g = 0; g < G; ++g) put(out_rows[g] + d, out_changed[g]);
}

// Count: int, or a constant of at most kGroup, for which no context's columns need be kept between groups.
template <class Count>
PE_INLINE void skipgram_window(const StepWindow& window, Count N, int64_t D, const StepScratch& scratch,
                               LossLanes& loss) {
  const int64_t C = window.context_count, group_size = (C + 1) / 2 * kTile;
  const auto tiles = [&](int n) { return scratch.errors + n / kGroup * group_size; };
  for_each_group(N, [&](auto group, int n) {
    score_contexts<decltype(group)::value>(window, window.output_rows + n, D, n == 0, tiles(n), loss);
  });
  const auto update = [&](auto is_tail, int64_t d, int tail) {
    constexpr bool Tail = decltype(is_tail)::value;
    window.prefetch.columns(d);
    if constexpr (std::is_same_v<Count, int>) {
      for (int64_t c = 0; c < C; ++c) {
        const float* const row = window.context_rows[c] + d;
        store(scratch.in_before + c * kWidth, Tail ? load_first(row, tail) : load(row));
      }
      const float* const in_before = scratch.in_before;
      for_each_group(N, [&](auto group, int n) {
        update_columns<decltype(group)::value, Tail>(window, window.output_rows + n, d, tail, tiles(n), in_before);
      });
    } else {
      update_columns<Count::value, Tail>(window, window.output_rows, d, tail, tiles(0), nullptr);
    }
  };
  int64_t d = 0;
  for (; d + kWidth <= D; d += kWidth) update(std::false_type{}, d, 0);
  if (d < D) update(std::true_type{}, d, static_cast<int>(D - d));
}

// N: the number of outputs where it is common enough for code of its own, else 0.
template <int N>
LossSum skipgram_range(const TokenBlock& block, const Draws& draws, const Tables<float>& tables,
                       const LearningRate& rate, int64_t begin, int64_t end, void* memory) {
  const StepScratch scratch = carve(draws, tables.dimensions, memory);
  LossLanes loss = no_loss();
  const auto count = output_count<N>(draws);
  const auto step = [&](const StepWindow& window) {
    skipgram_window(window, count, tables.dimensions, scratch, loss);
    return window.context_count;
  };
  return walk_windows(count, block, draws, tables, rate, begin, end, scratch, loss, step);
}

inline LossSum skipgram_step(const TokenBlock& block, const Draws& draws, const Tables<float>& tables,
                             const LearningRate& rate, int64_t begin, int64_t end, void* scratch) {
  const auto range = [&](const auto& kernel) { return kernel(block, draws, tables, rate, begin, end, scratch); };
  switch (1 + draws.negative) {
    case 2:
      return range(skipgram_range<2>);
    case 3:
      return range(skipgram_range<3>);
    case 4:
      return range(skipgram_range<4>);
    case 5:
      return range(skipgram_range<5>);
    case 6:
      return range(skipgram_range<6>);
    default:
      return range(skipgram_range<0>);
  }
}

}  // namespace pyembed::PE_ISA
