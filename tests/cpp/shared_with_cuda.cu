// Compiled, not run: the headers that CPU and CUDA kernels share, used from device code.
#include "kernels/bfloat16.h"
#include "kernels/draws.h"
#include "kernels/pair_math.h"
#include "kernels/philox.h"
#include "kernels/training.h"

namespace pyembed {

// One window a thread: its draws, and the loss of a score of each output.
__global__ void window_losses(Draws draws, TokenBlock block, const float* scores, int32_t* outputs, float* losses) {
  const int64_t center = block.center_begin + blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x;
  if (center >= block.center_end) return;
  const uint64_t position = block.first_position + static_cast<uint64_t>(center);
  const int N = 1 + draws.negative;
  outputs[center * N] = block.ids[center];
  negative_ids(draws, position, 0, outputs + center * N + 1);
  float loss = 0;
  for (int n = 0; n < N; ++n) {
    const float score = scores[center * N + n];
    loss += softplus(n == 0 ? -score : score) * sigmoid(score);
  }
  losses[center] = loss * static_cast<float>(window_radius(draws, position));
}

// One element a thread.
__global__ void add_and_round(Draws draws, const float* delta, BFloat16* elements) {
  const uint64_t position = blockIdx.x * static_cast<uint64_t>(blockDim.x) + threadIdx.x;
  RoundingBits rounding(draws, position);
  add_to(elements[position], delta[position], rounding);
}

}  // namespace pyembed
