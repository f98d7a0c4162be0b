// How work is dealt to threads and warps, and what the lanes of a warp add up.
#pragma once

#include "kernels/cuda/portable.cuh"

namespace pyembed {

// --- One item a thread, in strides of the grid ---

constexpr int kBlockThreads = 256;

PE_DEVICE int64_t thread_number() { return blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x; }
PE_DEVICE int64_t thread_count() { return gridDim.x * static_cast<int64_t>(blockDim.x); }

// At least one block, so that a kernel without work is a launch without an error.
inline unsigned blocks_for(int64_t items) {
  constexpr int64_t most = 1 << 16;
  const int64_t blocks = (items + kBlockThreads - 1) / kBlockThreads;
  return static_cast<unsigned>(blocks < 1 ? 1 : blocks < most ? blocks : most);
}

// --- Several warps a block, each with a range of items of its own ---

PE_DEVICE int warp_in_block() { return static_cast<int>(threadIdx.x) / kWarp; }
PE_DEVICE int64_t warp_number() { return blockIdx.x * static_cast<int64_t>(blockDim.x / kWarp) + warp_in_block(); }
PE_DEVICE int64_t warp_count() { return gridDim.x * static_cast<int64_t>(blockDim.x / kWarp); }

// A part of a run of items.
struct Range {
  int64_t begin, end;
};

// This warp's share of [begin, end): neighbouring warps have neighbouring shares.
PE_DEVICE Range share_of_warp(int64_t begin, int64_t end) {
  const int64_t share = (end - begin + warp_count() - 1) / warp_count();
  const int64_t first = begin + warp_number() * share, last = first + share;
  return {first < end ? first : end, last < end ? last : end};
}

// Blocks and threads of a grid of warps.
struct WarpGrid {
  unsigned blocks;
  unsigned threads;
};

// The grid that trains `items` with `warps` warps; 0: as many as the device holds at the same time. `kernel` takes
// shared_bytes of dynamic shared memory a block.
template <class Kernel>
cudaError_t warp_grid(Kernel kernel, int warps_a_block, size_t shared_bytes, int64_t warps, int64_t items,
                      WarpGrid* grid) {
  if (warps == 0) {
    int device = 0, processors = 0, resident = 0;
    cudaError_t error = cudaGetDevice(&device);
    if (error == cudaSuccess) {
      error = cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device);
    }
    if (error == cudaSuccess) {
      error = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, kernel, warps_a_block * kWarp, shared_bytes);
    }
    if (error != cudaSuccess) return error;
    warps = static_cast<int64_t>(processors) * resident * warps_a_block;
  }
  warps = warps < items ? warps : items;
  if (warps < warps_a_block) warps_a_block = warps < 1 ? 1 : static_cast<int>(warps);
  const int64_t blocks = (warps + warps_a_block - 1) / warps_a_block;
  *grid = {static_cast<unsigned>(blocks < 1 ? 1 : blocks), static_cast<unsigned>(warps_a_block * kWarp)};
  return cudaSuccess;
}

// Windows that train at the same time do not know of one another. A small vocabulary has them meet in every row, so
// that they would all make the same change: then fewer do. As many items as there may be warps that the device chooses.
inline int64_t items_at_once(int64_t items, int64_t warps, int64_t vocabulary) {
  if (warps != 0) return items;
  const int64_t most = vocabulary / 4 < 1 ? 1 : vocabulary / 4;
  return items < most ? items : most;
}

// --- Sums over the lanes of a warp ---

template <class Real>
PE_DEVICE Real sum_of_lanes(Real value) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) value += __shfl_xor_sync(kAllLanes, value, distance);
  return value;
}

// Adds what the lanes found to the sums of the whole launch.
PE_DEVICE void add_to_total(double loss, double pairs, double* total) {
  loss = sum_of_lanes(loss);
  pairs = sum_of_lanes(pairs);
  if (lane_index() != 0) return;
  atomic_add(total, loss);
  atomic_add(total + 1, pairs);
}

// --- The first index at which something is wrong; -1, the largest number without a sign, where nothing is ---

PE_DEVICE void keep_first(int64_t* first, int64_t index) {
  atomicMin(reinterpret_cast<unsigned long long*>(first), static_cast<unsigned long long>(index));
}

}  // namespace pyembed
