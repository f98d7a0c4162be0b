// Walks the batches of windows that train together: draws ahead, finds the rows, and hands each batch to the
// model. Spec: pyembed/reference.py section 12. PE_ISA names the namespace.
#pragma once

namespace pyembed::PE_ISA {

// Rows to bring into the cache while a batch trains: those that the next one needs first. Some with each tile that is
// scored, the others with the columns that are updated, for the processor waits for a few lines at a time only. Dot
// products bring in a few columns of the rows at a time: of a quarter of them with the columns that they score, of the
// others with those that they update, which takes longer. Whole rows at a time took 7 to 25 % longer.
template <class Element>
struct ComingRows {
  Element* const* rows;  // [count]
  int64_t count;
  int64_t with_scores;  // rows that scoring brings in, kWithTile with each tile

  static constexpr int64_t kWithTile = 2;

  PE_INLINE void while_scoring(int64_t column, int n, int64_t tile) const {
    if (n == 0 && tile * kWithTile < with_scores) prefetch(tile * kWithTile, (tile + 1) * kWithTile, column);
  }
  PE_INLINE void while_updating(int64_t column) const { prefetch(with_scores, count, column); }
  // M registers of columns of all rows, from `column` on, where a line begins.
  template <int M>
  PE_INLINE void bring_in_columns(int64_t column) const {
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t d = 0; d < M * kWidth; d += kLineColumns) prefetch_to_write(rows[i] + column + d);
    }
  }
  // All columns of a row.
  PE_INLINE void bring_in(int64_t row, int64_t D) const {
    for (int64_t d = 0; d < D; d += kLineColumns) prefetch_to_write(rows[row] + d);
  }

  // Of these rows, none of which scoring brings in on its own.
  PE_INLINE ComingRows part(int64_t from, int64_t to) const { return {rows + from, to - from, 0}; }
  PE_INLINE ComingRows with_columns_scored() const { return part(0, count / 4); }
  PE_INLINE ComingRows with_columns_updated() const { return part(count / 4, count); }
  PE_INLINE ComingRows share(int64_t i, int64_t shares) const {
    return part(count * i / shares, count * (i + 1) / shares);
  }

 private:
  static constexpr int64_t kLineColumns = 64 / sizeof(Element);

  PE_INLINE void prefetch(int64_t from, int64_t to, int64_t column) const {
    if (column % kLineColumns != 0) return;
    for (int64_t i = from; i < to; ++i) prefetch_to_write(rows[i] + column);
  }
};

// What skipgram_window() sees of a batch, as if it were one window. RowElement: of the rows as the step computes with
// them. Gradients: whether its contexts become what would have been added to them.
template <class Count, class Element, class RowElement, bool Gradients>
struct StepBatch {
  using Row = RowElement;
  static constexpr bool kGradients = Gradients;
  ComingRows<Element> prefetch;
  Row* const* context_rows;  // [context_count]
  int64_t context_count;     // > 0
  Row* const* output_rows;   // [N]
  float rate;
  Count N;
  const float* weights;  // group by group [context_count, G]

  PE_INLINE SignedWeights labels(int n) const { return {weights + n * context_count}; }
};

// A batch's windows and the rows that they touch.
template <class Element>
struct BatchRows {
  int64_t first, past_last;  // its centers
  int first_window;          // which of its batch's windows the first has
  Span spans[kMostWindows];  // of their windows
  int64_t low;               // the first token of them all
  Element* const* contexts;  // [C], a row for each token from there on
  int64_t C;                 // 0: no window has a context, and the rest means nothing
  int64_t pairs;             // contexts of all windows
  Element** outputs;         // [N]
  const int32_t* output_ids;
  bool uneven;  // some outputs are the same row, or missing
  float rate;
  ComingRows<Element> coming;
};

