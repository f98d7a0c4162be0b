// Step sizes and losses of scores that have a weight each, on top of simd_math.h.
// Spec: pyembed/reference.py sections 4 and 12. PE_ISA names the namespace.
#pragma once

namespace pyembed::PE_ISA {

// Weights of scores [C, G]; the sign is set where the label is 0.
struct SignedWeights {
  const float* values;
};

template <int G>
PE_INLINE SignedWeights of_contexts(SignedWeights weights, int64_t c) {
  return {weights.values + c * G};
}

// The sum of weighted losses, in powers of two.
struct WeightedLoss {
  Float powers;
};

// The sum so far, taken out of the lanes.
inline double take_loss(WeightedLoss& loss) {
  float powers[kWidth];
  store(powers, loss.powers);
  double sum = 0;
  for (int lane = 0; lane < kWidth; ++lane) sum += static_cast<double>(powers[lane]);
  loss.powers = zero();
  return sum * 0.693147180559945309;
}

// log2(x) for x in [1, 2^127], relative error below 2e-6: the exponent, and for the rest the polynomial of degree 7
// through 0 of least relative error.
PE_INLINE Float log2_of(Float x) {
  const Int bits = (Int)x;
  const Float exponent = __builtin_convertvector((bits >> 23) - 127, Float);
  const Float t = (Float)((bits & 0x007FFFFF) | 0x3F800000) - broadcast(1.0f), square = t * t;
  const Float low = fma(t, broadcast(-0.721159465f), broadcast(1.44269321f));
  const Float middle = fma(t, broadcast(-0.339088779f), broadcast(0.477668306f));
  const Float high = fma(square, broadcast(0.0204010805f), fma(t, broadcast(-0.0957972101f), broadcast(0.215284125f)));
  return fma(t, fma(square, fma(square, high, middle), low), exponent);
}

// Returns rate * weight * (label - sigmoid(score)), and adds the losses of the first `Used` lanes; as step_sizes().
template <int Used>
PE_INLINE Float weighted_step_sizes(Float score, Float weight, Float rate, WeightedLoss& loss) {
  const Float factors = (Float)(((Int)weight & INT32_MIN) ^ (Int)broadcast(-kLog2e));
  const Float exponent = score * factors;
  const Float clamped = at_most(126.0f, exponent);
  const Float growth = power_of_two(at_least(-126.0f, clamped));
  const Float sum = broadcast(1.0f) + growth;
  const Float magnitude = (Float)((Int)weight & INT32_MAX);
  const Float powers = log2_of(sum) + (exponent - clamped);
  loss.powers = first_or<Used>(fma(magnitude, powers, loss.powers), loss.powers);
  return growth * reciprocal(sum) * (weight * rate);
}

// As the one for labels.
template <int Count, int G, int R>
PE_INLINE void store_step_sizes(const Float (&scores)[R], SignedWeights weights, float rate, float* sizes,
                                WeightedLoss& loss) {
  unrolled<R>([&](auto r) PE_LAMBDA {
    constexpr int first = decltype(r)::value * kWidth, used = Count - first < kWidth ? Count - first : kWidth;
    store(sizes + first, weighted_step_sizes<used>(scores[r], load(weights.values + first), broadcast(rate), loss));
  });
}

}  // namespace pyembed::PE_ISA
