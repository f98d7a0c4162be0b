// Small kernels for the tests of the execution shim: right ones, and one for each kind of mistake.
#pragma once

#include "kernels/cuda/portable.cuh"

namespace pyembed {
namespace {

constexpr int kThreads = 128;

// --- Right kernels ---

__global__ void sum_by_blocks(const float* values, int count, double* sum) {
  PE_DYNAMIC_SHARED(shared);
  auto* const of_warps = reinterpret_cast<float*>(shared);
  float part = 0;
  for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < static_cast<unsigned>(count);
       i += gridDim.x * blockDim.x) {
    part += values[i];
  }
  for (int distance = kWarp / 2; distance > 0; distance /= 2) part += __shfl_xor_sync(kAllLanes, part, distance);
  if (lane_index() == 0) of_warps[threadIdx.x / kWarp] = part;
  __syncthreads();
  if (threadIdx.x == 0) {
    double of_block = 0;
    for (unsigned w = 0; w < blockDim.x / kWarp; ++w) of_block += static_cast<double>(of_warps[w]);
    atomic_add(sum, of_block);
  }
}

// out: [7, 32]
__global__ void exchange(unsigned* out) {
  const auto lane = static_cast<unsigned>(lane_index());
  out[lane] = __shfl_sync(kAllLanes, lane, static_cast<int>(lane) + 5);
  out[32 + lane] = __shfl_up_sync(kAllLanes, lane, 3, 16);
  out[64 + lane] = __shfl_down_sync(kAllLanes, lane, 3, 16);
  out[96 + lane] = __shfl_xor_sync(kAllLanes, lane, 9);
  const unsigned odd = 0xAAAAAAAAu;
  out[128 + lane] = __ballot_sync(kAllLanes, lane % 2 == 1);
  if (lane % 2 == 1) {
    out[160 + lane] = __match_any_sync(odd, static_cast<int>(lane) / 8);
    out[192 + lane] = __any_sync(odd, lane == 31) + 2 * __any_sync(odd, 0) + 4 * __all_sync(odd, lane > 0) +
                      8 * __all_sync(odd, lane > 1);
  }
}

// Every warp adds 1 to a row that all share, in one of two ways.
__global__ void add_to_row(float* row, int times, bool atomically) {
  for (int t = 0; t < times; ++t) {
    float* const element = row + lane_index();
    if (atomically) {
      atomic_add(element, 1.0f);
    } else {
      const float old = racing_load(element);
      racing_store(element, old + 1);
    }
  }
}

// Turns 32 numbers around by way of shared memory.
__global__ void turn_around(const float* in, float* out, bool wait_for_others) {
  PE_DYNAMIC_SHARED(shared);
  auto* const values = reinterpret_cast<float*>(shared);
  values[lane_index()] = in[lane_index()];
  if (wait_for_others) __syncwarp();
  out[lane_index()] = values[kWarp - 1 - lane_index()];
}

// Copies two rows of 128 floats in a group each; sees the first after waiting for all but `under_way` groups.
template <int under_way>
__global__ void copy_rows(const float* in, float* out) {
  PE_DYNAMIC_SHARED(shared);
  auto* const rows = reinterpret_cast<float*>(shared);
  for (int r = 0; r < 2; ++r) {
    copy_later(rows + r * 128 + 4 * lane_index(), in + r * 128 + 4 * lane_index());
    end_copy_group();
  }
  wait_for_copies<under_way>();
  __syncwarp();
  for (int i = lane_index(); i < 256; i += kWarp) out[i] = rows[i];
}

// Copies four floats and changes them before they have arrived.
__global__ void copy_and_change(float* values, float* out) {
  PE_DYNAMIC_SHARED(shared);
  copy_later(shared, values);
  end_copy_group();
  for (int i = 0; i < 4; ++i) racing_store(values + i, 2.0f);
  wait_for_copies<0>();
  for (int i = 0; i < 4; ++i) out[i] = reinterpret_cast<const float*>(shared)[i];
}

// --- Mistakes ---

__global__ void lane_missing(float* out) {
  if (lane_index() < 16) return;
  out[lane_index()] = __shfl_xor_sync(kAllLanes, 1.0f, 1);
}
__global__ void lanes_elsewhere() {
  if (lane_index() < 16) {
    __syncwarp();
  } else {
    __ballot_sync(kAllLanes, 1);
  }
}
__global__ void outside_the_mask(int* out) {
  if (lane_index() < 8) out[lane_index()] = __shfl_sync(0xFFu, 1, 8);
}
__global__ void not_in_its_mask() { __syncwarp(0x7FFFFFFFu); }
__global__ void thread_missing() {
  if (threadIdx.x != 70) __syncthreads();
}
__global__ void two_barriers() {
  if (threadIdx.x < 64) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}
__global__ void not_aligned(const float* row) { racing_load4(row + 1 + lane_index()); }
__global__ void copy_elsewhere(float* row) { copy_later(row, row + 4); }
__global__ void nothing() {}

}  // namespace
}  // namespace pyembed
