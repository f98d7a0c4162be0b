// What kernels use of CUDA beyond warps and shared memory, by name: launches, accesses that race on purpose, copies
// that arrive later. The execution shim of the tests has a file of this path with the same names, and comes first on
// its include path, so that no kernel asks where it runs.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/bfloat16.h"

namespace pyembed {

#define PE_DEVICE __device__ __forceinline__

// Launches a kernel and evaluates to the error of doing so.
// clang-format off
#define PE_LAUNCH(kernel, blocks, threads, shared_bytes, stream, ...)                                 \
  ((kernel)<<<(blocks), (threads), (shared_bytes), static_cast<cudaStream_t>(stream)>>>(__VA_ARGS__), \
   cudaGetLastError())
// clang-format on

// Declares `name`, this block's dynamic shared memory, aligned to 16 bytes.
#define PE_DYNAMIC_SHARED(name) extern __shared__ __align__(16) unsigned char name[]

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xFFFFFFFFu;

PE_DEVICE int lane_index() { return static_cast<int>(threadIdx.x) % kWarp; }

// Four elements of a row, which lie aligned to their size: 16 bytes of float, 8 of bfloat16.
struct __align__(8) BFloat16x4 {
  BFloat16 element[4];
};

// --- Accesses to rows of tables that other warps change at the same time (Hogwild). They go to L2, where all meet. ---

PE_DEVICE float racing_load(const float* address) { return __ldcg(address); }
PE_DEVICE double racing_load(const double* address) { return __ldcg(address); }
PE_DEVICE BFloat16 racing_load(const BFloat16* address) {
  return {__ldcg(reinterpret_cast<const unsigned short*>(address))};
}
PE_DEVICE float4 racing_load4(const float* address) { return __ldcg(reinterpret_cast<const float4*>(address)); }
PE_DEVICE BFloat16x4 racing_load4(const BFloat16* address) {
  const uint2 bits = __ldcg(reinterpret_cast<const uint2*>(address));
  BFloat16x4 elements;
  memcpy(&elements, &bits, sizeof elements);
  return elements;
}

PE_DEVICE void racing_store(float* address, float value) { __stcg(address, value); }
PE_DEVICE void racing_store(double* address, double value) { __stcg(address, value); }
PE_DEVICE void racing_store(BFloat16* address, BFloat16 value) {
  __stcg(reinterpret_cast<unsigned short*>(address), value.bits);
}
PE_DEVICE void racing_store4(float* address, float4 value) { __stcg(reinterpret_cast<float4*>(address), value); }
PE_DEVICE void racing_store4(BFloat16* address, BFloat16x4 value) {
  uint2 bits;
  memcpy(&bits, &value, sizeof bits);
  __stcg(reinterpret_cast<uint2*>(address), bits);
}

// --- Additions of which none is lost ---

PE_DEVICE void atomic_add(float* address, float value) { atomicAdd(address, value); }
PE_DEVICE void atomic_add(double* address, double value) { atomicAdd(address, value); }
PE_DEVICE void atomic_add4(float* address, float4 value) {
#if __CUDA_ARCH__ >= 900
  atomicAdd(reinterpret_cast<float4*>(address), value);  // one vector reduction
#else
  atomicAdd(address, value.x);
  atomicAdd(address + 1, value.y);
  atomicAdd(address + 2, value.z);
  atomicAdd(address + 3, value.w);
#endif
}

// Replace elements if they are still `expected`; return what was found there.
PE_DEVICE BFloat16 compare_and_swap(BFloat16* address, BFloat16 expected, BFloat16 desired) {
  return {atomicCAS(reinterpret_cast<unsigned short*>(address), expected.bits, desired.bits)};
}
PE_DEVICE BFloat16x4 compare_and_swap4(BFloat16* address, BFloat16x4 expected, BFloat16x4 desired) {
  unsigned long long old_bits, new_bits;
  memcpy(&old_bits, &expected, sizeof old_bits);
  memcpy(&new_bits, &desired, sizeof new_bits);
  old_bits = atomicCAS(reinterpret_cast<unsigned long long*>(address), old_bits, new_bits);
  memcpy(&expected, &old_bits, sizeof old_bits);
  return expected;
}

// --- Copies of 16 bytes from global to shared memory that need no register and arrive later ---
// A lane's copies form groups; waiting makes a lane see its own copies, __syncwarp() then those of the others.

PE_DEVICE void copy_later(void* shared, const void* global) {
#if __CUDA_ARCH__ >= 800
  const auto address = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(address), "l"(global) : "memory");
#else
  *static_cast<float4*>(shared) = __ldcg(static_cast<const float4*>(global));
#endif
}

PE_DEVICE void end_copy_group() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits until at most `groups` of this lane's latest groups are still under way.
template <int groups>
PE_DEVICE void wait_for_copies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(groups) : "memory");
#endif
}

}  // namespace pyembed
