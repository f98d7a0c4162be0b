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

  // Columns of the rows that scoring brings in, with the first tile of contexts and group of outputs, and of those that
  // the update does.
  PE_INLINE void while_scoring(int64_t column, int n = 0, int64_t tile = 0) const {
    if (n != 0 || tile != 0 || column % kLineColumns != 0) return;
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
  static constexpr bool kGradients = false;  // contexts become what would have been added to them
  float* const* context_rows;                // [context_count]
  int64_t context_count;                     // > 0
  float* const* output_rows;                 // [N]
  float rate;
  Count N;
  Prefetch<Count, Element> prefetch;

  // Of the outputs from number n on: whether the first is the center.
  PE_INLINE bool labels(int n) const { return n == 0; }
};

// Copies whole runs of pointers, at least count.
template <class Element>
PE_INLINE void copy_runs(Element* const* from, int64_t count, Element** to) {
  for (int64_t i = 0; i < count; i += kRun) __builtin_memcpy(to + i, from + i, kRun * sizeof(Element*));
}

// The window around a center, as yet without outputs.
template <class Element>
struct CenterWindow {
  Element* const* contexts;  // [C]
  int64_t C;                 // 0: the rest means nothing
  const Element* entering;   // the row of the token that enters the window kLookAhead later
  float rate;
};

// The windows of successive centers, those of a run of at most kDrawAhead prepared together.
template <class Element>
class CenterWalk {
 public:
  PE_INLINE CenterWalk(const TokenBlock& block, const Draws& draws, const Tables<Element>& tables,
                       const LearningRate& rate, int64_t begin, const StepScratch& scratch)
      : block_(block),
        draws_(draws),
        tables_(tables),
        scratch_(scratch),
        W_(draws.window),
        rate_(rate.begin),
        slope_((rate.end - rate.begin) / static_cast<double>(block.center_end - block.center_begin)),
        cursor_(sentence_of(block, begin)) {}

  // Prepares the centers first to last - 1.
  PE_INLINE void prepare(int64_t first, int64_t last) {
    first_ = first;
    radius_ = draw_radii(draws_, block_.first_position + static_cast<uint64_t>(first), last - first, scratch_.radius);
    const int64_t from = first < W_ ? 0 : first - W_;
    to_ = block_.tokens - last < W_ + kLookAhead ? block_.tokens : last + W_ + kLookAhead;
    token_rows_ = reinterpret_cast<Element**>(scratch_.token_rows) + W_ - first;
    find_rows(block_.ids + from, to_ - from, tables_.in, tables_.in_stride, tables_.hot_in, token_rows_ + from);
  }

  // Of those that are prepared, in ascending order.
  PE_INLINE CenterWindow<Element> at(int64_t center) {
    cursor_.advance_to(center);
    const Span span = window_span(cursor_, center, radius_[center - first_]);
    const int64_t C = span.contexts();
    if (C == 0) return {nullptr, 0, nullptr, 0};
    Element** const rows = reinterpret_cast<Element**>(scratch_.context_rows);
    copy_runs(token_rows_ + center - W_, W_, rows);
    copy_runs(token_rows_ + center + 1, W_, rows + W_);
    const int64_t entering = center + kLookAhead + W_;
    return {rows + W_ - (center - span.first), C, token_rows_[entering < to_ ? entering : center],
            static_cast<float>(rate_ + slope_ * static_cast<double>(center - block_.center_begin))};
  }

 private:
  const TokenBlock& block_;
  const Draws& draws_;
  const Tables<Element>& tables_;
  const StepScratch& scratch_;
  const int64_t W_;
  const double rate_, slope_;
  SentenceCursor cursor_;
  int64_t first_ = 0, to_ = 0;
  const int32_t* radius_ = nullptr;
  Element** token_rows_ = nullptr;  // of token t at [t]
};

// Tokens whose outputs are needed while the centers up to last - 1 are trained: some more are looked ahead for.
PE_INLINE int64_t past_look_ahead(const TokenBlock& block, int64_t last) {
  return block.tokens - last < kLookAhead ? block.tokens : last + kLookAhead;
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
  StepRows<Element> step_rows(scratch, tables.dimensions);
  Element** const drawn_rows = reinterpret_cast<Element**>(scratch.drawn_rows);
  CenterWalk<Element> centers(block, draws, tables, rate, begin, scratch);
  for (int64_t first = begin; first < end; first += kDrawAhead) {
    const int64_t last = end - first < kDrawAhead ? end : first + kDrawAhead;
    const int64_t drawn = past_look_ahead(block, last) - first;
    const uint64_t position = block.first_position + static_cast<uint64_t>(first);
    centers.prepare(first, last);
    draw_outputs(draws, position, drawn, block.ids + first, scratch.lanes, scratch.outputs, scratch.repeated);
    find_rows(scratch.outputs, drawn * N, tables.out, tables.out_stride, tables.hot_out, drawn_rows);
    step_rows.draw_keys(draws, position, last - first);
    for (int64_t w = 0; w < last - first; ++w) {
      const CenterWindow<Element> center = centers.at(first + w);
      if (center.C == 0) continue;
      const WindowRows<Element> lying{center.contexts, center.C, drawn_rows + w * N, N};
      const WindowRows<float> rows = step_rows.open(lying);
      float* const* output_rows = rows.outputs;
      if (scratch.repeated[w]) {
        for (int n = 0; n < N; ++n) scratch.output_rows[n] = output_rows[n];
        repeated.redirect(scratch.outputs + w * N, scratch.output_rows);
        output_rows = scratch.output_rows;
      }
      const int64_t ahead = w + kLookAhead < drawn ? w + kLookAhead : w;
      const Prefetch<Count, Element> prefetch{center.entering, drawn_rows + ahead * N, N};
      const int64_t pairs =
          step(StepWindow<Count, Element>{rows.contexts, center.C, output_rows, center.rate, N, prefetch});
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
