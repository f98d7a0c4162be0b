// One explicit pair, walked by a warp: scores of its outputs a group at a time, and what follows from them, which the
// fate of a pair decides. Spec: pyembed/reference.py section 9.
#pragma once

#include "kernels/cuda/grid.cuh"
#include "kernels/cuda/lane_sums.cuh"
#include "kernels/cuda/packs.cuh"
#include "kernels/pair_math.h"
#include "kernels/pairs.h"

namespace pyembed {

// Rows of up to packs * kPackSpan<width> columns stay in registers; of more columns they are read twice, a span at a
// time. Outputs are scored in groups.
template <int packsOfLane, int outputsOfGroup, bool rowsStay>
struct Shape {
  static constexpr int packs = packsOfLane, group = outputsOfGroup;
  static constexpr bool stays = rowsStay;
};

template <bool races, int width, class Real>
PE_DEVICE Pack<Real, width> read_pack(const Real* address) {
  if constexpr (races) return racing_load_pack<width>(address);
  return load_pack<width>(address);
}

// How many outputs of a pair lane / lanes speaks for: 0 for one that takes no part, and for one that stands before it,
// too, whose score and change are the same. n: the lane's output, which it looks for together with its `lanes`
// neighbours.
template <int lanes>
PE_DEVICE int multiplicity(const int32_t* out_ids, int N, int n) {
  const int32_t id = n < N ? out_ids[n] : -1;
  int equal = 0, before = 0;
  for (int m = lane_index() % lanes; m < N; m += lanes) {
    const bool same = out_ids[m] == id;
    equal += same;
    before += same && m < n;
  }
  PE_UNROLL
  for (int distance = lanes / 2; distance > 0; distance /= 2) {
    equal += __shfl_xor_sync(kAllLanes, equal, distance);
    before += __shfl_xor_sync(kAllLanes, before, distance);
  }
  if (n == 0) return 1;
  return n < N && before == 0 ? equal : 0;
}

// One pair, for all lanes of a warp together: a group of outputs at a time is scored, and then changed.
template <class Shape, int width, class Real, class Fate>
class PairWalk {
 public:
  PE_DEVICE PairWalk(const PairIds& pairs, const Tables<Real>& tables, int64_t pair, Fate& fate)
      : tables_(tables),
        fate_(fate),
        pair_(pair),
        N_(pairs.outputs),
        D_(tables.dimensions),
        out_ids_(pairs.out_ids + pair * pairs.outputs),
        in_row_(tables.in + pairs.in_ids[pair] * tables.in_stride) {}

  PE_DEVICE void run() {
    if (Shape::stays) load_in(0);
    double loss = 0;
    for (int n0 = 0; n0 < N_; n0 += G) {
      const int n = n0 + lane_index() / kLanesOfSum;
      const int outputs = multiplicity<kLanesOfSum>(out_ids_, N_, n);
      choose(n0, outputs > 0);
      const Real score = scores();
      const bool speaks = lane_index() % kLanesOfSum == 0 && n < N_;
      if (speaks && outputs > 0) loss += outputs * static_cast<double>(softplus(n == 0 ? -score : score));
      if (!fate_.trains()) continue;
      const Real error = static_cast<Real>(outputs) * fate_.size(sigmoid(score) - Real(n == 0 ? 1 : 0));
      if (speaks) fate_.keep_error(pair_ * N_ + n, error);
      change_by(error, n0 == 0);
    }
    fate_.add_loss(pair_, loss);
    if (fate_.trains()) change_in();
  }

 private:
  static constexpr int P = Shape::packs, G = Shape::group, kLanesOfSum = kWarp / G;
  static constexpr int64_t kSpan = P * kPackSpan<width>;
  using Columns = Pack<Real, width>;

  // Columns in rounds of kSpan: one where rows stay.
  PE_DEVICE int64_t past() const { return Shape::stays ? 1 : D_; }
  PE_DEVICE int64_t column(int64_t begin, int p) const { return begin + p * kPackSpan<width> + lane_index() * width; }
  PE_DEVICE Real* out_row(int g) const { return tables_.out + ids_[g] * tables_.out_stride; }

