// The walk of a warp over its centers, whatever the model: the rows of the next window are on their way while this one
// trains. One warp a block, since warps share nothing but the tables. Spec: pyembed/reference.py section 7.
#pragma once

#include "kernels/cuda/context_ring.cuh"
#include "kernels/cuda/grid.cuh"
#include "kernels/cuda/output_rows.cuh"
#include "kernels/cuda/window_draws.cuh"

namespace pyembed {

// What a launch trains with.
template <class Element>
struct Training {
  TokenBlock block;
  Draws draws;
  CbowOptions cbow;
  LearningRate rate;
  Tables<Element> tables;
  WarpLayout layout;
  int32_t frequent;  // see LaunchOptions
  double* total;
};

// What a model needs of the warp for one window.
template <class Element, WriteBack write_back>
struct WarpState {
  const Training<Element>& training;
  float* memory;
  ContextRing<Element, write_back> in;
  OutputRows<Element, write_back> out;
  LaneBits bits;

  PE_DEVICE float* errors() const { return memory + training.layout.errors; }
};

// The centers [begin, end) of a warp, one after the other.
template <class Element, WriteBack write_back>
class WindowWalk {
 public:
  PE_DEVICE WindowWalk(const Training<Element>& training, const Tokens& centers, float* memory)
      : training_(training),
        centers_(centers),
        sentences_(training.block, centers.begin),
        reach_(sentences_.around(centers.begin, training.layout.window)),
        tokens_(training.block, reach_.begin),
        run_(training.block, training.draws, training.rate, centers.begin),
        negatives_(training.block, training.draws, centers.begin,
                   reinterpret_cast<int32_t*>(memory) + training.layout.drawn),
        entered_{reach_.begin, reach_.begin},
        state_{training,
               memory,
               {training.tables, training.layout, training.frequent, memory},
               {training.tables, training.draws, training.layout, memory},
               {training.draws, training.block.first_position + static_cast<uint64_t>(centers.begin)}} {}

  // Model::train(state, minus the learning rate, contexts) trains a window, or a pair where every pair has its own
  // negatives, and returns this lane's part of its loss. Everything stands once in the loop, whose first turn trains
  // nothing: a GPU has little room for instructions.
  template <class Model>
  PE_DEVICE void train() {
    double loss = 0;
    float recent_loss = 0, size = 0;
    int pairs = 0, center = centers_.begin - 1, contexts = 0, step = 0, steps = 1;
    Tokens window{};
    for (;;) {
      const bool ends = step + 1 == steps, last = ends && center + 1 == centers_.end;
      if (!last) plan(ends ? center + 1 : center, ends ? 0 : step + 1);
      end_copy_group();
      if (center >= centers_.begin) {
        wait_for_copies<1>();  // all but those of the step after this one
        __syncwarp();
        if (step == 0) state_.in.arrive();
        state_.out.arrive();
        if (contexts > 0) {
          const int context = window.begin + step + (window.begin + step >= center);
          state_.in.choose(steps == 1 ? window : Tokens{context, context + 1}, center);
          recent_loss += Model::train(state_, size, contexts);
        }
        state_.out.finish(last, state_.bits);
        __syncwarp();  // slots are free for the next rows
      }
      if (center >= centers_.begin && ends) {
        if (contexts > 0) pairs += Model::pairs(contexts);
        for (const int end = last ? entered_.end : reach_.begin; entered_.begin < end; ++entered_.begin) {
          state_.in.leave(entered_.begin, state_.bits);
        }
        if (!last) state_.in.refresh(state_.bits);
        __syncwarp();
        if (last || (center - centers_.begin) % kWarp == kWarp - 1) {
          loss += static_cast<double>(recent_loss);  // seldom, since many GPUs are slow at it
          recent_loss = 0;
        }
      }
      if (last) break;

      state_.out.adopt();
      if (!ends) {
        ++step;
        continue;
      }
      ++center;
      state_.in.await();
      run_.reach(center);
      const int radius = run_.radius();
      size = run_.size();
      window = {center - radius > reach_.begin ? center - radius : reach_.begin,
                center + radius + 1 < reach_.end ? center + radius + 1 : reach_.end};
      contexts = window.end - window.begin - 1;
      step = 0;
      steps = training_.draws.sharing == kPerPair && contexts > 0 ? contexts : 1;
    }
    add_to_total(loss, lane_index() == 0 ? static_cast<double>(pairs) : 0, training_.total);
  }

