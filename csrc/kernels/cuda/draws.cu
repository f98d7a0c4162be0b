// The draws of windows and of explicit pairs, and the look at every index of a block before a kernel follows it.
// Implements pyembed/reference.py sections 2 and 3.1, bit for bit.
#include "kernels/cuda/grid.cuh"
#include "kernels/cuda/launches.h"

namespace pyembed {
namespace {

// One list of outputs a thread; a window has one, or one for each context that it could have.
__global__ void draw_windows(TokenBlock block, Draws draws, int64_t lists, int32_t* radius, int32_t* outputs) {
  const int64_t count = (block.center_end - block.center_begin) * lists;
  for (int64_t i = thread_number(); i < count; i += thread_count()) {
    const int64_t center = block.center_begin + i / lists, context = i % lists;
    const uint64_t position = block.first_position + static_cast<uint64_t>(center);
    int32_t* const list = outputs + i * (1 + draws.negative);
    list[0] = block.ids[center];
    negative_ids(draws, position, context, list + 1);
    if (context == 0) radius[i / lists] = window_radius(draws, position);
  }
}

__global__ void draw_negatives(Draws draws, uint64_t first_position, int64_t count, int32_t* ids) {
  for (int64_t i = thread_number(); i < count; i += thread_count()) {
    negative_ids(draws, first_position + static_cast<uint64_t>(i), 0, ids + i * draws.negative);
  }
}

__global__ void check_block(TokenBlock block, Draws draws, int64_t* bad) {
  for (int64_t t = thread_number(); t < block.tokens; t += thread_count()) {
    if (static_cast<uint32_t>(block.ids[t]) >= draws.vocabulary) keep_first(bad, t);
  }
  for (int64_t s = thread_number(); s <= block.sentences; s += thread_count()) {
    const int64_t start = block.sentence_starts[s], before = s == 0 ? 0 : block.sentence_starts[s - 1];
    const bool right =
        s == block.sentences ? start == block.tokens && start >= before : start >= before && (s > 0 || start == 0);
    if (!right) keep_first(bad + 1, s);
  }
  for (int64_t v = thread_number(); v < draws.vocabulary; v += thread_count()) {
    if (draws.alias_table[2 * v + 1] >= draws.vocabulary) keep_first(bad + 2, v);
  }
}

}  // namespace

cudaError_t launch_draw_windows(const TokenBlock& block, const Draws& draws, int32_t* radius, int32_t* outputs,
                                void* stream) {
  const int64_t lists = draws.sharing == kPerPair ? 2 * static_cast<int64_t>(draws.window) : 1;
  const int64_t count = (block.center_end - block.center_begin) * lists;
  return PE_LAUNCH(draw_windows, blocks_for(count), kBlockThreads, 0, stream, block, draws, lists, radius, outputs);
}

cudaError_t launch_draw_negatives(const Draws& draws, uint64_t first_position, int64_t count, int32_t* ids,
                                  void* stream) {
  return PE_LAUNCH(draw_negatives, blocks_for(count), kBlockThreads, 0, stream, draws, first_position, count, ids);
}

cudaError_t launch_check_block(const TokenBlock& block, const Draws& draws, int64_t* bad, void* stream) {
  const cudaError_t error = cudaMemsetAsync(bad, 0xFF, 3 * sizeof *bad, static_cast<cudaStream_t>(stream));
  if (error != cudaSuccess) return error;
  return PE_LAUNCH(check_block, blocks_for(block.tokens), kBlockThreads, 0, stream, block, draws, bad);
}

}  // namespace pyembed
