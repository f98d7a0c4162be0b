// Explicit pairs. An exact step has two halves: first the scores and errors of all pairs at the old values, then the
// sums of what each row receives (segments.cuh). Otherwise every warp trains its pairs in place. Implements
// pyembed/reference.py section 9; may differ in the order of summation.
#include <algorithm>

#include "kernels/cuda/pair_walk.cuh"
#include "kernels/cuda/row_launches.h"
#include "kernels/cuda/segments.cuh"

namespace pyembed {
namespace {

constexpr int kPairWarps = 4;  // of a block

// --- What becomes of a pair ---

// An exact step: nothing is changed yet.
template <class Real>
struct KeepScores {
  static constexpr bool races = false;
  PairScores<Real> found;
  double loss = 0;

  PE_DEVICE void add_loss(int64_t pair, double part) {
    part = sum_of_lanes(part);
    if (lane_index() == 0) found.losses[pair] = part;
  }
  PE_DEVICE bool trains() const { return found.errors != nullptr; }
  PE_DEVICE Real size(Real error) const { return error; }
  PE_DEVICE void keep_error(int64_t index, Real error) const { found.errors[index] = error; }
  PE_DEVICE Real* change_row(int64_t pair) const { return found.in_gradient + pair * found.stride; }

  template <int width>
  PE_DEVICE void keep_in(int64_t pair, int64_t column, const Pack<Real, width>& in) const {
    if (found.in_rows) store_pack(found.in_rows + pair * found.stride + column, in);
  }
  template <int width>
  PE_DEVICE void change_out(Real*, Real, const Pack<Real, width>&) const {}
  template <int width>
  PE_DEVICE void change_in(int64_t pair, int64_t column, Real*, const Pack<Real, width>& change) const {
    store_pack(change_row(pair) + column, change);
  }
};

// Training in place, while other warps do; what a row changes by is added, so that nothing is lost.
template <class Real>
struct TrainInPlace {
  static constexpr bool races = true;
  Real rate;
  Real* changes;  // [warps, stride], for rows that do not stay in registers
  int64_t stride;
  double loss = 0;

  PE_DEVICE void add_loss(int64_t, double part) { loss += part; }
  PE_DEVICE bool trains() const { return true; }
  PE_DEVICE Real size(Real error) const { return -rate * error; }
  PE_DEVICE void keep_error(int64_t, Real) const {}
  PE_DEVICE Real* change_row(int64_t) const { return changes + warp_number() * stride; }

  template <int width>
  PE_DEVICE void keep_in(int64_t, int64_t, const Pack<Real, width>&) const {}

  // row += size * in
  template <int width>
  PE_DEVICE void change_out(Real* row, Real size, const Pack<Real, width>& in) const {
    Pack<Real, width> change{};
    add_scaled(change, size, in);
    atomic_add_pack<width>(row, change);
  }
  template <int width>
  PE_DEVICE void change_in(int64_t, int64_t column, Real* row, const Pack<Real, width>& change) const {
    atomic_add_pack<width>(row + column, change);
  }
};

template <class Shape, int width, class Real>
__global__ void score_pairs(PairIds pairs, Tables<Real> tables, KeepScores<Real> fate) {
  for (int64_t b = warp_number(); b < pairs.count; b += warp_count()) {
    PairWalk<Shape, width, Real, KeepScores<Real>>(pairs, tables, b, fate).run();
  }
}

template <class Shape, int width, class Real>
__global__ void train_pairs(PairIds pairs, Tables<Real> tables, TrainInPlace<Real> fate, double* total) {
  const Range share = share_of_warp(0, pairs.count);
  for (int64_t b = share.begin; b < share.end; ++b) {
    PairWalk<Shape, width, Real, TrainInPlace<Real>>(pairs, tables, b, fate).run();
  }
  add_to_total(fate.loss, lane_index() == 0 ? static_cast<double>(share.end - share.begin) : 0.0, total);
}

// --- Sums of what rows receive ---

// The entries of out_vectors: each output of a pair receives the pair's row of in_vectors.
template <class Real>
struct PairRows {
  using Element = Real;
  const Real* in_rows;
  int64_t stride;
  const int32_t* in_ids;  // null: in_rows has a row for each pair
  const Real* errors;
  int outputs;
  Real scale;

  PE_DEVICE Entry<Real> entry(int64_t place) const {
    const int64_t pair = place / outputs, row = in_ids ? in_ids[pair] : pair;
    return {in_rows + row * stride, scale * errors[place]};
  }
};

// The sink that adds a sum to its row.
template <class RealType>
struct AddToRows {
  using Real = RealType;
  struct Scales {};
  Real* table;
  int64_t stride;

