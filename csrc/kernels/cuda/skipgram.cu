// Skip-gram: every row of a window's contexts meets every row of its outputs. Scores are reduced 30 at a time, then one
// pass over the columns updates both sides from what they were before the window.
// Implements pyembed/reference.py sections 4, 5 and 7; may differ from it in the order of summation only.
#include "kernels/cuda/lane_sums.cuh"
#include "kernels/cuda/train_windows.cuh"
#include "kernels/pair_math.h"

namespace pyembed {
namespace {

struct SkipgramWindow {
  static constexpr bool has_hidden = false;

  PE_DEVICE static int pairs(int contexts) { return contexts; }

  template <class State>
  PE_DEVICE static float train(State& state, float size, int) {
    float loss = 0;
    const int contexts = state.in.distinct, outputs = state.out.distinct;
    for (int tile = 0; tile * kTileOutputs < outputs; ++tile) {
      for (int c = 0; c < contexts; c += kTileContexts) loss += score(state, size, c, tile);
    }
    __syncwarp();
    const bool one_tile = state.out.distinct <= kTileOutputs;
    state.in.rows.for_each_four([&](int d) { one_tile ? update<true>(state, d) : update<false>(state, d); });
    return loss;
  }

 private:
  // The errors of a context in a tile of outputs: minus the learning rate times the gradient of the loss.
  template <class State>
  PE_DEVICE static float* errors_of(State& state, int c, int tile) {
    return state.errors() + (tile * 2 * state.training.layout.window + c) * kErrorPitch;
  }

  // Scores of the contexts from first_context on with a tile of outputs, and what follows of them. Half of the warp
  // takes half of the outputs, so that 16 lanes share the columns and 15 sums. Rows beyond the last are scored and
  // forgotten.
  template <class State>
  PE_DEVICE static float score(State& state, float size, int first_context, int tile) {
    constexpr int lanes = kWarp / 2, outputs_a_half = kTileOutputs / 2;
    const int half = lane_index() / lanes, lane = lane_index() % lanes;
    const int first_output = tile * kTileOutputs + half * outputs_a_half;
    const float *in[kTileContexts], *out[outputs_a_half];
    PE_UNROLL
    for (int c = 0; c < kTileContexts; ++c) in[c] = state.in.rows.values + state.in.offsets[first_context + c];
    PE_UNROLL
    for (int n = 0; n < outputs_a_half; ++n) out[n] = state.out.rows.values + state.out.offsets[first_output + n];
    float sums[lanes] = {};
    PE_ROLLED
    for (int d = 4 * lane; d < state.in.rows.columns; d += 4 * lanes) {
      float4 values[outputs_a_half];
      PE_UNROLL
      for (int n = 0; n < outputs_a_half; ++n) values[n] = *reinterpret_cast<const float4*>(out[n] + d);
      PE_UNROLL
      for (int c = 0; c < kTileContexts; ++c) {
        const float4 context = *reinterpret_cast<const float4*>(in[c] + d);
        PE_UNROLL
        for (int n = 0; n < outputs_a_half; ++n) add_product(sums[c * outputs_a_half + n], context, values[n]);
      }
    }
    const float score = transposed_sums<lanes>(sums);
    const int c = first_context + lane / outputs_a_half, place = lane % outputs_a_half, n = first_output + place;
    if (lane >= kTileContexts * outputs_a_half || c >= state.in.distinct) return 0;
    float* const error = errors_of(state, c, tile) + half * outputs_a_half + place;
    if (n >= state.out.distinct) {
      *error = 0;
      return 0;
    }
    const float times = state.in.counts[c] * state.out.counts[n];
    const auto result = loss_and_error(score, n == 0);
    *error = size * times * result.error;
    return times * result.loss;
  }

  // Four columns of every row, a tile of outputs in registers at a time. A context keeps its old value until the last
  // tile has seen it; what the tiles before add to it is pending.
  template <bool one_tile, class State>
  PE_DEVICE static void update(State& state, int d) {
    const int contexts = state.in.distinct, outputs = state.out.distinct;
    for (int tile = 0, first = 0; tile == 0 || (!one_tile && first < outputs); ++tile, first += kTileOutputs) {
      const bool last = one_tile || first + kTileOutputs >= outputs;
      float4 values[kTileOutputs], deltas[kTileOutputs];
      PE_UNROLL
      for (int n = 0; n < kTileOutputs; ++n) {
        values[n] = four(state.out.rows.values + state.out.offsets[first + n] + d);
        deltas[n] = make_float4(0, 0, 0, 0);
      }
      for (int c = 0; c < contexts; ++c) {
        const float* const errors = errors_of(state, c, tile);
        const float4 some = *reinterpret_cast<const float4*>(errors);
        const float2 others = *reinterpret_cast<const float2*>(errors + 4);
        const float error[kTileOutputs] = {some.x, some.y, some.z, some.w, others.x, others.y};
        float4& value = four(state.in.rows.values + state.in.offsets[c] + d);
        const float4 context = value;
        float4 delta = make_float4(0, 0, 0, 0);
        PE_UNROLL
        for (int n = 0; n < kTileOutputs; ++n) {
          add_product(delta, error[n], values[n]);
          add_product(deltas[n], error[n], context);
        }
        if (!one_tile && tile > 0) delta = delta + pending(state, c);
        if (!last) {
          pending(state, c) = delta;
          continue;
        }
        value = context + delta;
      }
      PE_UNROLL
      for (int n = 0; n < kTileOutputs; ++n) {
        if (first + n < outputs) state.out.change4(first + n, d, values[n], deltas[n], state.bits);
      }
    }
  }

  template <class State>
  PE_DEVICE static float4& pending(State& state, int c) {
    return four(state.memory + state.training.layout.pending + c * kColumnsAtOnce + 4 * lane_index());
  }
};

}  // namespace

template <class Element>
cudaError_t launch_skipgram_step(const TokenBlock& block, const Draws& draws, const Tables<Element>& tables,
                                 const LearningRate& rate, const LaunchOptions& options, double* total) {
  bool done = false;
  const cudaError_t error =
      launch_windows<SkipgramWindow>(Training<Element>{block, draws, {}, rate, tables, {}, 0, total}, options, &done);
  if (done || error != cudaSuccess) return error;
  return launch_exact_skipgram_step(block, draws, tables, rate, options, total);
}

#define PE_INSTANTIATE(Element)                                                                               \
  template cudaError_t launch_skipgram_step<Element>(const TokenBlock&, const Draws&, const Tables<Element>&, \
                                                     const LearningRate&, const LaunchOptions&, double*);
PE_INSTANTIATE(float)
PE_INSTANTIATE(double)
PE_INSTANTIATE(BFloat16)
#undef PE_INSTANTIATE

}  // namespace pyembed