// The batches of a range of centers, those of a run of about kDrawAhead windows prepared together.
template <class Count, class Element>
class BatchWalk {
 public:
  BatchWalk(Count N, const TokenBlock& block, const Draws& draws, const Tables<Element>& tables,
            const LearningRate& rate, int64_t begin, const BatchScratch& scratch)
      : N_(N),
        block_(block),
        draws_(draws),
        tables_(tables),
        rate_(rate),
        scratch_(scratch),
        P_(draws.sharing),
        cursor_(sentence_of(block, begin)),
        zeros_(reinterpret_cast<Element*>(scratch.zeros)),
        coming_(reinterpret_cast<Element**>(scratch.coming)) {
    __builtin_memset(scratch.zeros, 0, static_cast<size_t>(tables.dimensions + kWidest) * sizeof(float));
  }

  // The first center of the batch after the one that `center` is in.
  int64_t past_batch(int64_t center) const {
    return center + P_ - static_cast<int64_t>(position(center) % static_cast<uint64_t>(P_));
  }

  // Prepares the batches of the centers first to last - 1.
  void prepare(int64_t first, int64_t last) {
    const int64_t W = draws_.window;
    first_ = first;
    base_ = position(first) / static_cast<uint64_t>(P_);
    radius_ = draw_radii(draws_, position(first), last - first, scratch_.step.radius);
    const int64_t from = first < W ? 0 : first - W;
    to_ = block_.tokens - last < W + P_ ? block_.tokens : last + W + P_;
    token_rows_ = reinterpret_cast<Element**>(scratch_.step.token_rows) + W - first;
    find_rows(block_.ids + from, to_ - from, tables_.in, tables_.in_stride, tables_.hot_in, token_rows_ + from);
    const int64_t past_next = block_.center_end - last < P_ ? block_.center_end : last + P_;
    drawn_ = static_cast<int64_t>(position(past_next - 1) / static_cast<uint64_t>(P_) - base_) + 1;
    draw();
    find_rows(scratch_.step.outputs, drawn_ * N_, tables_.out, tables_.out_stride, tables_.hot_out, drawn_rows());
  }

  // Batch k of those that are prepared, which has the centers first to past_last - 1. Call in ascending order.
  BatchRows<Element> at(int64_t k, int64_t first, int64_t past_last) {
    BatchRows<Element> batch;
    batch.first = first;
    batch.past_last = past_last;
    batch.first_window =
        static_cast<int>(position(first) - (base_ + static_cast<uint64_t>(k)) * static_cast<uint64_t>(P_));
    batch.pairs = 0;
    int64_t low = past_last, high = first;
    for (int64_t center = first; center < past_last; ++center) {
      cursor_.advance_to(center);
      const Span span = window_span(cursor_, center, radius_[center - first_]);
      batch.spans[center - first] = span;
      batch.pairs += span.contexts();
      low = span.first < low ? span.first : low;
      high = span.past_last > high ? span.past_last : high;
    }
    batch.C = batch.pairs ? high - low : 0;
    if (!batch.C) return batch;
    batch.low = low;
    batch.contexts = token_rows_ + low;
    batch.output_ids = scratch_.step.outputs + k * N_;
    batch.outputs = drawn_rows() + k * N_;
    batch.uneven = scratch_.step.repeated[k];
    batch.rate = static_cast<float>(learning_rate(block_, rate_, first));
    batch.coming = coming(k + 1 < drawn_ ? k + 1 : k, past_last, batch.C);
    return batch;
  }

