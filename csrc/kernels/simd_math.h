// Sigmoid and loss of a register of scores, on top of one of the simd_*.h. Spec: pyembed/reference.py section 4.
#pragma once

namespace pyembed::PE_ISA {

// exp(-x) for x >= 0, relative error below 3e-7; from 87 on it stays at exp(-87).
//   2^y = 2^integer * 2^rest, |rest| <= 1/2, the latter as a polynomial of degree 6 with coefficients (ln 2)^k / k!,
//   evaluated in three parts at once, because its latency counts.
PE_INLINE Float exp_of_minus(Float x) {
  const Float y = max(x * broadcast(-1.44269504088896341f), broadcast(-125.5f));
  const Float integer_bias =
      broadcast(12582912.0f);  // 1.5 * 2^23: adding it rounds, and leaves the integer in the low bits
  const Float biased = y + integer_bias;
  const Float rest = y - (biased - integer_bias);
  const Float square = rest * rest;
  const Float low = fma(rest, broadcast(0.69314718056f), broadcast(1.0f));
  const Float middle = fma(rest, broadcast(0.05550410866f), broadcast(0.24022650696f));
  const Float high =
      fma(square, broadcast(0.00015403530f), fma(rest, broadcast(0.00133335581f), broadcast(0.00961812911f)));
  const Float power = fma(square, fma(square, high, middle), low);
  return (Float)((Int)power + ((Int)biased << 23));
}

// Losses add up as log(product) + linear: one multiplication a score instead of one logarithm.
//   log(1 + exp(s)) = max(s, 0) + log(1 + exp(-|s|)), and the product's exponent is split off before it can overflow.
struct LossLanes {
  Float product;
  Int exponent;
  Float linear;
};

PE_INLINE LossLanes no_loss() { return {broadcast(1.0f), Int{}, zero()}; }

// Between two calls the product may take up to 100 factors, each from 1 to 2.
PE_INLINE void split_exponent(LossLanes& loss) {
  const Int bits = (Int)loss.product;
  loss.exponent += (bits >> 23) - 127;
  loss.product = (Float)((bits & 0x007FFFFF) | 0x3F800000);
}

// The sum so far, taken out of the lanes: soon enough, and float32 lanes lose nothing that float64 would keep.
inline double take_loss(LossLanes& loss) {
  float product[kWidth], linear[kWidth];
  store(product, loss.product);
  store(linear, loss.linear);
  double total = 0;
  for (int lane = 0; lane < kWidth; ++lane) {
    total += linear[lane] + std::log(static_cast<double>(product[lane])) + loss.exponent[lane] * 0.693147180559945309;
  }
  loss = no_loss();
  return total;
}

// What the lanes of a register of scores stand for.
struct LaneRoles {
  Float used;   // 1, or 0 for a lane that holds no score
  Float label;  // 1 for the center, else 0
  Float sign;   // -1 for the center, else 1: loss = log(1 + exp(sign * score))
};

// Returns rate * (label - sigmoid(score)), 0 in unused lanes, and adds the losses.
PE_INLINE Float step_sizes(Float score, const LaneRoles& lanes, Float rate, LossLanes& loss) {
  const Float magnitude = max(score, -score);
  const Float decay = exp_of_minus(magnitude);
  const Float upper = broadcast(1.0f) / (broadcast(1.0f) + decay);  // sigmoid(|score|)
  const Float probability = where_negative(score, decay * upper, upper);
  loss.product *= fma(lanes.used, decay, broadcast(1.0f));
  // max gives its second operand where one is no number: a score that is none makes the loss none, and is noticed
  loss.linear = fma(lanes.used, max(zero(), lanes.sign * score), loss.linear);
  return (lanes.label - probability) * (rate * lanes.used);
}

}  // namespace pyembed::PE_ISA
