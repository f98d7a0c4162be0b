// Steps and gradients for any type of element, any number of negatives, contexts and columns: plain loops, a warp for a
// run of centers, every window evaluated as the spec says. They train what has no faster kernel.
// Implements pyembed/reference.py sections 4 to 8; may differ from it in the order of summation only.
#include "kernels/cuda/grid.cuh"
#include "kernels/cuda/launches.h"
#include "kernels/cuda/row_access.cuh"
#include "kernels/pair_math.h"

namespace pyembed {
namespace {

constexpr int kWarpsABlock = 4;

// Memory of one warp, for one window.
template <class Real>
struct Scratch {
  int32_t* contexts;  // [2W]
  int32_t* outputs;   // [N]
  Real* errors;       // [2W, N]
  Real* in_delta;     // [2W, kWarp], the columns that are being changed
};

struct ScratchSize {
  int64_t contexts, outputs;  // 2W, N

  PE_HD int64_t reals() const { return contexts * (outputs + kWarp); }
  PE_HD int64_t ids() const { return contexts + outputs; }
};

template <class Real>
PE_DEVICE Scratch<Real> scratch_of_warp(Real* reals, int32_t* ids, const ScratchSize& size) {
  reals += warp_number() * size.reals();
  ids += warp_number() * size.ids();
  return {ids, ids + size.contexts, reals, reals + size.contexts * size.outputs};
}

// What every window of a launch is trained with.
template <class Element>
struct Work {
  TokenBlock block;
  Draws draws;
  CbowOptions cbow;
  LearningRate rate;
  Tables<Element> read;
  Tables<Element> write;  // in null: the losses alone
  WriteBack write_back;
  Arithmetic<Element>* reals;  // scratch of all warps
  int32_t* ids;
  double* total;
};

// One window, or one pair where every pair has its own negatives.
template <class Element>
struct Window {
  const Work<Element>& work;
  const Scratch<Arithmetic<Element>>& scratch;
  const int32_t* contexts;
  int64_t context_count;
  Arithmetic<Element> scale;
  LaneBits* bits;