  // In bit p of patterns[c], whether context c is one of window p.
  PE_INLINE const int32_t* patterns(const BatchRows<Element>& batch) const {
    Int lane{};
    for (int i = 0; i < kWidth; ++i) lane[i] = i;
    for (int64_t c = 0; c < batch.C; c += kWidth) {
      const Int token = lane + static_cast<int32_t>(c);
      Int pattern{};
      int32_t bit = 1 << batch.first_window;
      for (int64_t center = batch.first; center < batch.past_last; ++center, bit <<= 1) {
        const Span& span = batch.spans[center - batch.first];
        const int32_t begin = static_cast<int32_t>(span.first - batch.low);
        const int32_t end = static_cast<int32_t>(span.past_last - batch.low);
        const Int inside = (token >= begin) & (token < end) & (token != static_cast<int32_t>(center - batch.low));
        pattern |= inside & bit;
      }
      __builtin_memcpy(scratch_.patterns + c, &pattern, sizeof pattern);
    }
    return scratch_.patterns;
  }

  Element* zeros() const { return zeros_; }

 private:
  uint64_t position(int64_t center) const { return block_.first_position + static_cast<uint64_t>(center); }
  Element** drawn_rows() const { return reinterpret_cast<Element**>(scratch_.step.drawn_rows); }

  // Ids of the outputs of all prepared batches, [drawn_, N], one batch a lane at a time; and whether some are the same,
  // or missing.
  void draw() {
    uint64_t* const lanes = scratch_.step.lanes;
    const auto put = [&](int n, Wide ids) { __builtin_memcpy(lanes + n * kDrawLanes, &ids, sizeof ids); };
    const auto get = [&](int n) {
      Wide ids;
      __builtin_memcpy(&ids, lanes + n * kDrawLanes, sizeof ids);
      return ids;
    };
    const uint64_t P = static_cast<uint64_t>(P_);
    for (int64_t begin = 0; begin < drawn_; begin += kDrawLanes) {
      const int used = drawn_ - begin < kDrawLanes ? static_cast<int>(drawn_ - begin) : kDrawLanes;
      const uint64_t first_position = (base_ + static_cast<uint64_t>(begin)) * P;
      for (int i = 0; i < used; ++i) {
        for (int p = 0; p < P_; ++p) {
          const int64_t center =
              static_cast<int64_t>(first_position + static_cast<uint64_t>(i) * P - block_.first_position) + p;
          const bool there = center >= block_.center_begin && center < block_.center_end;
          lanes[p * kDrawLanes + i] = static_cast<uint32_t>(there ? block_.ids[center] : kMissing);
        }
      }
      const Wide index = counting_from(0) * all_lanes(P) + all_lanes(first_position);
      for (int j = 0; j < draws_.negative; j += 2) {
        Wide words[4];
        random_lanes(draws_.seed, draws_.epoch, Stream::negative, static_cast<uint32_t>(j / 2), index, words);
        put(P_ + j, noise_lanes(draws_, words[0], words[1]));
        if (j + 1 < draws_.negative) put(P_ + j + 1, noise_lanes(draws_, words[2], words[3]));
      }
      Wide same{};
      uint64_t* const repeats = scratch_.repeats;
      for (int n = 1; n < N_; ++n) {
        const Wide ids = get(n);
        Wide here{};
        for (int m = 0; m < n; ++m) here |= (Wide)(ids == get(m));
        __builtin_memcpy(repeats + n * kDrawLanes, &here, sizeof here);
        same |= here;
      }
      for (int i = 0; i < used; ++i) {
        int32_t* const row = scratch_.step.outputs + (begin + i) * N_;
        for (int n = 0; n < N_; ++n) row[n] = static_cast<int32_t>(lanes[n * kDrawLanes + i]);
        const bool whole = row[0] != kMissing && row[P_ - 1] != kMissing;
        const uint64_t position = first_position + static_cast<uint64_t>(i) * P;
        scratch_.step.repeated[begin + i] = !(same[i] ? choose(position, row, repeats + i) && whole : whole);
      }
    }
  }

