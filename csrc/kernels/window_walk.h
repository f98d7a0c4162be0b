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
    for (int i = 0; i < count; ++i) prefetch_to_write(rows[i] + column);
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

// Calls step(window), which returns its number of pairs or windows, keeps its losses in `loss`, and may count on
// distinct rows of outputs. N: the number of outputs, known at compile time where that pays.
template <class Count, class Step>
PE_INLINE LossSum walk_windows(Count N, const TokenBlock& block, const Draws& draws, const Tables<float>& tables,
                               const LearningRate& rate, int64_t begin, int64_t end, const StepScratch& scratch,
                               LossLanes& loss, const Step& step) {
  if (begin >= end) return {0, 0};
  LossSum sum{0, 0};
  const RepeatedOutputs repeated{scratch.copies, scratch.before, N, tables.dimensions};
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
      float** row = scratch.context_rows;
      for (int64_t token = span.first; token < span.past_last; ++token) {
        *row = tables.in + block.ids[token] * tables.in_stride;
        row += token != center;
      }
      for (int n = 0; n < N; ++n) scratch.output_rows[n] = tables.out + outputs[n] * tables.out_stride;
      const int64_t entering = center + kLookAhead + draws.window;
      const int32_t* ahead = scratch.outputs + (w + kLookAhead < drawn ? w + kLookAhead : w) * N;
      scratch.ahead_rows[0] = tables.in + block.ids[entering < block.tokens ? entering : center] * tables.in_stride;
      for (int n = 0; n < N; ++n) scratch.ahead_rows[1 + n] = tables.out + ahead[n] * tables.out_stride;
      if (scratch.repeated[w]) repeated.redirect(outputs, scratch.output_rows);
      const Prefetch prefetch{scratch.ahead_rows, 1 + N};
      const int64_t pairs = step(StepWindow{scratch.context_rows, C, scratch.output_rows, lr, prefetch});
      if (scratch.repeated[w]) sum.loss -= repeated.merge(outputs, scratch.output_rows) * static_cast<double>(pairs);
      sum.pairs += pairs;
    }
    sum.loss += take_loss(loss);
  }
  return sum;
}

}  // namespace pyembed::PE_ISA
