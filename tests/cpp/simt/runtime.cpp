// The runtime's functions: limits of a launch, attributes, errors; and the shim's own interface, for C++ and for C.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <iterator>
#include <mutex>
#include <string>
#include <utility>

#include "cuda_runtime.h"
#include "execution.h"

namespace {

constexpr uint64_t kMostThreads = 1024, kMostThreadsOfAMultiprocessor = 2048;
constexpr size_t kDefaultShared = size_t{48} << 10, kMostShared = size_t{227} << 10;
constexpr size_t kSharedOfAMultiprocessor = size_t{228} << 10, kSharedOfTheSystem = size_t{1} << 10;

std::mutex one_launch;
cudaError_t last_error = cudaSuccess;
std::string last_failure;
std::map<const void*, size_t> raised_limits;  // of dynamic shared memory
uint64_t seed = [] {
  const char* text = std::getenv("PYEMBED_SIMT_SEED");
  return text ? std::strtoull(text, nullptr, 10) : uint64_t{2};
}();

size_t shared_limit(const void* function) {
  const auto raised = raised_limits.find(function);
  return raised == raised_limits.end() ? kDefaultShared : raised->second;
}

bool between(uint64_t low, uint64_t value, uint64_t high) { return low <= value && value <= high; }

cudaError_t check_launch(const void* function, simt::Index3 grid, simt::Index3 block, size_t shared_bytes) {
  const bool grid_fits = between(1, grid.x, 0x7FFFFFFF) && between(1, grid.y, 65535) && between(1, grid.z, 65535);
  const bool block_fits = between(1, block.x, 1024) && between(1, block.y, 1024) && between(1, block.z, 64);
  if (!grid_fits || !block_fits || uint64_t{block.x} * block.y * block.z > kMostThreads) {
    return cudaErrorInvalidConfiguration;
  }
  return shared_bytes > shared_limit(function) ? cudaErrorInvalidValue : cudaSuccess;
}

cudaError_t remember(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

}  // namespace

cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return last_error; }

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "cudaSuccess";
    case cudaErrorInvalidValue:
      return "cudaErrorInvalidValue";
    case cudaErrorInvalidConfiguration:
      return "cudaErrorInvalidConfiguration";
    case cudaErrorLaunchFailure:
      return "cudaErrorLaunchFailure";
  }
  return "unknown error";
}

const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorLaunchFailure ? last_failure.c_str() : cudaGetErrorName(error);
}

cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
      *value = simt::device.multiprocessors;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      *value = 9;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      *value = 0;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      *value = kSharedOfAMultiprocessor;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = kMostShared;
      return cudaSuccess;
  }
  return remember(cudaErrorInvalidValue);
}

cudaError_t cudaMallocAsync(void** memory, size_t bytes, cudaStream_t) {
  *memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  std::memset(*memory, simt::kPoison, bytes);
  return cudaSuccess;
}

cudaError_t cudaFreeAsync(void* memory, cudaStream_t) {
  std::free(memory);
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t) {
  std::memset(memory, value, bytes);
  return cudaSuccess;
}

namespace simt {

cudaError_t set_attribute(const void* function, cudaFuncAttribute attribute, int value) {
  if (attribute == cudaFuncAttributePreferredSharedMemoryCarveout) return cudaSuccess;
  if (value < 0 || static_cast<size_t>(value) > kMostShared) return remember(cudaErrorInvalidValue);
  raised_limits[function] = std::max(kDefaultShared, static_cast<size_t>(value));
  return cudaSuccess;
}

cudaError_t blocks_per_multiprocessor(int* blocks, const void* function, int threads, size_t shared_bytes) {
  if (!between(1, static_cast<uint64_t>(threads), kMostThreads)) return remember(cudaErrorInvalidValue);
  const uint64_t by_threads = kMostThreadsOfAMultiprocessor / static_cast<uint64_t>(threads);
  const uint64_t by_shared = kSharedOfAMultiprocessor / (shared_bytes + kSharedOfTheSystem);
  const bool fits = shared_bytes <= shared_limit(function);
  *blocks = fits ? std::min(device.blocks_per_multiprocessor, static_cast<int>(std::min(by_threads, by_shared))) : 0;
  return cudaSuccess;
}

void launch_lanes(const char* name, const void* function, Index3 grid, Index3 block, size_t shared_bytes,
                  void (*body)(const void*), const void* argument) {
  const std::lock_guard<std::mutex> alone(one_launch);
  const cudaError_t refusal = check_launch(function, grid, block, shared_bytes);
  if (refusal != cudaSuccess) {
    remember(refusal);
    return;
  }
  ++counters.launches;
  Launch launch(name, grid, block, shared_bytes, body, argument, seed);
  current = &launch;
  launch.run();
  current = nullptr;
  if (launch.failure().empty()) return;
  last_failure = launch.failure();
  remember(cudaErrorLaunchFailure);
}

void set_seed(uint64_t value) { seed = value; }
const char* failure() { return last_failure.c_str(); }

void take_turns() { current->take_turns(); }
void fail(const char* what, Place place) { current->fail(place, "%s", what); }
uint64_t meet(Meeting meeting, const char* name, unsigned mask, uint64_t value, int source, Place place) {
  return current->meet(meeting, name, mask, value, source, place);
}
void meet_block(Place place) { current->meet_block(place); }

}  // namespace simt

// --- For Python's ctypes ---
extern "C" {

void pyembed_simt_set_seed(uint64_t seed) { simt::set_seed(seed); }
void pyembed_simt_reset_counters() { simt::reset_counters(); }

// The name of a counter, null past the last, and its count.
const char* pyembed_simt_counter(int which, uint64_t* count) {
  const simt::Counters& all = simt::counters;
  const std::pair<const char*, uint64_t> counters[] = {{"launches", all.launches},
                                                       {"blocks", all.blocks},
                                                       {"load_calls", all.load_calls},
                                                       {"load_bytes", all.load_bytes},
                                                       {"store_calls", all.store_calls},
                                                       {"store_bytes", all.store_bytes},
                                                       {"atomic_calls", all.atomic_calls},
                                                       {"atomic_bytes", all.atomic_bytes},
                                                       {"copy_calls", all.copy_calls},
                                                       {"copy_bytes", all.copy_bytes},
                                                       {"shuffles", all.shuffles},
                                                       {"votes", all.votes},
                                                       {"warp_barriers", all.warp_barriers},
                                                       {"block_barriers", all.block_barriers},
                                                       {"largest_shared_bytes", all.largest_shared_bytes}};
  if (which < 0 || which >= static_cast<int>(std::size(counters))) return nullptr;
  *count = counters[which].second;
  return counters[which].first;
}
}