  // Takes other draws for negatives of a batch that equal a center or one another, as long as there are any. repeats:
  // at [n * kDrawLanes], whether output n > 0 equals an earlier one. Returns whether all outputs differ now.
  bool choose(uint64_t position, int32_t* outputs, const uint64_t* repeats) const {
    bool differ = true;
    for (int p = 1; p < P_; ++p) differ &= !repeats[p * kDrawLanes];
    int n = P_;
    for (int i = P_; i < N_; ++i) {
      outputs[n] = outputs[i];
      n += !repeats[i * kDrawLanes];
    }
    Words4 words{};
    for (int j = draws_.negative; j < 2 * draws_.negative && n < N_; ++j) {
      const uint32_t slot = static_cast<uint32_t>(j / 2);
      if (j == draws_.negative || j % 2 == 0) {
        words = random_words(draws_.seed, draws_.epoch, Stream::negative, position, slot);
      }
      const int32_t id = static_cast<int32_t>(noise_id(draws_, words.word[2 * (j % 2)], words.word[2 * (j % 2) + 1]));
      bool seen = false;
      for (int i = 0; i < n; ++i) seen |= outputs[i] == id;
      outputs[n] = id;
      n += !seen;
    }
    differ &= n == N_;
    while (n < N_) outputs[n++] = kMissing;
    return differ;
  }

  // What batch k of the prepared ones, whose first center is given, needs first: its outputs, and the tokens that enter
  // its windows. That a missing output has no row does no harm. C: contexts of the batch that trains meanwhile.
  ComingRows<Element> coming(int64_t k, int64_t first, int64_t C) const {
    __builtin_memcpy(coming_, drawn_rows() + k * N_, static_cast<size_t>(N_) * sizeof *coming_);
    const int64_t token = first + draws_.window, tokens = token + P_ < to_ ? P_ : token < to_ ? to_ - token : 0;
    __builtin_memcpy(coming_ + N_, token_rows_ + token, static_cast<size_t>(tokens) * sizeof *coming_);
    const int64_t count = N_ + tokens;
    constexpr int kFirstGroup = std::is_same_v<Count, int> ? kGroup : kLargestGroup;
    const int64_t tiles = C / kTileWith<kFirstGroup>, room = count / ComingRows<Element>::kWithTile;
    return {coming_, count, (tiles < room ? tiles : room) * ComingRows<Element>::kWithTile};
  }

  Count N_;
  const TokenBlock& block_;
  const Draws& draws_;
  const Tables<Element>& tables_;
  const LearningRate& rate_;
  const BatchScratch& scratch_;
  const int P_;
  SentenceCursor cursor_;
  Element *zeros_, **coming_;
  uint64_t base_ = 0;  // number of the first prepared batch
  int64_t first_ = 0, to_ = 0, drawn_ = 0;
  const int32_t* radius_ = nullptr;
  Element** token_rows_ = nullptr;  // of token t at [t]
};

// Calls step(batch, index of its first center in the run) for each batch that has contexts, of those whose first center
// is in [begin, end), and prepared(first center of the run, past its last) before those of a run.
template <class Walk, class Prepared, class Step>
PE_INLINE void walk_batches(Walk& walk, const TokenBlock& block, int windows, int64_t begin, int64_t end,
                            const Prepared& prepared, const Step& step) {
  const auto no_later = [](int64_t a, int64_t b) { return a < b ? a : b; };
  const auto aligned = [&](int64_t center) {  // the first center of a batch, from this one on
    return center == block.center_begin ? center : no_later(block.center_end, walk.past_batch(center - 1));
  };
  begin = aligned(begin);
  end = aligned(end);
  const int64_t run = kDrawAhead / windows * windows;
  for (int64_t first = begin; first < end;) {
    int64_t past = walk.past_batch(first);
    const int64_t last = no_later(end, past + run - windows);
    walk.prepare(first, last);
    prepared(first, last);
    int64_t center = first;
    for (int64_t k = 0; center < last; ++k, center = past, past += windows) {
      past = no_later(last, past);
      const auto batch = walk.at(k, center, past);
      if (batch.C) step(batch, center - first);
    }
    first = last;
  }
}

}  // namespace pyembed::PE_ISA
