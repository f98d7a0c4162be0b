// Sums of rows that belong to the same row of a table: exact whatever is repeated, and the same bits on every device.
//
// The entries to be summed come sorted by their row. A warp takes a tile of up to 32 of them. A run of entries of one
// row that ends within the tile is summed and handed on; one that reaches past the tile leaves its sum for the next
// pass, whose entries are these sums. So a row that everybody uses is summed as a tree, by many warps, and the tree
// depends on the number of entries alone.
#pragma once

#include <algorithm>
#include <type_traits>

#include "kernels/cuda/grid.cuh"
#include "kernels/cuda/packs.cuh"
#include "kernels/cuda/row_launches.h"

namespace pyembed {

// An entry: factor * row.
template <class Element>
struct Entry {
  const Element* row;
  Arithmetic<Element> factor;
};

// Entries that stand one after the other.
template <class ElementType>
struct DenseRows {
  using Element = ElementType;
  const Element* rows;
  int64_t stride;
  Arithmetic<Element> factor;

  PE_DEVICE Entry<Element> entry(int64_t place) const { return {rows + place * stride, factor}; }
};

constexpr int kSegmentWarps = 4;  // of a block

// Entries of a tile in the first pass: few where there are few, so that there is work for many warps.
inline int tile_of(int64_t count) { return count < (1 << 16) ? 8 : count < (1 << 18) ? 16 : kWarp; }

PE_HD PE_INLINE int64_t tiles_of(int64_t count, int tile) { return (count + tile - 1) / tile; }

// Lanes that share a run, a power of two: as many as there are packs in a row, so that a warp handles several short
// rows at a time.
inline int lanes_of_run(int64_t dimensions, int width) {
  int lanes = 1;
  while (lanes < kWarp && lanes * width < dimensions) lanes *= 2;
  return lanes;
}

// A run of the entries of one row within a tile, as the lanes know it that share it.
struct Run {
  int first, last;  // the entries [first, last) of the tile; none where there is no run for these lanes
  int64_t row;
  bool open;  // it goes on in another tile
};

// The entries of a tile, one a lane.
template <class Element>
struct Tile {
  int32_t row;  // of the table; -1: no entry
  Entry<Element> entry;

