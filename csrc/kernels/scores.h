// Dot products of a few contexts with a group of outputs, straight into sigmoid and step sizes.
// Spec: pyembed/reference.py sections 4 to 6. PE_ISA names the namespace.
#pragma once

namespace pyembed::PE_ISA {

// What the lanes stand for in the scores [B, G] of a group, register by register.
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

// Step sizes of B contexts with G outputs, into errors [B, G] (whole registers are written). with_center: the first of
// the outputs is the center.
template <int B, int G>
PE_INLINE void score_group(float* const* in_rows, float* const* out_rows, int64_t D, bool with_center, Float rate,
                           float* errors, LossLanes& loss) {
  Float dots[B * G];
  PE_UNROLL
  for (int i = 0; i < B * G; ++i) dots[i] = zero();
  const auto accumulate = [&](const auto& load_columns) {
    Float in[B];
    PE_UNROLL
    for (int b = 0; b < B; ++b) in[b] = load_columns(in_rows[b]);
    PE_UNROLL
    for (int g = 0; g < G; ++g) {
      const Float out = load_columns(out_rows[g]);
      PE_UNROLL
      for (int b = 0; b < B; ++b) dots[b * G + g] = fma(in[b], out, dots[b * G + g]);
    }
  };
  int64_t d = 0;
  for (; d + kWidth <= D; d += kWidth) accumulate([d](const float* row) { return load(row + d); });
  const int tail = static_cast<int>(D - d);
  if (tail) accumulate([d, tail](const float* row) { return load_first(row + d, tail); });

  const Roles<B * G, G> roles(with_center);
  constexpr int R = Roles<B * G, G>::kRegisters;
  Float scores[R];
  row_sums(dots, scores);
  PE_UNROLL
  for (int r = 0; r < R; ++r) store(errors + r * kWidth, step_sizes(scores[r], roles.lanes[r], rate, loss));
}

// Calls f(constant G, first output) for each group of a window of any number of outputs.
template <class F>
PE_INLINE void for_each_group(int N, const F& f) {
  int n = 0;
  for (; N - n >= kGroup; n += kGroup) f(std::integral_constant<int, kGroup>{}, n);
  switch (N - n) {
    case 1:
      return f(std::integral_constant<int, 1>{}, n);
    case 2:
      return f(std::integral_constant<int, 2>{}, n);
    case 3:
      return f(std::integral_constant<int, 3>{}, n);
    case 4:
      return f(std::integral_constant<int, 4>{}, n);
    case 5:
      return f(std::integral_constant<int, 5>{}, n);
    default:
      return;
  }
}

// A number known at compile time makes one group.
template <int N, class F>
PE_INLINE void for_each_group(std::integral_constant<int, N> count, const F& f) {
  static_assert(N <= kGroup);
  f(count, 0);
}

}  // namespace pyembed::PE_ISA
