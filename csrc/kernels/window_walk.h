// Walks the windows of a range of centers for a SIMD training step: draws ahead, prefetches the rows of the window
// after next, and hands each window to the model. PE_ISA names the namespace.
#pragma once

namespace pyembed::PE_ISA {

// Rows to bring into the cache while a window trains: those that the window kLookAhead later needs first.
struct Prefetch {
  const float* const* rows;  // [1 + N]: of the token that enters the window, of the outputs
  int count;

  // One register's columns of every row; spread over the update loop so that no burst fills the line buffers.
  PE_INLINE void columns(int64_t column) const {
    if (kWidth < 16 && column % 16 != 0) return;  // once a cache line
    for (int i = 0; i < count; ++i) prefetch(rows[i] + column);
  }
};

// 1 + K, as a constant where N > 0 says that it is N.
template <int N>
PE_INLINE auto output_count(const Draws& draws) {
  if constexpr (N > 0) {
    return std::integral_constant<int, N>{};
  } else {
    return 1 + draws.negative;
  }
}

// What a model sees of a window.
struct StepWindow {
  float* const* context_rows;  // [context_count]
  int64_t context_count;       // > 0
  float* const* output_rows;   // [N]
  float rate;
  Prefetch prefetch;
};

// Calls step(window) for windows whose outputs are distinct rows, exact_step(window ids) for the others.
// N: the number of outputs, known at compile time where that pays.
template <class Count, class Step, class ExactStep>
PE_INLINE int64_t walk_windows(Count N, const TokenBlock& block, const Draws& draws, const Tables<float>& tables,
                               const LearningRate& rate, int64_t begin, int64_t end, const StepScratch& scratch,
                               const Step& step, const ExactStep& exact_step) {
  if (begin >= end) return 0;
  int64_t pairs_or_windows = 0;
  SentenceCursor cursor = sentence_of(block, begin);
  for (int64_t first = begin; first < end; first += kDrawAhead) {
    const int64_t last = end - first < kDrawAhead ? end : first + kDrawAhead;
    const int64_t drawn = (block.tokens - last < kLookAhead ? block.tokens : last + kLookAhead) - first;
    const uint64_t position = block.first_position + static_cast<uint64_t>(first);
    draw_radii(draws, position, last - first, scratch.radius);
    draw_outputs(draws, position, drawn, block.ids + first, scratch.lanes, scratch.outputs, scratch.repeated);
    for (int64_t center = first; center < last; ++center) {
      cursor.advance_to(center);
      const int64_t w = center - first;
      const Span span = window_span(cursor, center, scratch.radius[w]);
      const int64_t C = span.contexts();
      if (C == 0) continue;
      const float lr = static_cast<float>(learning_rate(block, rate, center));
      const int32_t* outputs = scratch.outputs + w * N;
      if (scratch.repeated[w]) {
        for (int64_t c = 0; c < C; ++c) scratch.context_ids[c] = block.ids[span.context(c, center)];
        pairs_or_windows += exact_step(ExactWindow<float>{scratch.context_ids, C, outputs, N, -lr});
        continue;
      }
      const int64_t left = center - span.first;
      float** rows = scratch.context_rows;
      for (int64_t c = 0; c < left; ++c) rows[c] = tables.in + block.ids[span.first + c] * tables.in_stride;
      for (int64_t c = left; c < C; ++c) rows[c] = tables.in + block.ids[span.first + c + 1] * tables.in_stride;
      for (int n = 0; n < N; ++n) scratch.output_rows[n] = tables.out + outputs[n] * tables.out_stride;
      const int64_t entering = center + kLookAhead + draws.window;
      const int32_t* ahead = scratch.outputs + (w + kLookAhead < drawn ? w + kLookAhead : w) * N;
      scratch.ahead_rows[0] = tables.in + block.ids[entering < block.tokens ? entering : center] * tables.in_stride;
      for (int n = 0; n < N; ++n) scratch.ahead_rows[1 + n] = tables.out + ahead[n] * tables.out_stride;
      pairs_or_windows += step(StepWindow{rows, C, scratch.output_rows, lr, {scratch.ahead_rows, 1 + N}});
    }
  }
  return pairs_or_windows;
}

}  // namespace pyembed::PE_ISA
