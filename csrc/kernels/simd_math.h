// Sigmoid and loss of a register of scores, on top of one of the simd_*.h. Spec: pyembed/reference.py section 4.
#pragma once

namespace pyembed::PE_ISA {

// 2^y for y in [-126, 126], relative error below 3e-7: 2^integer * 2^rest, |rest| <= 1/2, the latter as the polynomial
// of degree 5 of least relative error (Remez), evaluated in parts at once, because its latency counts.
PE_INLINE Float power_of_two(Float y) {
  const Float integer_bias =
      broadcast(12582912.0f);  // 1.5 * 2^23: adding it rounds, and leaves the integer in the low bits
  const Float biased = y + integer_bias;
  const Float rest = y - (biased - integer_bias);
  const Float square = rest * rest;
  const Float low = fma(rest, broadcast(0.69314694f), broadcast(1.00000012f));
  const Float middle = fma(rest, broadcast(0.055507131f), broadcast(0.240221202f));
  const Float high = fma(rest, broadcast(0.00132764725f), broadcast(0.00967554096f));
  const Float power = fma(square, fma(square, high, middle), low);
  return (Float)((Int)power + ((Int)biased << 23));
}

// Losses add up as the logarithm of a product: one multiplication a score instead of one logarithm. The product's
// exponent is split off before it can overflow.
struct LossLanes {
  Float product;
  Int exponent;  // biased by 127 a split
  Float excess;  // powers of two of losses beyond what one factor holds
  int64_t splits;
};

constexpr int64_t kSplits = 1 << 20;  // before which the exponents must be taken out of the lanes

PE_INLINE LossLanes no_loss() { return {broadcast(1.0f), Int{}, zero(), 0}; }

// The sum so far, taken out of the lanes.
inline double take_loss(LossLanes& loss) {
  float product[kWidth], excess[kWidth];
  store(product, loss.product);
  store(excess, loss.excess);
  double natural = 0, powers = 0;
  for (int lane = 0; lane < kWidth; ++lane) {
    natural += std::log(static_cast<double>(product[lane]));
    powers += static_cast<double>(loss.exponent[lane] - 127 * loss.splits) + static_cast<double>(excess[lane]);
  }
  loss = no_loss();
  return natural + powers * 0.693147180559945309;
}

constexpr float kLog2e = 1.44269504f;

// What turns the scores from number `first` on into powers of two, and tells label 1 from 0: log2(e), or with the other
// sign for label 1. Scores are those of G outputs over and over. Of these the first is the center, if with_center.
template <int G>
PE_INLINE Float signed_log2e(int first, bool with_center) {
  struct Lanes {
    float value[2][kWidth + G];
    constexpr Lanes() : value{} {
      for (int i = 0; i < kWidth + G; ++i) {
        value[0][i] = kLog2e;
        value[1][i] = i % G == 0 ? -kLog2e : kLog2e;
      }
    }
  };
  alignas(64) static constexpr Lanes lanes;
  return load(lanes.value[with_center] + first % G);
}

// Labels of at most 32 outputs, that of output g in bit g.
struct LabelBits {
  uint32_t bits;
};

template <int G>
PE_INLINE Float signed_log2e(int first, LabelBits labels) {
  struct Lanes {
    int32_t to_sign[kWidth + G];  // how far bit i % G is from the sign of a number
    constexpr Lanes() : to_sign{} {
      for (int i = 0; i < kWidth + G; ++i) to_sign[i] = 31 - i % G;
    }
  };
  alignas(64) static constexpr Lanes lanes;
  Int to_sign;
  __builtin_memcpy(&to_sign, lanes.to_sign + first % G, sizeof to_sign);
  const Int sign = (Int{} + static_cast<int32_t>(labels.bits)) << to_sign & INT32_MIN;
  return (Float)(sign ^ (Int)broadcast(kLog2e));
}

// Those of the contexts from number c on, of which all have the same.
template <int G, class Labels>
PE_INLINE Labels of_contexts(Labels labels, int64_t) {
  return labels;
}

// Returns rate * (label - sigmoid(score)) and adds the losses of the first `Used` lanes. factors: signed_log2e();
// rate_factor: -rate * ln 2.
//   With z = score where the label is 0, -score where it is 1: loss = log(1 + exp(z)), derivative exp(z) / (1 +
//   exp(z)).
template <int Used>
PE_INLINE Float step_sizes(Float score, Float factors, Float rate_factor, LossLanes& loss) {
  const Float exponent = score * factors;
  const Float clamped = at_most(126.0f, exponent);
  const Float growth = power_of_two(at_least(-126.0f, clamped));
  const Float sum = broadcast(1.0f) + growth;
  const Float probability = growth * reciprocal(sum);
  loss.product = first_or<Used>(loss.product * sum, loss.product);
  loss.excess = first_or<Used>(loss.excess + (exponent - clamped), loss.excess);
  const Int bits = (Int)loss.product;
  loss.exponent += bits >> 23;
  loss.product = (Float)((bits & 0x007FFFFF) | 0x3F800000);
  ++loss.splits;
  return probability * (factors * rate_factor);
}

// Step sizes of `Count` scores, those of G outputs over and over. labels: as signed_log2e(). Whole registers are
// written.
template <int Count, int G, int R, class Labels>
PE_INLINE void store_step_sizes(const Float (&scores)[R], Labels labels, float rate, float* sizes, LossLanes& loss) {
  const Float rate_factor = broadcast(rate * -0.693147181f);
  unrolled<R>([&](auto r) PE_LAMBDA {
    constexpr int first = decltype(r)::value * kWidth, used = Count - first < kWidth ? Count - first : kWidth;
    store(sizes + first, step_sizes<used>(scores[r], signed_log2e<G>(first, labels), rate_factor, loss));
  });
}

}  // namespace pyembed::PE_ISA