 private:
  // Sends for the rows that a window needs and that are not here yet; where every pair has its own negatives, for those
  // of one of its contexts.
  PE_DEVICE void plan(int center, int context) {
    if (context == 0) {
      if (center > centers_.begin) {
        reach_ = sentences_.around(center, training_.layout.window);
        tokens_.forget_before(center);
      }
      PE_ROLLED
      for (; entered_.end < reach_.end; ++entered_.end) state_.in.enter(entered_.end, tokens_.id(entered_.end));
    }
    const uint64_t position = training_.block.first_position + static_cast<uint64_t>(center);
    const int sharing = training_.draws.sharing;
    const bool new_pool =
        sharing <= kPerWindow || center == centers_.begin || position % static_cast<uint64_t>(sharing) == 0;
    state_.out.plan(tokens_.id(center), negatives_.of(center, context), new_pool);
  }

  const Training<Element>& training_;
  const Tokens centers_;
  RunOfSentences sentences_;
  Tokens reach_;  // of the window that was planned last
  RunOfTokens tokens_;
  RunOfCenters run_;
  DrawnNegatives negatives_;
  Tokens entered_;  // the tokens whose rows are here or on their way
  WarpState<Element, write_back> state_;
};

template <class Model, class Element, WriteBack write_back>
__global__ void __launch_bounds__(kWarp, 12) train_windows(Training<Element> training) {
  PE_DYNAMIC_SHARED(shared);
  const Range centers = share_of_warp(training.block.center_begin, training.block.center_end);
  if (centers.begin >= centers.end) return;
  const Tokens own{static_cast<int>(centers.begin), static_cast<int>(centers.end)};
  WindowWalk<Element, write_back> walk(training, own, reinterpret_cast<float*>(shared));
  walk.template train<Model>();
}

// Whether the kernel above has room for these shapes, and rows that can be copied by 16 bytes.
template <class Element>
bool trains_fast(const TokenBlock& block, const Draws& draws, const Tables<Element>& tables) {
  const auto aligned = [](const void* address) { return reinterpret_cast<uintptr_t>(address) % 16 == 0; };
  constexpr int64_t elements = 16 / sizeof(Element);
  constexpr int64_t most_tokens = INT32_MAX / (2 * kMostWindow);  // no index and no count of pairs overflows
  constexpr int64_t most_columns = 1 << 16;                       // nor an offset in shared memory
  return block.tokens <= most_tokens && draws.window <= kMostWindow && draws.negative <= kMostNegative &&
         tables.dimensions % 8 == 0 && tables.dimensions <= most_columns && tables.in_stride % elements == 0 &&
         tables.out_stride % elements == 0 && aligned(tables.in) && aligned(tables.out);
}

template <class Model, WriteBack write_back, class Element>
cudaError_t launch_windows(Training<Element> training, const LaunchOptions& options, bool* done) {
  training.frequent = options.frequent;
  training.layout =
      warp_layout(training.draws, training.tables.dimensions, write_back == WriteBack::add, Model::has_hidden);
  const size_t bytes = training.layout.bytes();
  int device = 0, most_bytes = 0;
  cudaError_t error = cudaGetDevice(&device);
  if (error == cudaSuccess) {
    error = cudaDeviceGetAttribute(&most_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
  }
  *done = bytes <= static_cast<size_t>(most_bytes);
  if (error != cudaSuccess || !*done) return error;
  const auto kernel = train_windows<Model, Element, write_back>;
  error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
  WarpGrid grid{};
  const int64_t items =
      items_at_once(training.block.center_end - training.block.center_begin, options.warps, training.draws.vocabulary);
  if (error == cudaSuccess) error = warp_grid(kernel, 1, bytes, options.warps, items, &grid);
  if (error != cudaSuccess) return error;
  return PE_LAUNCH(kernel, grid.blocks, grid.threads, bytes, options.stream, training);
}

// Launches the kernel; *done stays false where it cannot train this, or this device's shared memory does not hold a
// warp's rows.
template <class Model, class Element>
cudaError_t launch_windows(const Training<Element>& training, const LaunchOptions& options, bool* done) {
  if (!trains_fast(training.block, training.draws, training.tables)) return cudaSuccess;
  return options.write_back == WriteBack::add ? launch_windows<Model, WriteBack::add>(training, options, done)
                                              : launch_windows<Model, WriteBack::store>(training, options, done);
}

template <class Model>
cudaError_t launch_windows(const Training<double>&, const LaunchOptions&, bool*) {
  return cudaSuccess;
}

}  // namespace pyembed
