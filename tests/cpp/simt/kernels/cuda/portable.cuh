// The names of csrc/kernels/cuda/portable.cuh for the execution shim, which comes before it on the include path.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <cstring>
#include <iterator>

#include "kernels/bfloat16.h"

namespace pyembed {

#define PE_DEVICE inline __attribute__((always_inline))
#define PE_LAUNCH(kernel, blocks, threads, shared_bytes, stream, ...) \
  (::simt::launch(#kernel, kernel, blocks, threads, shared_bytes, stream)(__VA_ARGS__))
#define PE_DYNAMIC_SHARED(name) unsigned char* const name = ::simt::dynamic_shared()

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xFFFFFFFFu;

PE_DEVICE int lane_index() { return simt::running->index; }

struct alignas(8) BFloat16x4 {
  BFloat16 element[4];
};

// --- Accesses that race: atomic and unordered, element by element, as other warps may come between any two ---

namespace simt_access {

template <class Element>
using Bits = simt::BitsOf<sizeof(Element)>;

template <class Element, class Elements>
void load(const Element* address, Elements& elements, simt::Place place) {
  simt::racing(simt::counters.load_calls, simt::counters.load_bytes, sizeof elements, address, place);
  for (size_t i = 0; i < sizeof elements / sizeof(Element); ++i) {
    const auto bits = __atomic_load_n(reinterpret_cast<const Bits<Element>*>(address) + i, __ATOMIC_RELAXED);
    std::memcpy(reinterpret_cast<char*>(&elements) + i * sizeof bits, &bits, sizeof bits);
  }
}

template <class Element, class Elements>
void store(Element* address, const Elements& elements, simt::Place place) {
  simt::racing(simt::counters.store_calls, simt::counters.store_bytes, sizeof elements, address, place);
  for (size_t i = 0; i < sizeof elements / sizeof(Element); ++i) {
    Bits<Element> bits;
    std::memcpy(&bits, reinterpret_cast<const char*>(&elements) + i * sizeof bits, sizeof bits);
    __atomic_store_n(reinterpret_cast<Bits<Element>*>(address) + i, bits, __ATOMIC_RELAXED);
  }
}

}  // namespace simt_access

template <class Element>
Element racing_load(const Element* address, SIMT_HERE) {
  Element element;
  simt_access::load(address, element, place);
  return element;
}
inline float4 racing_load4(const float* address, SIMT_HERE) {
  float4 elements;
  simt_access::load(address, elements, place);
  return elements;
}
inline BFloat16x4 racing_load4(const BFloat16* address, SIMT_HERE) {
  BFloat16x4 elements;
  simt_access::load(address, elements, place);
  return elements;
}

inline void racing_store(float* address, float value, SIMT_HERE) { simt_access::store(address, value, place); }
inline void racing_store(double* address, double value, SIMT_HERE) { simt_access::store(address, value, place); }
inline void racing_store(BFloat16* address, BFloat16 value, SIMT_HERE) { simt_access::store(address, value, place); }
inline void racing_store4(float* address, float4 value, SIMT_HERE) { simt_access::store(address, value, place); }
inline void racing_store4(BFloat16* address, BFloat16x4 value, SIMT_HERE) { simt_access::store(address, value, place); }

inline void atomic_add(float* address, float value, SIMT_HERE) { atomicAdd(address, value, place); }
inline void atomic_add(double* address, double value, SIMT_HERE) { atomicAdd(address, value, place); }
inline void atomic_add4(float* address, float4 value, SIMT_HERE) {
  simt::racing_update(sizeof value, address, place);
  const float added[] = {value.x, value.y, value.z, value.w};
  for (int i = 0; i < 4; ++i) simt::update_atomically(address + i, [&](float old) { return old + added[i]; });
}

inline BFloat16 compare_and_swap(BFloat16* address, BFloat16 expected, BFloat16 desired, SIMT_HERE) {
  return {atomicCAS(&address->bits, expected.bits, desired.bits, place)};
}
inline BFloat16x4 compare_and_swap4(BFloat16* address, BFloat16x4 expected, BFloat16x4 desired, SIMT_HERE) {
  unsigned long long old_bits, new_bits;
  std::memcpy(&old_bits, &expected, sizeof old_bits);
  std::memcpy(&new_bits, &desired, sizeof new_bits);
  old_bits = atomicCAS(reinterpret_cast<unsigned long long*>(address), old_bits, new_bits, place);
  std::memcpy(&expected, &old_bits, sizeof old_bits);
  return expected;
}

// --- Copies that arrive when they are waited for, and not before ---

namespace simt_access {

inline void read(simt::PendingCopy& copy) {
  for (size_t i = 0; i < std::size(copy.words); ++i) copy.words[i] = __atomic_load_n(copy.global + i, __ATOMIC_RELAXED);
}

}  // namespace simt_access

inline void copy_later(void* shared, const void* global, SIMT_HERE) {
  simt::racing(simt::counters.copy_calls, simt::counters.copy_bytes, simt::kCopyBytes, global, place);
  if (reinterpret_cast<uintptr_t>(shared) % simt::kCopyBytes != 0) {
    simt::fail("a copy_later that is not aligned", place);
  }
  if (!simt::is_shared(shared, simt::kCopyBytes)) simt::fail("a copy_later to what is not shared memory", place);
  simt::PendingCopy copy{
      static_cast<uint32_t*>(shared), static_cast<const uint32_t*>(global), simt::copies_read_at_once(), {}, 0};
  for (size_t i = 0; i < std::size(copy.words); ++i) copy.shared[i] = 0x01010101u * simt::kPoison;
  if (copy.read) simt_access::read(copy);
  simt::begin_copy(copy);
}

inline void end_copy_group() { simt::end_copy_group(); }

template <int groups>
void wait_for_copies() {
  simt::PendingCopy copy;
  while (simt::next_copy(groups, copy)) {
    if (!copy.read) simt_access::read(copy);
    for (size_t i = 0; i < std::size(copy.words); ++i) copy.shared[i] = copy.words[i];
  }
  simt::take_turns();
}

}  // namespace pyembed
