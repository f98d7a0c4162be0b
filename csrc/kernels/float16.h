// IEEE half precision: widened to float to be computed with, and rounded to the nearest when it is stored.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/portable.h"

namespace pyembed {

struct Float16 {
  uint16_t bits;
};

PE_HD PE_INLINE float value_of(Float16 element) {
  const uint32_t sign = (element.bits & 0x8000u) << 16, magnitude = element.bits & 0x7FFFu;
  const bool finite = magnitude < 0x7C00u;
  uint32_t pattern = (magnitude << 13) | (finite ? 0u : 0x7F800000u);
  float value;
  std::memcpy(&value, &pattern, sizeof value);
  if (finite) value *= 0x1p112f;  // moves the exponent's origin, and makes a subnormal number a normal one
  std::memcpy(&pattern, &value, sizeof pattern);
  pattern |= sign;
  std::memcpy(&value, &pattern, sizeof value);
  return value;
}

// Ties go to the even neighbour; what is too large becomes infinite.
PE_HD PE_INLINE Float16 nearest_float16(float value) {
  uint32_t pattern;
  std::memcpy(&pattern, &value, sizeof pattern);
  const uint32_t sign = (pattern >> 16) & 0x8000u;
  uint32_t magnitude = pattern & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) {
    magnitude = 0x7E00u;  // not a number
  } else if (magnitude >= 0x47800000u) {
    magnitude = 0x7C00u;
  } else if (magnitude < 0x38800000u) {  // subnormal: the adder rounds, at the place where 0.5 has its last bit
    float shifted;
    std::memcpy(&shifted, &magnitude, sizeof shifted);
    shifted += 0.5f;
    std::memcpy(&magnitude, &shifted, sizeof magnitude);
    magnitude -= 0x3F000000u;
  } else {
    magnitude += 0xC8000FFFu + ((magnitude >> 13) & 1u);  // the exponent's new origin, and just below half a unit
    magnitude >>= 13;
  }
  return {static_cast<uint16_t>(sign | magnitude)};
}

}  // namespace pyembed
