// Dot products of a few contexts with a group of outputs, straight into sigmoid and step sizes.
// Spec: pyembed/reference.py sections 4 to 6. PE_ISA names the namespace.
#pragma once

namespace pyembed::PE_ISA {

// Dot products of B contexts with G outputs, [B, G], in the lanes of a register each. meanwhile(d): called for each
// register of columns.
template <int B, int G, class Meanwhile>
PE_INLINE void dot_group(float* const* in_rows, float* const* out_rows, int64_t D, Float (&dots)[B * G],
                         const Meanwhile& meanwhile) {
  const float *in[B], *out[G];
  unrolled<B>([&](auto b) PE_LAMBDA { in[b] = in_rows[b]; });
  unrolled<G>([&](auto g) PE_LAMBDA { out[g] = out_rows[g]; });
  unrolled<B * G>([&](auto i) PE_LAMBDA { dots[i] = zero(); });
  const auto accumulate = [&](const auto& load_columns) PE_LAMBDA {
    Float columns[B];
    unrolled<B>([&](auto b) PE_LAMBDA { columns[b] = load_columns(in[b]); });
    unrolled<G>([&](auto g) PE_LAMBDA {
      const Float of_output = in_register(load_columns(out[g]));
      unrolled<B>([&](auto b) PE_LAMBDA { dots[b * G + g] = fma(columns[b], of_output, dots[b * G + g]); });
    });
  };
  int64_t d = 0;
  for (; d + kWidth <= D; d += kWidth) {
    meanwhile(d);
    accumulate([d](const float* row) PE_LAMBDA { return load(row + d); });
  }
  const int tail = static_cast<int>(D - d);
  if (tail) accumulate([d, tail](const float* row) PE_LAMBDA { return load_first(row + d, tail); });
}

// Step sizes of B contexts with G outputs, into errors [B, G] (whole registers are written). labels: of the outputs, as
// store_step_sizes().
template <int B, int G, class Labels, class Loss, class Meanwhile>
PE_INLINE void score_group(float* const* in_rows, float* const* out_rows, int64_t D, Labels labels, float rate,
                           float* errors, Loss& loss, const Meanwhile& meanwhile) {
  Float dots[B * G];
  dot_group<B, G>(in_rows, out_rows, D, dots, meanwhile);
  constexpr int R = (B * G + kWidth - 1) / kWidth;
  Float scores[R];
  row_sums(dots, scores);
  store_step_sizes<B * G, G>(scores, labels, rate, errors, loss);
}

// Outputs of a group, of which `left` are left.
constexpr int kGroupOutputs = kGroup;
PE_INLINE int group_width(int left) { return left < kGroup ? left : kGroup; }

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
  static_assert(N <= kLargestGroup);
  f(count, 0);
}

}  // namespace pyembed::PE_ISA
