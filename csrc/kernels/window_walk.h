// Walks the windows of a range of centers for a SIMD training step: draws ahead, finds the rows, and hands each window
// to the model with what is to be prefetched meanwhile. PE_ISA names the namespace.
#pragma once

namespace pyembed::PE_ISA {

// Rows to bring into the cache while a window trains: those that the window kLookAhead later needs first. Spread over
// all of the window's work, for the processor can wait for a few lines at a time only, and stalls when there are more.
// To write: a plain prefetch is as good on one thread, but with several the rows' lines must then be asked for twice.
template <class Count, class Element = float>
struct Prefetch {
  const Element* entering;      // the token that enters the window
  Element* const* output_rows;  // [N]
  Count N;

  // Columns of the rows that scoring brings in, and of those that the update does.
  PE_INLINE void while_scoring(int64_t column) const {
    if (column % kLineColumns != 0) return;
    prefetch_to_write(entering + column);
    for (int n = 0; n < N / 3; ++n) prefetch_to_write(output_rows[n] + column);
  }
  PE_INLINE void while_updating(int64_t column) const {
    if (column % kLineColumns != 0) return;
    for (int n = N / 3; n < N; ++n) prefetch_to_write(output_rows[n] + column);
  }

  static constexpr int64_t kLineColumns = 64 / sizeof(Element);
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

// What a model sees of a window. Count: int, or a constant.
template <class Count, class Element = float>
struct StepWindow {
  float* const* context_rows;  // [context_count]
  int64_t context_count;       // > 0
  float* const* output_rows;   // [N]
  float rate;
  Count N;
  Prefetch<Count, Element> prefetch;
};

// Copies whole runs of pointers, at least count.
template <class Element>
PE_INLINE void copy_runs(Element* const* from, int64_t count, Element** to) {
  for (int64_t i = 0; i < count; i += kRun) __builtin_memcpy(to + i, from + i, kRun * sizeof(Element*));
}

// Calls step(window), which returns its number of pairs or windows, keeps its losses in `loss`, and may count on
// distinct rows of outputs. N: the number of outputs, known at compile time where that pays.
template <class Count, class Element, class Step>
PE_INLINE LossSum walk_windows(Count N, const TokenBlock& block, const Draws& draws, const Tables<Element>& tables,
                               const LearningRate& rate, int64_t begin, int64_t end, const StepScratch& scratch,
                               LossLanes& loss, const Step& step) {
  if (begin >= end) return {0, 0};
  LossSum sum{0, 0};
  const RepeatedOutputs repeated{scratch.copies, scratch.before, N, step_columns(tables)};
  StepRows<Element> step_rows(scratch, N, tables.dimensions);
  const auto pointers = [](float** memory) { return reinterpret_cast<Element**>(memory); };  // to either type
  Element **const context_rows = pointers(scratch.context_rows), **const drawn_rows = pointers(scratch.drawn_rows);
  const int64_t W = draws.window;
  const double slope = (rate.end - rate.begin) / static_cast<double>(block.center_end - block.center_begin);
  SentenceCursor cursor = sentence_of(block, begin);
  for (int64_t first = begin; first < end; first += kDrawAhead) {
    const int64_t last = end - first < kDrawAhead ? end : first + kDrawAhead;
    const int64_t drawn = (block.tokens - last < kLookAhead ? block.tokens : last + kLookAhead) - first;
    const uint64_t position = block.first_position + static_cast<uint64_t>(first);
    const int32_t* const radius = draw_radii(draws, position, last - first, scratch.radius);
    draw_outputs(draws, position, drawn, block.ids + first, scratch.lanes, scratch.outputs, scratch.repeated);
    find_rows(scratch.outputs, drawn * N, tables.out, tables.out_stride, drawn_rows);
    step_rows.draw_keys(draws, position, last - first);
    const int64_t from = first < W ? 0 : first - W;
    const int64_t to = block.tokens - last < W + kLookAhead ? block.tokens : last + W + kLookAhead;
    Element** const token_rows = pointers(scratch.token_rows) + W - first;  // of token t at [t]
    find_rows(block.ids + from, to - from, tables.in, tables.in_stride, token_rows + from);
    for (int64_t center = first; center < last; ++center) {
      cursor.advance_to(center);
      const int64_t w = center - first;
      const Span span = window_span(cursor, center, radius[w]);
      const int64_t C = span.contexts();
      if (C == 0) continue;
      copy_runs(token_rows + center - W, W, context_rows);
      copy_runs(token_rows + center + 1, W, context_rows + W);
      const WindowRows<Element> lying{context_rows + W - (center - span.first), C, drawn_rows + w * N};
      const WindowRows<float> rows = step_rows.open(lying);
      float* const* output_rows = rows.outputs;
      if (scratch.repeated[w]) {
        for (int n = 0; n < N; ++n) scratch.output_rows[n] = output_rows[n];
        repeated.redirect(scratch.outputs + w * N, scratch.output_rows);
        output_rows = scratch.output_rows;
      }
      const int64_t entering = center + kLookAhead + W, ahead = w + kLookAhead < drawn ? w + kLookAhead : w;
      const Prefetch<Count, Element> prefetch{token_rows[entering < to ? entering : center], drawn_rows + ahead * N, N};
      const float lr = static_cast<float>(rate.begin + slope * static_cast<double>(center - block.center_begin));
      const int64_t pairs = step(StepWindow<Count, Element>{rows.contexts, C, output_rows, lr, N, prefetch});
      if (scratch.repeated[w]) {
        sum.loss -= repeated.merge(scratch.outputs + w * N, scratch.output_rows) * static_cast<double>(pairs);
      }
      step_rows.close(lying, w);
      sum.pairs += pairs;
      if (loss.splits > kSplits) sum.loss += take_loss(loss);
    }
  }
  sum.loss += take_loss(loss);
  return sum;
}

}  // namespace pyembed::PE_ISA
