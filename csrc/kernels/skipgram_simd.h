// Skip-gram training step: dot products, sigmoid and both updates of a window in registers, no gradient ever stored.
// Implements pyembed/reference.py sections 5 and 7, sequential; may differ in the order of summation, and applies the
// updates of a context that stands twice in a window one after the other. PE_ISA names the namespace.
//
// The outputs of a window are treated in groups of at most kGroup rows, which is all of them with five negatives.
// Step sizes of a group of G outputs that begins at output n lie at errors + n * C, as [C, G].
#pragma once

namespace pyembed::PE_ISA {

constexpr int kGroup = 6;

constexpr int contexts_together(int G) { return kAccumulators / G < 4 ? kAccumulators / G : 4; }

// Lane i of registers[r] is score r * kWidth + i of a group's scores [contexts, G].
template <int Scores, int G>
struct Roles {
  static constexpr int kRegisters = (Scores + kWidth - 1) / kWidth;
  LaneRoles lanes[kRegisters];

  PE_INLINE explicit Roles(bool with_center) {
    for (int r = 0; r < kRegisters; ++r) {
      float used[kWidth], label[kWidth], sign[kWidth];
      for (int i = 0; i < kWidth; ++i) {
        const int score = r * kWidth + i;
        used[i] = score < Scores ? 1.0f : 0.0f;
        label[i] = with_center && score % G == 0 ? 1.0f : 0.0f;
        sign[i] = 1.0f - 2.0f * label[i];
      }
      lanes[r] = {load(used), load(label), load(sign)};
    }
  }
};

// Step sizes of B contexts with the G outputs of a group, into errors [B, G] (whole registers are written).
template <int B, int G>
PE_INLINE void score_contexts(float* const* in_rows, float* const* out_rows, int64_t D, const Roles<B * G, G>& roles,
                              Float rate, float* errors, LossLanes& loss) {
  Float dots[B * G];
  for (int i = 0; i < B * G; ++i) dots[i] = zero();
  const auto accumulate = [&](const auto& load_columns) {
    Float in[B];
    for (int b = 0; b < B; ++b) in[b] = load_columns(in_rows[b]);
    for (int g = 0; g < G; ++g) {
      const Float out = load_columns(out_rows[g]);
      for (int b = 0; b < B; ++b) dots[b * G + g] = fma(in[b], out, dots[b * G + g]);
    }
  };
  int64_t d = 0;
  for (; d + kWidth <= D; d += kWidth) accumulate([d](const float* row) { return load(row + d); });
  const int tail = static_cast<int>(D - d);
  if (tail) accumulate([d, tail](const float* row) { return load_first(row + d, tail); });

  constexpr int R = Roles<B * G, G>::kRegisters;
  Float scores[R];
  row_sums(dots, scores);
  for (int r = 0; r < R; ++r) store(errors + r * kWidth, step_sizes(scores[r], roles.lanes[r], rate, loss));
}

template <int G>
PE_INLINE void score_group(float* const* in_rows, int64_t C, float* const* out_rows, int64_t D, bool with_center,
                           Float rate, float* errors, LossLanes& loss) {
  constexpr int B = contexts_together(G);
  const Roles<B * G, G> roles(with_center);
  int64_t c = 0;
  for (; c + B <= C; c += B) {
    score_contexts<B, G>(in_rows + c, out_rows, D, roles, rate, errors + c * G, loss);
    if ((c & 63) == 0) split_exponent(loss);
  }
  const Roles<G, G> single(with_center);
  for (; c < C; ++c) score_contexts<1, G>(in_rows + c, out_rows, D, single, rate, errors + c * G, loss);
  split_exponent(loss);
}

// Updates `Tail ? tail : kWidth` columns of a group's outputs and of all contexts. The contexts' rows are changed in
// place, or, where other groups still need them as they are, their changes are added to deltas [C, kWidth].
template <int G, bool Tail, bool InPlace>
PE_INLINE void update_columns(float* const* in_rows, int64_t C, float* const* out_rows, int64_t d, int tail,
                              const float* errors, float* deltas) {
  const auto get = [=](const float* p) { return Tail ? load_first(p, tail) : load(p); };
  const auto put = [=](float* p, Float x) { Tail ? store_first(p, x, tail) : store(p, x); };
  Float before[G], after[G];
  for (int g = 0; g < G; ++g) before[g] = after[g] = get(out_rows[g] + d);
  for (int64_t c = 0; c < C; ++c) {
    const Float in = get(in_rows[c] + d);
    Float change = InPlace ? in : load(deltas + c * kWidth);
    for (int g = 0; g < G; ++g) {
      const Float error = broadcast(errors[c * G + g]);
      change = fma(error, before[g], change);
      after[g] = fma(error, in, after[g]);
    }
    if (InPlace) {
      put(in_rows[c] + d, change);
    } else {
      store(deltas + c * kWidth, change);
    }
  }
  for (int g = 0; g < G; ++g) put(out_rows[g] + d, after[g]);
}

template <int G>
PE_INLINE void set_rows(const int32_t* outputs, const Tables<float>& tables, float* (&rows)[G]) {
  for (int g = 0; g < G; ++g) rows[g] = tables.out + outputs[g] * tables.out_stride;
}

// A window whose N outputs are one group.
template <int N>
PE_INLINE void one_group_window(const StepWindow& window, const Tables<float>& tables, float* errors, LossLanes& loss) {
  float* out_rows[N];
  set_rows(window.outputs, tables, out_rows);
  const int64_t D = tables.dimensions, C = window.context_count;
  score_group<N>(window.context_rows, C, out_rows, D, true, broadcast(window.rate), errors, loss);
  int64_t d = 0;
  for (; d + kWidth <= D; d += kWidth) {
    window.prefetch.columns(d);
    update_columns<N, false, true>(window.context_rows, C, out_rows, d, 0, errors, nullptr);
  }
  const int tail = static_cast<int>(D - d);
  if (tail) {
    window.prefetch.columns(d);
    update_columns<N, true, true>(window.context_rows, C, out_rows, d, tail, errors, nullptr);
  }
}

// Calls f(constant G, first output) for each group of a window of any number of outputs.
template <class F>
PE_INLINE void for_each_group(int N, const F& f) {
  int n = 0;
  for (; N - n >= kGroup; n += kGroup) f(std::integral_constant<int, kGroup>{}, n);
  switch (N - n) {
    case 1: return f(std::integral_constant<int, 1>{}, n);
    case 2: return f(std::integral_constant<int, 2>{}, n);
    case 3: return f(std::integral_constant<int, 3>{}, n);
    case 4: return f(std::integral_constant<int, 4>{}, n);
    case 5: return f(std::integral_constant<int, 5>{}, n);
    default: return;
  }
}

PE_INLINE void add_deltas(float* const* in_rows, int64_t C, int64_t d, int columns, float* deltas) {
  for (int64_t c = 0; c < C; ++c) {
    float* in = in_rows[c] + d;
    store_first(in, load_first(in, columns) + load(deltas + c * kWidth), columns);
    store(deltas + c * kWidth, zero());
  }
}

// A window of any number of outputs: all step sizes first, so that every group sees the rows as they were.
PE_INLINE void several_groups_window(const StepWindow& window, int N, const Tables<float>& tables,
                                     const StepScratch& scratch, LossLanes& loss) {
  const int64_t D = tables.dimensions, C = window.context_count;
  for_each_group(N, [&](auto group, int n) {
    constexpr int G = decltype(group)::value;
    float* out_rows[G];
    set_rows(window.outputs + n, tables, out_rows);
    score_group<G>(window.context_rows, C, out_rows, D, n == 0, broadcast(window.rate), scratch.errors + n * C, loss);
  });
  for (int64_t c = 0; c < C; ++c) store(scratch.deltas + c * kWidth, zero());
  for (int64_t d = 0; d < D; d += kWidth) {
    const int columns = D - d < kWidth ? static_cast<int>(D - d) : kWidth;
    window.prefetch.columns(d);
    for_each_group(N, [&](auto group, int n) {
      constexpr int G = decltype(group)::value;
      float* out_rows[G];
      set_rows(window.outputs + n, tables, out_rows);
      update_columns<G, true, false>(window.context_rows, C, out_rows, d, columns, scratch.errors + n * C,
                                     scratch.deltas);
    });
    add_deltas(window.context_rows, C, d, columns, scratch.deltas);
  }
}

// N: the number of outputs when they are one group, 0 when they are several.
template <int N>
LossSum skipgram_range(const TokenBlock& block, const Draws& draws, const Tables<float>& tables,
                       const LearningRate& rate, int64_t begin, int64_t end, void* memory) {
  const StepScratch scratch = carve(draws, tables.dimensions, memory);
  LossLanes loss = no_loss();
  double exact_loss = 0;
  const auto step = [&](const StepWindow& window) {
    if (N > 0) {
      one_group_window<N == 0 ? 1 : N>(window, tables, scratch.errors, loss);
    } else {
      several_groups_window(window, 1 + draws.negative, tables, scratch, loss);
    }
    return window.context_count;
  };
  const auto exact_step = [&](const ExactWindow<float>& window) {
    const LossSum sum = skipgram_exact_window(window, tables, tables, scratch.exact);
    exact_loss += sum.loss;
    return sum.pairs;
  };
  const int64_t pairs = walk_windows(block, draws, tables, rate, begin, end, scratch, step, exact_step);
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