  PE_DEVICE int64_t output_count() const { return 1 + work.draws.negative; }
  PE_DEVICE bool skips(int64_t n) const { return n > 0 && scratch.outputs[n] == scratch.outputs[0]; }
  PE_DEVICE const Element* in_row(int64_t c) const { return work.read.in + contexts[c] * work.read.in_stride; }
  PE_DEVICE const Element* out_row(int64_t n) const {
    return work.read.out + scratch.outputs[n] * work.read.out_stride;
  }
  PE_DEVICE void add_to_in(int64_t c, int64_t d, Arithmetic<Element> delta) const {
    change(work.write.in + contexts[c] * work.write.in_stride + d, delta, work.write_back, *bits);
  }
  PE_DEVICE void add_to_out(int64_t n, int64_t d, Arithmetic<Element> delta) const {
    change(work.write.out + scratch.outputs[n] * work.write.out_stride + d, delta, work.write_back, *bits);
  }
  // The loss of a score; the score becomes scale * (sigmoid - label).
  PE_DEVICE double loss_of(int64_t n, Arithmetic<Element>* score) const {
    using Real = Arithmetic<Element>;
    if (skips(n)) {
      *score = 0;
      return 0;
    }
    const double loss = static_cast<double>(softplus(n == 0 ? -*score : *score));
    *score = scale * (sigmoid(*score) - Real(n == 0 ? 1 : 0));
    return loss;
  }
};

struct Skipgram {
  template <class Element>
  PE_DEVICE static LossSum train(const Window<Element>& window) {
    using Real = Arithmetic<Element>;
    const auto& scratch = window.scratch;
    const int64_t C = window.context_count, N = window.output_count(), D = window.work.read.dimensions;
    double loss = 0;
    for (int64_t c = 0; c < C; ++c) {
      for (int64_t n = 0; n < N; ++n) {
        const Element *in = window.in_row(c), *out = window.out_row(n);
        Real score = 0;
        for (int64_t d = lane_index(); d < D; d += kWarp) {
          score += value_of(racing_load(in + d)) * value_of(racing_load(out + d));
        }
        score = sum_of_lanes(score);
        loss += window.loss_of(n, &score);
        if (lane_index() == 0) scratch.errors[c * N + n] = score;
      }
    }
    __syncwarp();
    // A lane reads and writes columns that no other lane of its warp does.
    for (int64_t d = lane_index(); window.work.write.in && d < D; d += kWarp) {
      for (int64_t c = 0; c < C; ++c) {
        Real delta = 0;
        for (int64_t n = 0; n < N; ++n) {
          delta += scratch.errors[c * N + n] * value_of(racing_load(window.out_row(n) + d));
        }
        scratch.in_delta[c * kWarp + lane_index()] = delta;
      }
      for (int64_t n = 0; n < N; ++n) {
        Real delta = 0;
        for (int64_t c = 0; c < C; ++c) {
          delta += scratch.errors[c * N + n] * value_of(racing_load(window.in_row(c) + d));
        }
        window.add_to_out(n, d, delta);
      }
      for (int64_t c = 0; c < C; ++c) window.add_to_in(c, d, scratch.in_delta[c * kWarp + lane_index()]);
    }
    __syncwarp();
    return {loss, C};
  }
};

struct Cbow {
  template <class Element>
  PE_DEVICE static LossSum train(const Window<Element>& window) {
    using Real = Arithmetic<Element>;
    const auto& scratch = window.scratch;
    const CbowOptions& options = window.work.cbow;
    const int64_t C = window.context_count, N = window.output_count(), D = window.work.read.dimensions;
    const Real share = options.mean ? Real(1) / static_cast<Real>(C) : Real(1);
    const auto hidden_at = [&](int64_t d) {
      Real sum = 0;
      for (int64_t c = 0; c < C; ++c) sum += value_of(racing_load(window.in_row(c) + d));
      return sum * share;
    };
    double loss = 0;
    for (int64_t n = 0; n < N; ++n) {
      Real score = 0;
      for (int64_t d = lane_index(); d < D; d += kWarp) {
        score += hidden_at(d) * value_of(racing_load(window.out_row(n) + d));
      }
      score = sum_of_lanes(score);
      loss += window.loss_of(n, &score);
      if (lane_index() == 0) scratch.errors[n] = score;
    }
    __syncwarp();
    for (int64_t d = lane_index(); window.work.write.in && d < D; d += kWarp) {
      const Real hidden = hidden_at(d);
      Real hidden_gradient = 0;
      for (int64_t n = 0; n < N; ++n) {
        hidden_gradient += scratch.errors[n] * value_of(racing_load(window.out_row(n) + d));
      }
      if (options.exact_gradient) hidden_gradient *= share;
      for (int64_t n = 0; n < N; ++n) window.add_to_out(n, d, scratch.errors[n] * hidden);
      for (int64_t c = 0; c < C; ++c) window.add_to_in(c, d, hidden_gradient);
    }
    __syncwarp();
    return {loss, 1};
  }
};

template <class Model, class Element>
__global__ void train_exactly(Work<Element> work, ScratchSize size) {
  using Real = Arithmetic<Element>;
  const TokenBlock& block = work.block;
  const Draws& draws = work.draws;
  const Scratch<Real> scratch = scratch_of_warp(work.reals, work.ids, size);
  const Range centers = share_of_warp(block.center_begin, block.center_end);
  if (centers.begin >= centers.end) return;
  LaneBits bits(draws, block.first_position + static_cast<uint64_t>(centers.begin));
  LossSum sum{0, 0};
  SentenceCursor cursor = sentence_of(block, centers.begin);
  for (int64_t center = centers.begin; center < centers.end; ++center) {
    cursor.advance_to(center);
    const uint64_t position = block.first_position + static_cast<uint64_t>(center);
    const Span span = window_span(cursor, center, window_radius(draws, position));
    const int64_t contexts = span.contexts();
    if (contexts == 0) continue;
    for (int64_t c = lane_index(); c < contexts; c += kWarp) {
      scratch.contexts[c] = block.ids[span.context(c, center)];
    }
    const auto scale = static_cast<Real>(-learning_rate(block, work.rate, center));
    const int64_t at_once = draws.sharing == kPerPair ? 1 : contexts;
    for (int64_t c = 0; c < contexts; c += at_once) {
      if (lane_index() == 0) {
        scratch.outputs[0] = block.ids[center];
        negative_ids(draws, position, c, scratch.outputs + 1);
      }
      __syncwarp();
      const LossSum window = Model::train(Window<Element>{work, scratch, scratch.contexts + c, at_once, scale, &bits});
      sum.loss += window.loss;
      sum.pairs += window.pairs;
    }
  }
  if (lane_index() != 0) return;
  atomic_add(work.total, sum.loss);  // every lane has all of it
  atomic_add(work.total + 1, static_cast<double>(sum.pairs));
}

template <class Model, class Element>
cudaError_t launch(Work<Element> work, int64_t warps, void* stream) {
  using Real = Arithmetic<Element>;
  const ScratchSize size{2 * static_cast<int64_t>(work.draws.window), 1 + static_cast<int64_t>(work.draws.negative)};
  const int64_t bytes_a_warp = size.reals() * static_cast<int64_t>(sizeof(Real)) + size.ids() * 4;
  constexpr int64_t most_bytes = int64_t{256} << 20;
  const int64_t most_warps = most_bytes / bytes_a_warp;
  const int64_t items = items_at_once(work.block.center_end - work.block.center_begin, warps, work.draws.vocabulary);
  WarpGrid grid{};
  cudaError_t error = warp_grid(train_exactly<Model, Element>, kWarpsABlock, 0, warps, items, &grid);
  if (error != cudaSuccess) return error;
  if (grid.blocks * int64_t{grid.threads / kWarp} > most_warps) {
    error = warp_grid(train_exactly<Model, Element>, 1, 0, most_warps < 1 ? 1 : most_warps, items, &grid);
    if (error != cudaSuccess) return error;
  }
  const int64_t all_warps = grid.blocks * int64_t{grid.threads / kWarp};
  void* memory = nullptr;
  error = cudaMallocAsync(&memory, static_cast<size_t>(all_warps * bytes_a_warp), static_cast<cudaStream_t>(stream));
  if (error != cudaSuccess) return error;
  work.reals = static_cast<Real*>(memory);
  work.ids = reinterpret_cast<int32_t*>(work.reals + all_warps * size.reals());
  error = PE_LAUNCH((train_exactly<Model, Element>), grid.blocks, grid.threads, 0, stream, work, size);
  const cudaError_t freed = cudaFreeAsync(memory, static_cast<cudaStream_t>(stream));
  return error != cudaSuccess ? error : freed;
}

}  // namespace

template <class Element>
cudaError_t launch_exact_skipgram_step(const TokenBlock& block, const Draws& draws, const Tables<Element>& tables,
                                       const LearningRate& rate, const LaunchOptions& options, double* total) {
  return launch<Skipgram, Element>(
      {block, draws, {}, rate, tables, tables, options.write_back, nullptr, nullptr, total}, options.warps,
      options.stream);
}

template <class Element>
cudaError_t launch_exact_cbow_step(const TokenBlock& block, const Draws& draws, const CbowOptions& cbow,
                                   const Tables<Element>& tables, const LearningRate& rate,
                                   const LaunchOptions& options, double* total) {
  return launch<Cbow, Element>({block, draws, cbow, rate, tables, tables, options.write_back, nullptr, nullptr, total},
                               options.warps, options.stream);
}

template <class Real>
cudaError_t launch_skipgram_gradient(const TokenBlock& block, const Draws& draws, double scale,
                                     const Tables<Real>& read, const Tables<Real>& write, void* stream, double* total) {
  return launch<Skipgram, Real>(
      {block, draws, {}, {-scale, -scale}, read, write, WriteBack::add, nullptr, nullptr, total}, 0, stream);
}

template <class Real>
cudaError_t launch_cbow_gradient(const TokenBlock& block, const Draws& draws, const CbowOptions& cbow, double scale,
                                 const Tables<Real>& read, const Tables<Real>& write, void* stream, double* total) {
  return launch<Cbow, Real>(
      {block, draws, cbow, {-scale, -scale}, read, write, WriteBack::add, nullptr, nullptr, total}, 0, stream);
}

#define PE_INSTANTIATE(Element)                                                                                     \
  template cudaError_t launch_exact_skipgram_step<Element>(const TokenBlock&, const Draws&, const Tables<Element>&, \
                                                           const LearningRate&, const LaunchOptions&, double*);     \
  template cudaError_t launch_exact_cbow_step<Element>(const TokenBlock&, const Draws&, const CbowOptions&,         \
                                                       const Tables<Element>&, const LearningRate&,                 \
                                                       const LaunchOptions&, double*);
PE_INSTANTIATE(float)
PE_INSTANTIATE(double)
PE_INSTANTIATE(BFloat16)
#undef PE_INSTANTIATE

#define PE_INSTANTIATE(Real)                                                                                        \
  template cudaError_t launch_skipgram_gradient<Real>(const TokenBlock&, const Draws&, double, const Tables<Real>&, \
                                                      const Tables<Real>&, void*, double*);                         \
  template cudaError_t launch_cbow_gradient<Real>(const TokenBlock&, const Draws&, const CbowOptions&, double,      \
                                                  const Tables<Real>&, const Tables<Real>&, void*, double*);
PE_INSTANTIATE(float)
PE_INSTANTIATE(double)
#undef PE_INSTANTIATE

}  // namespace pyembed
