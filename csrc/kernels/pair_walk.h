// Walks the pairs of a range of centers where every pair has its own negatives (pyembed/reference.py section 3.1): each
// pair is handed to the model as a window of one context. PE_ISA names the namespace.
#pragma once

namespace pyembed::PE_ISA {

// Draws the outputs of a window's pairs, the center first: ids [C, 1 + K]. One pair a lane.
inline void draw_pair_outputs(const Draws& draws, uint64_t position, int32_t center, int64_t C, int32_t* ids) {
  const int64_t K = draws.negative, N = 1 + K, slots = (K + 1) / 2;
  for (int64_t c = 0; c < C; c += kDrawLanes) {
    const int64_t used = C - c < kDrawLanes ? C - c : kDrawLanes;
    const auto put = [&](int64_t n, Wide drawn) {
      for (int64_t i = 0; i < used; ++i) ids[(c + i) * N + n] = static_cast<int32_t>(drawn[i]);
    };
    put(0, all_lanes(static_cast<uint32_t>(center)));
    const Wide first_slot = multiply_low(counting_from(static_cast<uint64_t>(c)), all_lanes(slots));
    for (int64_t j = 0; j < K; j += 2) {
      Wide words[4];
      random_lanes(draws.seed, draws.epoch, Stream::negative, first_slot + all_lanes(j / 2), all_lanes(position),
                   words);
      put(1 + j, noise_lanes(draws, words[0], words[1]));
      if (j + 1 < K) put(2 + j, noise_lanes(draws, words[2], words[3]));
    }
  }
}

PE_INLINE bool any_equal(const int32_t* ids, int64_t count) {
  bool equal = false;
  for (int64_t n = 1; n < count; ++n) {
    for (int64_t m = 0; m < n; ++m) equal |= ids[n] == ids[m];
  }
  return equal;
}

// As walk_windows().
template <class Count, class Step>
PE_INLINE LossSum walk_pairs(Count N, const TokenBlock& block, const Draws& draws, const Tables<float>& tables,
                             const LearningRate& rate, int64_t begin, int64_t end, const StepScratch& scratch,
                             LossLanes& loss, const Step& step) {
  LossSum sum{0, 0};
  if (begin >= end) return sum;
  const RepeatedOutputs repeated{scratch.copies, scratch.before, N, tables.dimensions};
  SentenceCursor cursor = sentence_of(block, begin);
  // The pairs of a center, whose outputs are drawn into one half of the scratch while the other half trains.
  struct Pairs {
    Span span;
    int64_t center, count;
    int32_t* outputs;
    float** rows;
  };
  const auto draw = [&](int64_t center) {
    const uint64_t position = block.first_position + static_cast<uint64_t>(center);
    cursor.advance_to(center);
    const Span span = window_span(cursor, center, window_radius(draws, position));
    const int64_t half = center % 2 * 2 * draws.window * N, C = span.contexts();
    const Pairs pairs{span, center, C, scratch.pair_outputs + half, scratch.pair_rows + half};
    draw_pair_outputs(draws, position, block.ids[center], C, pairs.outputs);
    find_rows(pairs.outputs, C * N, tables.out, tables.out_stride, tables.hot_out, pairs.rows);
    return pairs;
  };
  Pairs pairs = draw(begin);
  for (int64_t center = begin; center < end; ++center) {
    const Pairs next = center + 1 < end ? draw(center + 1) : pairs;
    const float lr = static_cast<float>(learning_rate(block, rate, center));
    for (int64_t c = 0; c < pairs.count; ++c) {
      const int32_t context_id = block.ids[pairs.span.context(c, center)];
      float* const context = find_row(context_id, tables.in, tables.in_stride, tables.hot_in);
      const int32_t* const ids = pairs.outputs + c * N;
      float* const* rows = pairs.rows + c * N;
      const bool repeats = any_equal(ids, N);
      if (repeats) {
        for (int n = 0; n < N; ++n) scratch.output_rows[n] = rows[n];
        repeated.redirect(ids, scratch.output_rows);
        rows = scratch.output_rows;
      }
      float* const* const ahead = c < next.count ? next.rows + c * N : pairs.rows + c * N;
      const Prefetch<Count> prefetch{context, ahead, N};
      step(StepWindow<Count>{&context, 1, rows, lr, N, prefetch});
      if (repeats) sum.loss -= repeated.merge(ids, scratch.output_rows);
    }
    sum.pairs += pairs.count;
    if (loss.splits > kSplits) sum.loss += take_loss(loss);
    pairs = next;
  }
  sum.loss += take_loss(loss);
  return sum;
}

}  // namespace pyembed::PE_ISA