  // The sum of a run's entries at a column, for all lanes together; zeros where the column is past the last.
  template <int width>
  PE_DEVICE Pack<Arithmetic<Element>, width> sum(const Run& run, int64_t column, int64_t dimensions) const {
    using Real = Arithmetic<Element>;
    constexpr int kTogether = 2;  // loads under way at the same time; more would cost warps their registers
    Pack<Real, width> total{};
    for (int i = run.first; __any_sync(kAllLanes, i < run.last); i += kTogether) {
      Pack<Real, width> pack[kTogether];
      Real factor[kTogether];
      PE_UNROLL
      for (int j = 0; j < kTogether; ++j) {
        const bool present = i + j < run.last;
        const int from = present ? i + j : 0;
        const auto address = __shfl_sync(kAllLanes, reinterpret_cast<unsigned long long>(entry.row), from);
        factor[j] = __shfl_sync(kAllLanes, entry.factor, from);
        pack[j] = {};
        if (present && column < dimensions) {
          pack[j] = load_pack<width>(reinterpret_cast<const Element*>(address) + column);
        }
      }
      PE_UNROLL
      for (int j = 0; j < kTogether; ++j) {
        if (i + j < run.last) add_scaled(total, factor[j], pack[j]);
      }
    }
    return total;
  }
};

// The run of this lane's group: that of the first head is the first group's, and so on. The heads that remain are left.
PE_DEVICE Run next_run(unsigned& heads, int32_t row_of_lane, int lanes, int size, bool open_left, bool open_right) {
  unsigned from_mine = heads;
  for (int group = 0; group < lane_index() / lanes; ++group) from_mine &= from_mine - 1;
  for (int group = 0; group < kWarp / lanes; ++group) heads &= heads - 1;
  const unsigned later = from_mine & (from_mine - 1);
  Run run{0, 0, -1, false};
  if (from_mine != 0) {
    run.first = __ffs(static_cast<int>(from_mine)) - 1;
    run.last = later == 0 ? size : __ffs(static_cast<int>(later)) - 1;
  }
  const int32_t row = __shfl_sync(kAllLanes, row_of_lane, run.first);
  if (from_mine == 0 || row < 0) {
    run.last = run.first;
    return run;
  }
  run.row = row;
  run.open = (run.first == 0 && open_left) || (run.last == size && open_right);
  return run;
}

// One pass. partial: two sums a tile, of its first run and of its last; null where there is one tile alone.
template <int width, class Source, class Sink>
__global__ void sum_segments(SortedRows sorted, int tile_size, int lanes, int64_t dimensions, Source source, Sink sink,
                             SegmentScratch<typename Sink::Real> partial) {
  using Element = typename Source::Element;
  using Real = typename Sink::Real;
  const int lane = lane_index(), lane_of_run = lane % lanes;
  const int64_t tiles = tiles_of(sorted.count, tile_size);
  const int64_t lane_column = lane_of_run * width, span = lanes * width;
  for (int64_t t = warp_number(); t < tiles; t += warp_count()) {
    const int64_t begin = t * tile_size, rest = sorted.count - begin;
    const int size = rest < tile_size ? static_cast<int>(rest) : tile_size;
    Tile<Element> tile{-1, {nullptr, 0}};
    if (lane < size) {
      tile.row = sorted.ids[begin + lane];
      tile.entry = source.entry(sorted.order ? sorted.order[begin + lane] : begin + lane);
    }
    const int32_t before = __shfl_up_sync(kAllLanes, tile.row, 1);
    unsigned heads = __ballot_sync(kAllLanes, lane < size && (lane == 0 || tile.row != before));
    const int32_t first_row = __shfl_sync(kAllLanes, tile.row, 0);
    const int32_t last_row = __shfl_sync(kAllLanes, tile.row, size - 1);
    const bool open_left = begin > 0 && sorted.ids[begin - 1] == first_row;
    const bool open_right = rest > size && sorted.ids[begin + size] == last_row;
    const bool one_run = first_row == last_row;
    if (lane == 0 && partial.ids) {
      partial.ids[2 * t] = open_left || (open_right && one_run) ? first_row : -1;
      partial.ids[2 * t + 1] = open_right ? last_row : -1;
    }
    while (heads != 0) {
      const Run run = next_run(heads, tile.row, lanes, size, open_left, open_right);
      const bool whole = run.row >= 0 && !run.open;
      Pack<Real, width> sum{};
      typename Sink::Scales scales{};
      if (whole) scales = sink.scales(run.row);
      for (int m = 0; m < sink.measures(); ++m) {
        Real measure = 0;
        for (int64_t column = lane_column; column - lane_column < dimensions; column += span) {
          if (m == 0 || dimensions > span) sum = tile.template sum<width>(run, column, dimensions);
          if (whole && column < dimensions) measure += sink.measure(m, run.row, column, sum, scales);
        }
        for (int distance = lanes / 2; distance > 0; distance /= 2) {
          measure += __shfl_xor_sync(kAllLanes, measure, distance);
        }
        if (whole) sink.take(m, run.row, measure, scales);
      }
      for (int64_t column = lane_column; column - lane_column < dimensions; column += span) {
        const bool known = sink.measures() > 0 && dimensions <= span;
        if (!known) sum = tile.template sum<width>(run, column, dimensions);
        if (column >= dimensions) continue;
        if (whole) sink.change(run.row, column, sum, scales);
        if (!run.open) continue;
        Real* const slot = partial.rows + (2 * t + (run.first > 0 ? 1 : 0)) * partial.stride + column;
        store_pack(slot, sum);
        // Where it goes on to the right, the other slot keeps what belongs together side by side.
        if (one_run && open_right) store_pack(slot + partial.stride, Pack<Real, width>{});
      }
      __syncwarp();  // every lane has read the row's state
      if (whole && lane_of_run == 0) sink.finish(run.row, scales);
    }
  }
}

// Hands the sum of each row's entries to the sink, once a row.
template <int width, class Source, class Sink>
cudaError_t sum_sorted_rows(SortedRows sorted, int64_t dimensions, const Source& source, const Sink& sink,
                            SegmentScratch<typename Sink::Real> scratch, void* stream) {
  using Real = typename Sink::Real;
  if (sorted.count == 0) return cudaSuccess;
  const auto pass = [&](int tile, const auto& entries, const SegmentScratch<Real>& partial) {
    using Entries = std::decay_t<decltype(entries)>;
    const int64_t blocks = std::min(tiles_of(tiles_of(sorted.count, tile), kSegmentWarps), int64_t{1} << 20);
    return PE_LAUNCH((sum_segments<width, Entries, Sink>), static_cast<unsigned>(blocks), kSegmentWarps * kWarp, 0,
                     stream, sorted, tile, lanes_of_run(dimensions, width), dimensions, entries, sink, partial);
  };
  int tile = tile_of(sorted.count);
  SegmentScratch<Real> none{nullptr, nullptr, 0};
  cudaError_t error = pass(tile, source, sorted.count > tile ? scratch : none);
  while (error == cudaSuccess && sorted.count > tile) {
    const DenseRows<Real> sums{scratch.rows, scratch.stride, Real(1)};
    sorted = {scratch.ids, nullptr, 2 * tiles_of(sorted.count, tile)};
    tile = kWarp;
    scratch.ids += sorted.count;
    scratch.rows += sorted.count * scratch.stride;
    error = pass(tile, sums, sorted.count > tile ? scratch : none);
  }
  return error;
}

}  // namespace pyembed
