// CBOW: the mean or sum of a window's contexts, the hidden vector, meets every row of its outputs.
// Implements pyembed/reference.py sections 4, 6 and 7; may differ from it in the order of summation only.
#include "kernels/cuda/lane_sums.cuh"
#include "kernels/cuda/train_windows.cuh"
#include "kernels/pair_math.h"

namespace pyembed {
namespace {

struct CbowWindow {
  static constexpr bool has_hidden = true;

  PE_DEVICE static int pairs(int) { return 1; }

  template <class State>
  PE_DEVICE static float train(State& state, float size, int contexts) {
    const CbowOptions& options = state.training.cbow;
    const float share = options.mean ? 1.0f / static_cast<float>(contexts) : 1.0f;
    const float context_share = options.exact_gradient ? share : 1.0f;
    float* const hidden = state.memory + state.training.layout.hidden;
    state.in.rows.for_each_four([&](int d) { four(hidden + d) = share * sum_of_contexts(state, d); });
    float loss = 0;
    for (int first = 0; first < state.out.distinct; first += kTileOutputs) loss += score(state, hidden, size, first);
    __syncwarp();
    state.in.rows.for_each_four([&](int d) { update(state, four(hidden + d), context_share, d); });
    return loss;
  }

 private:
  template <class State>
  PE_DEVICE static float4 sum_of_contexts(State& state, int d) {
    float4 sum = make_float4(0, 0, 0, 0);
    for (int c = 0; c < state.in.distinct; ++c) {
      add_product(sum, state.in.counts[c], four(state.in.rows.values + state.in.offsets[c] + d));
    }
    return sum;
  }

  // Scores of a tile of outputs, and what follows of them. Beyond the last row it is scored again and forgotten.
  template <class State>
  PE_DEVICE static float score(State& state, const float* hidden, float size, int first) {
    constexpr int count = 8, lanes_a_score = kWarp / count;
    const float* out[kTileOutputs];
    PE_UNROLL
    for (int n = 0; n < kTileOutputs; ++n) {
      out[n] = state.out.rows.values + state.out.offsets[first + n];
    }
    float sums[count] = {};
    state.in.rows.for_each_four([&](int d) {
      const float4 value = *reinterpret_cast<const float4*>(hidden + d);
      PE_UNROLL
      for (int n = 0; n < kTileOutputs; ++n) {
        add_product(sums[n], value, *reinterpret_cast<const float4*>(out[n] + d));
      }
    });
    const float score = transposed_sums<kWarp>(sums);
    const int place = lane_index() / lanes_a_score, n = first + place;
    if (lane_index() % lanes_a_score != 0 || place >= kTileOutputs || n >= state.out.distinct) return 0;
    const float times = state.out.counts[n];
    const auto result = loss_and_error(score, n == 0);
    state.errors()[n] = size * times * result.error;
    return times * result.loss;
  }

  // Four columns of every row.
  template <class State>
  PE_DEVICE static void update(State& state, float4 hidden, float context_share, int d) {
    float4 gradient = make_float4(0, 0, 0, 0);
    for (int n = 0; n < state.out.distinct; ++n) {
      const float error = state.errors()[n];
      const float4 value = four(state.out.rows.values + state.out.offsets[n] + d);
      add_product(gradient, error, value);
      state.out.change4(n, d, value, error * hidden, state.bits);
    }
    for (int c = 0; c < state.in.distinct; ++c) {
      float4& value = four(state.in.rows.values + state.in.offsets[c] + d);
      add_product(value, context_share * state.in.counts[c], gradient);
    }
  }
};

}  // namespace

template <class Element>
cudaError_t launch_cbow_step(const TokenBlock& block, const Draws& draws, const CbowOptions& cbow,
                             const Tables<Element>& tables, const LearningRate& rate, const LaunchOptions& options,
                             double* total) {
  bool done = false;
  const cudaError_t error =
      launch_windows<CbowWindow>(Training<Element>{block, draws, cbow, rate, tables, {}, 0, total}, options, &done);
  if (done || error != cudaSuccess) return error;
  return launch_exact_cbow_step(block, draws, cbow, tables, rate, options, total);
}

#define PE_INSTANTIATE(Element)                                                                                     \
  template cudaError_t launch_cbow_step<Element>(const TokenBlock&, const Draws&, const CbowOptions&,               \
                                                 const Tables<Element>&, const LearningRate&, const LaunchOptions&, \
                                                 double*);
PE_INSTANTIATE(float)
PE_INSTANTIATE(double)
PE_INSTANTIATE(BFloat16)
#undef PE_INSTANTIATE

}  // namespace pyembed