  PE_DEVICE void load_in(int64_t begin) {
    PE_UNROLL
    for (int p = 0; p < P; ++p) {
      in_[p] = {};
      if (column(begin, p) < D_) in_[p] = read_pack<Fate::races, width>(in_row_ + column(begin, p));
    }
  }

  PE_DEVICE void load_out(int64_t begin) {
    PE_UNROLL
    for (int g = 0; g < G; ++g) {
      PE_UNROLL
      for (int p = 0; p < P; ++p) {
        out_[g][p] = {};
        if (!present_[g] || column(begin, p) >= D_) continue;
        out_[g][p] = read_pack<Fate::races, width>(out_row(g) + column(begin, p));
      }
    }
  }

  // The group's outputs that take part; each lane says whether its own does.
  PE_DEVICE void choose(int n0, bool takes_part) {
    const unsigned lanes = __ballot_sync(kAllLanes, takes_part);
    PE_UNROLL
    for (int g = 0; g < G; ++g) {
      present_[g] = (lanes >> (g * kLanesOfSum) & 1) != 0;
      ids_[g] = out_ids_[present_[g] ? n0 + g : 0];
    }
  }

  // The score of this lane's output.
  PE_DEVICE Real scores() {
    Real score[G] = {};
    for (int64_t begin = 0; begin < past(); begin += kSpan) {
      if (!Shape::stays) load_in(begin);
      load_out(begin);
      PE_UNROLL
      for (int g = 0; g < G; ++g) {
        PE_UNROLL
        for (int p = 0; p < P; ++p) score[g] += dot(in_[p], out_[g][p]);
      }
    }
    return transposed_sums<kWarp>(score);
  }

  // Adds size * row of each output to the change of the row of in_vectors, and changes the outputs.
  PE_DEVICE void change_by(Real size_of_lane, bool first_group) {
    Real size[G];
    PE_UNROLL
    for (int g = 0; g < G; ++g) size[g] = __shfl_sync(kAllLanes, size_of_lane, g * kLanesOfSum);
    Real* const change_row = Shape::stays ? nullptr : fate_.change_row(pair_);
    for (int64_t begin = 0; begin < past(); begin += kSpan) {
      if (!Shape::stays) {
        load_in(begin);
        load_out(begin);
      }
      PE_UNROLL
      for (int p = 0; p < P; ++p) {
        const int64_t d = column(begin, p);
        if (d >= D_) continue;
        if (!Shape::stays) change_[p] = first_group ? Columns{} : load_pack<width>(change_row + d);
        PE_UNROLL
        for (int g = 0; g < G; ++g) {
          add_scaled(change_[p], size[g], out_[g][p]);
          if (present_[g]) fate_.change_out(out_row(g) + d, size[g], in_[p]);
        }
        if (!Shape::stays) store_pack(change_row + d, change_[p]);
      }
    }
  }

  PE_DEVICE void change_in() {
    for (int64_t begin = 0; begin < past(); begin += kSpan) {
      if (!Shape::stays) load_in(begin);
      PE_UNROLL
      for (int p = 0; p < P; ++p) {
        const int64_t d = column(begin, p);
        if (d >= D_) continue;
        fate_.keep_in(pair_, d, in_[p]);
        if (!Shape::stays) change_[p] = load_pack<width>(fate_.change_row(pair_) + d);
        fate_.change_in(pair_, d, in_row_, change_[p]);
      }
    }
  }

  const Tables<Real>& tables_;
  Fate& fate_;
  const int64_t pair_;
  const int N_;
  const int64_t D_;
  const int32_t* const out_ids_;
  Real* const in_row_;
  int32_t ids_[G];
  bool present_[G];
  Columns in_[P], change_[P] = {}, out_[G][P];
};

}  // namespace pyembed
