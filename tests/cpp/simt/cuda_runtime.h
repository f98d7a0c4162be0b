// What the kernels use of CUDA, on the CPU: put before the real one on the include path, so that g++ compiles .cu files
// as C++.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "simt.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __shared__ static_assert(false, "the execution shim has dynamic shared memory only: PE_DYNAMIC_SHARED");
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __launch_bounds__(...)

using std::max;
using std::min;

// --- Types ---
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) int2 {
  int x, y;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(16) double2 {
  double x, y;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline int2 make_int2(int x, int y) { return {x, y}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline double2 make_double2(double x, double y) { return {x, y}; }

struct dim3 : simt::Index3 {
  dim3(unsigned x_size = 1, unsigned y_size = 1, unsigned z_size = 1) : Index3{x_size, y_size, z_size} {}
};

#define threadIdx (::simt::running->thread)
#define blockIdx (::simt::running->block_index)
#define blockDim (::simt::running->block_size)
#define gridDim (::simt::running->grid_size)
constexpr int warpSize = 32;

// --- Collectives. The last parameter is where they are called. ---
#define SIMT_HERE simt::Place place = simt::Place::here()

inline void __syncwarp(unsigned mask = 0xFFFFFFFFu, SIMT_HERE) {
  simt::meet(simt::Meeting::barrier, "__syncwarp", mask, 0, 0, place);
}
inline void __syncthreads(SIMT_HERE) { simt::meet_block(place); }

namespace simt {

template <class Value>
uint64_t to_bits(Value value) {
  static_assert(std::is_arithmetic_v<Value> && (sizeof value == 4 || sizeof value == 8), "CUDA shuffles no such type");
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return bits;
}

template <class Value>
Value shuffle(const char* name, unsigned mask, Value value, int source, Place place) {
  const uint64_t bits = meet(Meeting::shuffle, name, mask, to_bits(value), source, place);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace simt

template <class Value>
Value __shfl_sync(unsigned mask, Value value, int source, int width = warpSize, SIMT_HERE) {
  const int first = simt::running->index & ~(width - 1);
  return simt::shuffle("__shfl_sync", mask, value, first + (source & (width - 1)), place);
}
template <class Value>
Value __shfl_up_sync(unsigned mask, Value value, unsigned distance, int width = warpSize, SIMT_HERE) {
  const int lane = simt::running->index, source = lane - static_cast<int>(distance);
  return simt::shuffle("__shfl_up_sync", mask, value, source < (lane & ~(width - 1)) ? lane : source, place);
}
template <class Value>
Value __shfl_down_sync(unsigned mask, Value value, unsigned distance, int width = warpSize, SIMT_HERE) {
  const int lane = simt::running->index, source = lane + static_cast<int>(distance);
  return simt::shuffle("__shfl_down_sync", mask, value, source > (lane | (width - 1)) ? lane : source, place);
}
template <class Value>
Value __shfl_xor_sync(unsigned mask, Value value, int lane_mask, int width = warpSize, SIMT_HERE) {
  const int lane = simt::running->index, source = lane ^ lane_mask;
  return simt::shuffle("__shfl_xor_sync", mask, value, source > (lane | (width - 1)) ? lane : source, place);
}

inline unsigned __ballot_sync(unsigned mask, int predicate, SIMT_HERE) {
  return static_cast<unsigned>(simt::meet(simt::Meeting::vote, "__ballot_sync", mask, predicate != 0, 0, place));
}
inline int __any_sync(unsigned mask, int predicate, SIMT_HERE) {
  return simt::meet(simt::Meeting::vote, "__any_sync", mask, predicate != 0, 0, place) != 0;
}
inline int __all_sync(unsigned mask, int predicate, SIMT_HERE) {
  return simt::meet(simt::Meeting::vote, "__all_sync", mask, predicate != 0, 0, place) == mask;
}
template <class Value>
unsigned __match_any_sync(unsigned mask, Value value, SIMT_HERE) {
  return static_cast<unsigned>(
      simt::meet(simt::Meeting::match, "__match_any_sync", mask, simt::to_bits(value), 0, place));
}

// --- Bits ---
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __popcll(unsigned long long bits) { return __builtin_popcountll(bits); }
inline int __ffs(int bits) { return __builtin_ffs(bits); }
inline int __ffsll(long long bits) { return __builtin_ffsll(bits); }
inline int __clz(int bits) { return bits == 0 ? 32 : __builtin_clz(static_cast<unsigned>(bits)); }
inline int __clzll(long long bits) { return bits == 0 ? 64 : __builtin_clzll(static_cast<unsigned long long>(bits)); }

// --- Atomics ---
namespace simt {

template <size_t bytes>
using BitsOf = std::conditional_t<bytes == 2, uint16_t, std::conditional_t<bytes == 4, uint32_t, uint64_t>>;

// Replaces the value by what update(value) gives; returns what it was. Value: 2, 4 or 8 bytes.
template <class Value, class Update>
Value update_atomically(Value* address, const Update& update) {
  using Bits = BitsOf<sizeof(Value)>;
  auto* bits = reinterpret_cast<Bits*>(address);
  Bits old_bits = __atomic_load_n(bits, __ATOMIC_RELAXED), new_bits;
  Value value;
  do {
    std::memcpy(&value, &old_bits, sizeof value);
    const Value next = update(value);
    std::memcpy(&new_bits, &next, sizeof next);
  } while (!__atomic_compare_exchange_n(bits, &old_bits, new_bits, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
  return value;
}

inline void racing_update(size_t bytes, const void* address, Place place) {
  racing(counters.atomic_calls, counters.atomic_bytes, bytes, address, place);
}

template <class Value>
constexpr bool kAddsAtomically =
    std::is_same_v<Value, int> || std::is_same_v<Value, unsigned> || std::is_same_v<Value, unsigned long long> ||
    std::is_same_v<Value, float> || std::is_same_v<Value, double>;

template <class Value>
struct Same {
  using type = Value;
};

}  // namespace simt

#define SIMT_ATOMIC(name, expression)                                                          \
  template <class Value>                                                                       \
  Value name(Value* address, typename simt::Same<Value>::type operand, SIMT_HERE) {            \
    static_assert(simt::kAddsAtomically<Value>, "CUDA knows " #name " of no such type");       \
    simt::racing_update(sizeof(Value), address, place);                                        \
    return simt::update_atomically(address, [&](Value value) -> Value { return expression; }); \
  }
SIMT_ATOMIC(atomicAdd, value + operand)
SIMT_ATOMIC(atomicExch, (static_cast<void>(value), operand))
SIMT_ATOMIC(atomicMin, std::min(value, operand))
SIMT_ATOMIC(atomicMax, std::max(value, operand))
#undef SIMT_ATOMIC

template <class Value>
Value atomicCAS(Value* address, typename simt::Same<Value>::type expected, typename simt::Same<Value>::type desired,
                SIMT_HERE) {
  static_assert(std::is_integral_v<Value>, "CUDA compares and swaps integers");
  simt::racing_update(sizeof(Value), address, place);
  return simt::update_atomically(address, [&](Value value) { return value == expected ? desired : value; });
}

// --- The runtime ---
enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorLaunchFailure = 719
};
using cudaStream_t = void*;

enum cudaDeviceAttr {
  cudaDevAttrMultiProcessorCount = 16,
  cudaDevAttrComputeCapabilityMajor = 75,
  cudaDevAttrComputeCapabilityMinor = 76,
  cudaDevAttrMaxSharedMemoryPerMultiprocessor = 81,
  cudaDevAttrMaxSharedMemoryPerBlockOptin = 97
};
enum cudaFuncAttribute {
  cudaFuncAttributeMaxDynamicSharedMemorySize = 8,
  cudaFuncAttributePreferredSharedMemoryCarveout = 9
};

cudaError_t cudaGetLastError();
cudaError_t cudaPeekAtLastError();
const char* cudaGetErrorString(cudaError_t error);
const char* cudaGetErrorName(cudaError_t error);
cudaError_t cudaGetDevice(int* device);
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device);
cudaError_t cudaMallocAsync(void** memory, size_t bytes, cudaStream_t stream);  // full of NaN
cudaError_t cudaFreeAsync(void* memory, cudaStream_t stream);
cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t stream = nullptr);

namespace simt {

cudaError_t set_attribute(const void* function, cudaFuncAttribute attribute, int value);
cudaError_t blocks_per_multiprocessor(int* blocks, const void* function, int threads, size_t shared_bytes);
// Checks the limits of a launch, runs it, and remembers its error for cudaGetLastError().
void launch_lanes(const char* name, const void* function, Index3 grid, Index3 block, size_t shared_bytes,
                  void (*body)(const void*), const void* argument);

template <class... Parameters>
const void* address_of(void (*kernel)(Parameters...)) {
  return reinterpret_cast<const void*>(kernel);
}

// What kernel<<<...>>> is to nvcc: to be called with the arguments, of which every lane gets its own copies.
template <class... Parameters>
auto launch(const char* name, void (*kernel)(Parameters...), dim3 blocks, dim3 threads, size_t shared_bytes, void*) {
  return [=](Parameters... arguments) {
    const auto call = [&] { kernel(arguments...); };
    const auto body = [](const void* one_call) { (*static_cast<decltype(&call)>(one_call))(); };
    launch_lanes(name, address_of(kernel), blocks, threads, shared_bytes, body, &call);
    return cudaGetLastError();
  };
}

}  // namespace simt

template <class Value>
cudaError_t cudaMallocAsync(Value** memory, size_t bytes, cudaStream_t stream) {
  return cudaMallocAsync(reinterpret_cast<void**>(memory), bytes, stream);
}
template <class... Parameters>
cudaError_t cudaFuncSetAttribute(void (*kernel)(Parameters...), cudaFuncAttribute attribute, int value) {
  return simt::set_attribute(simt::address_of(kernel), attribute, value);
}
template <class... Parameters>
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, void (*kernel)(Parameters...), int threads,
                                                          size_t shared_bytes) {
  return simt::blocks_per_multiprocessor(blocks, simt::address_of(kernel), threads, shared_bytes);
}