  PE_DEVICE int measures() const { return 0; }
  template <int width>
  PE_DEVICE Real measure(int, int64_t, int64_t, const Pack<Real, width>&, const Scales&) const {
    return 0;
  }
  PE_DEVICE Scales scales(int64_t) const { return {}; }
  PE_DEVICE void take(int, int64_t, Real, Scales&) const {}
  template <int width>
  PE_DEVICE void change(int64_t row, int64_t column, Pack<Real, width> sum, const Scales&) const {
    Real* const address = table + row * stride + column;
    add_scaled(sum, Real(1), load_pack<width>(address));
    store_pack(address, sum);
  }
  PE_DEVICE void finish(int64_t, const Scales&) const {}
};

template <class Real, class Source>
cudaError_t add_to_rows(const SortedRows& sorted, int64_t D, const Source& source, Real* table, int64_t stride,
                        bool packs, const SegmentScratch<Real>& scratch, void* stream) {
  const AddToRows<Real> sink{table, stride};
  return packs ? sum_sorted_rows<kPackWidth<Real>>(sorted, D, source, sink, scratch, stream)
               : sum_sorted_rows<1>(sorted, D, source, sink, scratch, stream);
}

// --- The kernel's shape ---

// Calls f(Shape, width) with what fits rows of D columns.
template <class Real, class F>
cudaError_t with_shape(int64_t D, bool packs, const F& f) {
  const auto of_width = [&](auto width) {
    constexpr int64_t span = kPackSpan<decltype(width)::value>;
    if (D <= span) return f(Shape<1, 8, true>{}, width);
    if constexpr (decltype(width)::value == 4) {  // others are not worth the time to compile them
      if (D <= 2 * span) return f(Shape<2, 4, true>{}, width);
      if (D <= 4 * span) return f(Shape<4, 2, true>{}, width);
    }
    return f(Shape<1, 8, false>{}, width);
  };
  return packs ? of_width(std::integral_constant<int, kPackWidth<Real>>{}) : of_width(std::integral_constant<int, 1>{});
}

template <class Real>
bool tables_hold_packs(const Tables<Real>& tables) {
  return tables.dimensions % kPackWidth<Real> == 0 && holds_packs(tables.in, tables.in_stride) &&
         holds_packs(tables.out, tables.out_stride);
}

}  // namespace

template <class Real>
cudaError_t launch_pair_scores(const PairIds& pairs, const Tables<Real>& read, const PairScores<Real>& found,
                               void* stream) {
  return with_shape<Real>(read.dimensions, tables_hold_packs(read), [&](auto shape, auto width) {
    const int64_t blocks = std::min((pairs.count + kPairWarps - 1) / kPairWarps, int64_t{1} << 20);
    return PE_LAUNCH((score_pairs<decltype(shape), decltype(width)::value, Real>), static_cast<unsigned>(blocks),
                     kPairWarps * kWarp, 0, stream, pairs, read, KeepScores<Real>{found});
  });
}

template <class Real>
cudaError_t launch_add_to_out_rows(const PairIds& pairs, const Tables<Real>& read, const PairScores<Real>& found,
                                   const SortedRows& sorted, double scale, const Tables<Real>& write,
                                   const SegmentScratch<Real>& scratch, void* stream) {
  const bool copied = found.in_rows != nullptr;
  const PairRows<Real> entries{copied ? found.in_rows : read.in,
                               copied ? found.stride : read.in_stride,
                               copied ? nullptr : pairs.in_ids,
                               found.errors,
                               pairs.outputs,
                               static_cast<Real>(scale)};
  return add_to_rows(sorted, write.dimensions, entries, write.out, write.out_stride,
                     tables_hold_packs(read) && tables_hold_packs(write), scratch, stream);
}

template <class Real>
cudaError_t launch_add_to_in_rows(const PairScores<Real>& found, const SortedRows& sorted, double scale,
                                  const Tables<Real>& write, const SegmentScratch<Real>& scratch, void* stream) {
  const DenseRows<Real> entries{found.in_gradient, found.stride, static_cast<Real>(scale)};
  return add_to_rows(sorted, write.dimensions, entries, write.in, write.in_stride, tables_hold_packs(write), scratch,
                     stream);
}

template <class Real>
cudaError_t launch_pair_step(const PairIds& pairs, const Tables<Real>& tables, double rate, int64_t warps, void* stream,
                             double* total) {
  return with_shape<Real>(tables.dimensions, tables_hold_packs(tables), [&](auto shape, auto width) {
    using PairShape = decltype(shape);
    const auto kernel = train_pairs<PairShape, decltype(width)::value, Real>;
    WarpGrid grid{};
    cudaError_t error = warp_grid(kernel, kPairWarps, 0, warps, pairs.count, &grid);
    TrainInPlace<Real> fate{static_cast<Real>(rate), nullptr, padded_columns(tables.dimensions)};
    const auto on = static_cast<cudaStream_t>(stream);
    void* changes = nullptr;
    if (error == cudaSuccess && !PairShape::stays) {
      const int64_t all_warps = grid.blocks * int64_t{grid.threads / kWarp};
      error = cudaMallocAsync(&changes, static_cast<size_t>(all_warps * fate.stride) * sizeof(Real), on);
    }
    if (error != cudaSuccess) return error;
    fate.changes = static_cast<Real*>(changes);
    error = PE_LAUNCH(kernel, grid.blocks, grid.threads, 0, stream, pairs, tables, fate, total);
    const cudaError_t freed = changes ? cudaFreeAsync(changes, on) : cudaSuccess;
    return error != cudaSuccess ? error : freed;
  });
}

#define PE_INSTANTIATE(Real)                                                                                          \
  template cudaError_t launch_pair_scores<Real>(const PairIds&, const Tables<Real>&, const PairScores<Real>&, void*); \
  template cudaError_t launch_add_to_out_rows<Real>(const PairIds&, const Tables<Real>&, const PairScores<Real>&,     \
                                                    const SortedRows&, double, const Tables<Real>&,                   \
                                                    const SegmentScratch<Real>&, void*);                              \
  template cudaError_t launch_add_to_in_rows<Real>(const PairScores<Real>&, const SortedRows&, double,                \
                                                   const Tables<Real>&, const SegmentScratch<Real>&, void*);          \
  template cudaError_t launch_pair_step<Real>(const PairIds&, const Tables<Real>&, double, int64_t, void*, double*);
PE_INSTANTIATE(float)
PE_INSTANTIATE(double)
#undef PE_INSTANTIATE

}  // namespace pyembed
