// Elements of tables: float and double, or bfloat16, which is widened to be computed with and rounded stochastically
// when it is stored. Spec: pyembed/reference.py section 8; which bits an executor rounds with is its own affair.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/draws.h"

namespace pyembed {

// The upper half of a float's bit pattern.
struct BFloat16 {
  uint16_t bits;
};

PE_HD PE_INLINE float value_of(BFloat16 element) {
  const uint32_t pattern = static_cast<uint32_t>(element.bits) << 16;
  float value;
  std::memcpy(&value, &pattern, sizeof value);
  return value;
}

template <class Real>
PE_HD PE_INLINE Real value_of(Real element) {
  return element;
}

// The type that is computed with for elements of this type.
template <class Element>
using Arithmetic = decltype(value_of(Element{}));

// One of the two neighbours of the value, whose expectation is the value. random: uniform, 0 to 2^16 - 1. What is not a
// number stays none: a GPU's has all bits set, which one more would make -0.
PE_HD PE_INLINE BFloat16 round_stochastically(float value, uint32_t random) {
  uint32_t pattern;
  std::memcpy(&pattern, &value, sizeof pattern);
  return {static_cast<uint16_t>(value == value ? (pattern + random) >> 16 : 0x7FC0u)};
}

// Uniform numbers of 16 bits for the window at a position; none is drawn before it is asked for.
class RoundingBits {
 public:
  PE_HD RoundingBits(const Draws& draws, uint64_t position)
      : seed_(draws.seed), epoch_(draws.epoch), position_(position) {}

  PE_HD PE_INLINE uint32_t next() {
    if (used_ % 8 == 0) words_ = random_words(seed_, epoch_, Stream::rounding, position_, used_ / 8);
    const uint32_t word = words_.word[used_ / 2 % 4] >> (used_ % 2 * 16);
    used_ = (used_ + 1) % kSlots;
    return word & 0xFFFF;
  }

 private:
  static constexpr uint32_t kSlots = uint32_t{8} << 24;  // a window that rounds more often begins anew
  uint64_t seed_;
  uint32_t epoch_;
  uint64_t position_;
  uint32_t used_ = 0;
  Words4 words_{};
};

template <class Real>
PE_HD PE_INLINE void add_to(Real& element, Real delta, RoundingBits&) {
  element += delta;
}

PE_HD PE_INLINE void add_to(BFloat16& element, float delta, RoundingBits& rounding) {
  element = round_stochastically(value_of(element) + delta, rounding.next());
}

}  // namespace pyembed
