// Changing elements of rows that other warps change at the same time. Spec: pyembed/reference.py sections 7 and 8.
#pragma once

#include "kernels/cuda/launches.h"
#include "kernels/cuda/portable.cuh"

namespace pyembed {

// Uniform numbers of 16 bits for one lane, two from each step of a xorshift (Marsaglia 2003, "Xorshift RNGs").
class LaneBits {
 public:
  PE_DEVICE LaneBits(const Draws& draws, uint64_t position) {
    const Words4 words =
        random_words(draws.seed, draws.epoch, Stream::rounding, position, static_cast<uint32_t>(lane_index()));
    state_ = words.word[0] | 1;  // anything but 0
  }

  PE_DEVICE uint32_t next() {
    if (used_) {
      used_ = false;
      return state_ >> 16;
    }
    state_ ^= state_ << 13;
    state_ ^= state_ >> 17;
    state_ ^= state_ << 5;
    used_ = true;
    return state_ & 0xFFFF;
  }

 private:
  uint32_t state_;
  bool used_ = false;
};

// Adds a number to an element of a table.
template <class Real>
PE_DEVICE void change(Real* element, Real delta, WriteBack write_back, LaneBits&) {
  if (write_back == WriteBack::add) {
    atomic_add(element, delta);
  } else {
    racing_store(element, racing_load(element) + delta);
  }
}

PE_DEVICE void change(BFloat16* element, float delta, WriteBack write_back, LaneBits& bits) {
  BFloat16 found = racing_load(element);
  for (;;) {
    const BFloat16 expected = found, changed = round_stochastically(value_of(expected) + delta, bits.next());
    if (write_back == WriteBack::store) {
      racing_store(element, changed);
      return;
    }
    found = compare_and_swap(element, expected, changed);
    if (found.bits == expected.bits) return;
  }
}

}  // namespace pyembed
