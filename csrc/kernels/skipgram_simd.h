// Skip-gram training step: dot products, sigmoid and both updates of a window in registers, no gradient ever stored.
// Implements pyembed/reference.py sections 5 and 7, sequential; may differ in the order of summation, and applies the
// updates of a context that stands twice in a window one after the other. PE_ISA names the namespace.
//
// Contexts are treated in pairs. All of them meet the outputs as they were before the window, so a pair is updated as
// soon as its step sizes are known, and that work hides the latency of the next pair's sigmoid.
#pragma once

namespace pyembed::PE_ISA {

// Step sizes of a pair of contexts with all outputs lie as [2, N]; N is 0 in templates where it is known only at run time.
template <int N>
struct Outputs {
  float* const* rows;  // [count]
  float* changed;      // [columns of registers, count, kWidth]: the rows as the pairs so far have changed them
  int count;
};

// Step sizes of B contexts with all outputs.
template <int B, int N>
PE_INLINE void score(float* const* in_rows, const Outputs<N>& outputs, int64_t D, Float rate, float* errors,
                     LossLanes& loss) {
  if constexpr (N > 0) {
    score_group<B, N>(in_rows, outputs.rows, D, true, rate, errors, loss);
  } else {
    // Each group's come as [B, G] and go to their place in [B, count].
    for_each_group(outputs.count, [&](auto group, int n) {
      constexpr int G = decltype(group)::value;
      float sizes[Roles<B * G, G>::kRegisters * kWidth];
      score_group<B, G>(in_rows, outputs.rows + n, D, n == 0, rate, sizes, loss);
      for (int b = 0; b < B; ++b) {
        for (int g = 0; g < G; ++g) errors[b * outputs.count + n + g] = sizes[b * G + g];
      }
    });
  }
  split_exponent(loss);
}

// Which of a window's pairs this is: the first finds the outputs' rows unchanged, the last leaves them as they will be.
struct Turn {
  bool first;
  bool last;
};

// Updates B contexts and, with them, the outputs, `Tail ? tail : kWidth` columns from column d. error(b, n): step size.
template <int B, int N, bool Tail, class Error>
PE_INLINE void update_columns(float* const (&in_rows)[B], float* const* out_rows, int count, float* changed, int64_t d,
                              int tail, Turn turn, const Error& error) {
  const auto get = [=](const float* p) { return Tail ? load_first(p, tail) : load(p); };
  const auto put = [=](float* p, Float x) { Tail ? store_first(p, x, tail) : store(p, x); };
  Float in[B], in_changed[B];
  PE_UNROLL
  for (int b = 0; b < B; ++b) in[b] = in_changed[b] = get(in_rows[b] + d);
  const auto update = [&](int n) {
    const Float out = get(out_rows[n] + d);
    Float out_changed = turn.first ? out : load(changed + n * kWidth);
    PE_UNROLL
    for (int b = 0; b < B; ++b) {
      in_changed[b] = fma(error(b, n), out, in_changed[b]);
      out_changed = fma(error(b, n), in[b], out_changed);
    }
    turn.last ? put(out_rows[n] + d, out_changed) : store(changed + n * kWidth, out_changed);
  };
  if constexpr (N > 0) {
    PE_UNROLL
    for (int n = 0; n < N; ++n) update(n);
  } else {
    for (int n = 0; n < count; ++n) update(n);
  }
  PE_UNROLL
  for (int b = 0; b < B; ++b) put(in_rows[b] + d, in_changed[b]);
}

template <int B, int N>
PE_INLINE void update_rows(float* const* in_rows, const Outputs<N>& outputs, int64_t D, Turn turn, const float* errors,
                           const Prefetch* prefetch) {
  // Copies that no store can be thought to change, so that they stay in registers.
  float* ins[B];
  float* outs[N > 0 ? N : 1];
  Float kept_errors[B][N > 0 ? N : 1];
  PE_UNROLL
  for (int b = 0; b < B; ++b) ins[b] = in_rows[b];
  if constexpr (N > 0) {
    PE_UNROLL
    for (int n = 0; n < N; ++n) {
      outs[n] = outputs.rows[n];
      PE_UNROLL
      for (int b = 0; b < B; ++b) kept_errors[b][n] = broadcast(errors[b * N + n]);
    }
  }
  const int count = N > 0 ? N : outputs.count;
  const auto error = [&](int b, int n) {
    return kKeepErrors && N > 0 ? kept_errors[b][n] : broadcast(errors[b * count + n]);
  };
  float* const* const out_rows = N > 0 ? outs : outputs.rows;
  float* changed = outputs.changed;
  int64_t d = 0;
  for (; d + kWidth <= D; d += kWidth, changed += kWidth * count) {
    if (prefetch) prefetch->columns(d);
    update_columns<B, N, false>(ins, out_rows, count, changed, d, 0, turn, error);
  }
  const int tail = static_cast<int>(D - d);
  if (tail) {
    if (prefetch) prefetch->columns(d);
    update_columns<B, N, true>(ins, out_rows, count, changed, d, tail, turn, error);
  }
}

// Compiles the loop once for each turn, so that no column asks. Only a window's first pair prefetches.
template <int B, int N>
PE_INLINE void update(float* const* in_rows, const Outputs<N>& outputs, int64_t D, Turn turn, const float* errors,
                      const Prefetch& prefetch) {
  if (B == 2 && in_rows[0] == in_rows[B - 1]) {
    // One row, twice: its updates must follow one another.
    update<1, N>(in_rows, outputs, D, {turn.first, false}, errors, prefetch);
    update<1, N>(in_rows + 1, outputs, D, {false, turn.last}, errors + outputs.count, prefetch);
  } else if (turn.first) {
    turn.last ? update_rows<B, N>(in_rows, outputs, D, {true, true}, errors, &prefetch)
              : update_rows<B, N>(in_rows, outputs, D, {true, false}, errors, &prefetch);
  } else {
    turn.last ? update_rows<B, N>(in_rows, outputs, D, {false, true}, errors, nullptr)
              : update_rows<B, N>(in_rows, outputs, D, {false, false}, errors, nullptr);
  }
}

template <int N>
PE_INLINE void skipgram_window(const StepWindow& window, const Outputs<N>& outputs, int64_t D, float* errors,
                               LossLanes& loss) {
  float* const* rows = window.context_rows;
  const int64_t C = window.context_count;
  const Float rate = broadcast(window.rate);
  float* const sizes[2] = {errors, errors + 2 * outputs.count + kWidest};  // of this pair and of the next
  if (C == 1) {
    score<1, N>(rows, outputs, D, rate, sizes[0], loss);
    return update<1, N>(rows, outputs, D, {true, true}, sizes[0], window.prefetch);
  }
  score<2, N>(rows, outputs, D, rate, sizes[0], loss);
  int current = 0;
  int64_t c = 0;
  for (; c + 4 <= C; c += 2, current ^= 1) {
    score<2, N>(rows + c + 2, outputs, D, rate, sizes[current ^ 1], loss);
    update<2, N>(rows + c, outputs, D, {c == 0, false}, sizes[current], window.prefetch);
  }
  if (c + 3 == C) {
    score<1, N>(rows + c + 2, outputs, D, rate, sizes[current ^ 1], loss);
    update<2, N>(rows + c, outputs, D, {c == 0, false}, sizes[current], window.prefetch);
    update<1, N>(rows + c + 2, outputs, D, {false, true}, sizes[current ^ 1], window.prefetch);
  } else {
    update<2, N>(rows + c, outputs, D, {c == 0, true}, sizes[current], window.prefetch);
  }
}

// N: the number of outputs where it is common enough for code of its own, else 0.
template <int N>
LossSum skipgram_range(const TokenBlock& block, const Draws& draws, const Tables<float>& tables,
                       const LearningRate& rate, int64_t begin, int64_t end, void* memory) {
  const StepScratch scratch = carve(draws, tables.dimensions, memory);
  LossLanes loss = no_loss();
  double exact_loss = 0;
  const auto count = output_count<N>(draws);
  const auto step = [&](const StepWindow& window) {
    const Outputs<N> outputs{window.output_rows, scratch.changed, count};
    skipgram_window<N>(window, outputs, tables.dimensions, scratch.errors, loss);
    return window.context_count;
  };
  const auto exact_step = [&](const ExactWindow<float>& window) {
    const LossSum sum = skipgram_exact_window(window, tables, tables, scratch.exact);
    exact_loss += sum.loss;
    return sum.pairs;
  };
  const int64_t pairs = walk_windows(count, block, draws, tables, rate, begin, end, scratch, step, exact_step);
  return {total_loss(loss) + exact_loss, pairs};
}

inline LossSum skipgram_step(const TokenBlock& block, const Draws& draws, const Tables<float>& tables,
                             const LearningRate& rate, int64_t begin, int64_t end, void* scratch) {
  const auto range = [&](const auto& kernel) { return kernel(block, draws, tables, rate, begin, end, scratch); };
  switch (1 + draws.negative) {
    case 2: return range(skipgram_range<2>);
    case 3: return range(skipgram_range<3>);
    case 4: return range(skipgram_range<4>);
    case 5: return range(skipgram_range<5>);
    case 6: return range(skipgram_range<6>);
    default: return range(skipgram_range<0>);
  }
}

}  // namespace pyembed::PE_ISA
