// The rows of out_vectors that a window meets: its center's, and those of its negatives, which windows of a pool share.
// The next window's rows are copied to shared memory while this one trains; a row that it has in common with this one
// is taken over from there. A row that stands twice has one slot, and a negative equal to the center takes no part.
// Spec: pyembed/reference.py sections 3.1, 5 and 7.
#pragma once

#include "kernels/cuda/row_slots.cuh"

namespace pyembed {

template <class Element, WriteBack write_back>
class OutputRows {
 public:
  // memory: the warp's shared memory.
  PE_DEVICE OutputRows(const Tables<Element>& tables, const Draws& draws, const WarpLayout& layout, float* memory)
      : rows{tables.out, tables.out_stride, layout.columns, memory + layout.out_values},
        offsets(reinterpret_cast<int32_t*>(memory) + layout.output_offsets),
        counts(memory + layout.output_counts),
        negative_(layout.negative),
        pooled_(draws.sharing > kPerWindow),
        targets_(reinterpret_cast<Element**>(memory + layout.output_targets)),
        bases_(memory + layout.out_bases) {}

  const RowSlots<Element> rows;
  // The distinct rows of this window, the center's first, as offsets from rows.values, and how often each stands in it.
  // The list is filled up with the center's row to whole tiles.
  int32_t* const offsets;
  float* const counts;
  int distinct = 0;

  // Plans the next window: ids of its center and, in the lanes, of its negatives, which are the pool's if not new.
  PE_DEVICE void plan(int center, int negative, bool new_pool) {
    new_pool_ = new_pool;
    if (new_pool) plan_pool(negative);
    plan_center(center);
  }

  // The planned window is this one from now on; its rows have arrived, or will with this warp's next wait.
  PE_DEVICE void adopt() {
    if (new_pool_) {
      pool_ = next_pool_;
      bank_ ^= 1;
      fresh_ = true;
    }
    center_ = next_center_;
    center_slot_ = next_center_slot_;
    arriving_ = coming_;
    coming_ = 0;
  }

  // What was planned for this window has arrived: lists its rows.
  PE_DEVICE void arrive() {
    for (uint64_t left = arriving_; left != 0; left &= left - 1) rows.widen(__ffsll(static_cast<int64_t>(left)) - 1);
    const bool takes_part = pool_.id >= 0 && pool_.id != center_;
    const unsigned members = __ballot_sync(kAllLanes, takes_part);
    const int rank = 1 + __popc(members & ((1u << lane_index()) - 1));
    distinct = 1 + __popc(members);
    if (takes_part) {
      offsets[rank] = (bank_ * negative_ + lane_index()) * rows.columns;
      counts[rank] = static_cast<float>(pool_.count);
      targets_[rank] = rows.table_row(pool_.id);
    }
    const int filled = (distinct + kTileOutputs - 1) / kTileOutputs * kTileOutputs;
    for (int n = lane_index(); n < filled; n += kWarp) {
      if (n == 0 || n >= distinct) offsets[n] = center_slot_ * rows.columns;
    }
    if (lane_index() == 0) {
      counts[0] = 1;
      targets_[0] = rows.table_row(center_);
    }
    written_ = pooled_ ? center_slot_ >= 2 * negative_ : distinct;
    if (write_back == WriteBack::add && pooled_ && fresh_) {
      for_each_in_pool([&](int j) { rows.copy_row(bank_ * negative_ + j, base(j)); });
    }
    fresh_ = false;
    __syncwarp();
  }

  // Adds a change of four columns to output n; value: what they were.
  PE_DEVICE void change4(int n, int d, float4 value, float4 delta, LaneBits& bits) const {
    const float4 changed = value + delta;
    if (pooled_ || reused_) four(rows.values + offsets[n] + d) = changed;
    if (n < written_) write_back4<write_back>(targets_[n] + d, changed, delta, bits);
  }

  // This window is trained: rows of a pool that ends go back, and what the next window has in common with it moves
  // over.
  PE_DEVICE void finish(bool last, LaneBits& bits) {
    if (pooled_ && (last || new_pool_)) {
      for_each_in_pool([&](int j) {
        const int id = __shfl_sync(kAllLanes, pool_.id, j);
        rows.template write_row_back<write_back>(bank_ * negative_ + j, base(j), id, bits);
      });
    }
    for (unsigned left = taken_over_; left != 0; left &= left - 1) {
      const int lane = __ffs(static_cast<int>(left)) - 1;
      rows.copy_row(__shfl_sync(kAllLanes, from_, lane), rows.row(__shfl_sync(kAllLanes, to_, lane)));
    }
    taken_over_ = 0;
    reused_ = false;
  }

 private:
  // Distinct negatives: a lane's id, -1 where it has none, and how often it was drawn.
  struct Pool {
    int id = -1;
    int count = 0;
  };

  PE_DEVICE float* base(int j) const { return bases_ + j * rows.columns; }

  // Visits the places of this pool's distinct negatives.
  template <class Visit>
  PE_DEVICE void for_each_in_pool(const Visit& visit) const {
    for (unsigned left = __ballot_sync(kAllLanes, pool_.id >= 0); left != 0; left &= left - 1) {
      visit(__ffs(static_cast<int>(left)) - 1);
    }
  }

  // A pool in which a negative that was drawn twice stands once, where it was drawn first.
  PE_DEVICE void plan_pool(int negative) {
    const unsigned same = __match_any_sync(kAllLanes, negative);
    const bool first = negative >= 0 && __ffs(static_cast<int>(same)) - 1 == lane_index();
    next_pool_ = first ? Pool{negative, __popc(same)} : Pool{};
    int here = negative == center_ ? center_slot_ : -1;  // the slot in which this window holds the row
    for (int j = 0; j < negative_; ++j) {
      if (__shfl_sync(kAllLanes, pool_.id, j) == negative) here = bank_ * negative_ + j;
    }
    const int slot = (bank_ ^ 1) * negative_ + lane_index();
    if (first && here >= 0) {
      from_ = here;
      to_ = slot;
    }
    taken_over_ |= __ballot_sync(kAllLanes, first && here >= 0);
    const unsigned missing = __ballot_sync(kAllLanes, first && here < 0);
    for (unsigned left = missing; left != 0; left &= left - 1) {
      const int j = __ffs(static_cast<int>(left)) - 1;
      rows.load_later((bank_ ^ 1) * negative_ + j, __shfl_sync(kAllLanes, negative, j));
    }
    coming_ |= static_cast<uint64_t>(missing) << ((bank_ ^ 1) * negative_);
    reused_ = taken_over_ != 0;
  }

  PE_DEVICE void plan_center(int center) {
    next_center_ = center;
    const int bank = new_pool_ ? bank_ ^ 1 : bank_;
    const unsigned in_pool = __ballot_sync(kAllLanes, (new_pool_ ? next_pool_.id : pool_.id) == center);
    if (in_pool) {
      next_center_slot_ = bank * negative_ + __ffs(static_cast<int>(in_pool)) - 1;
      return;
    }
    const int own = 2 * negative_;  // the first of the two slots of centers
    if (center == center_ && center_slot_ >= own) {
      next_center_slot_ = center_slot_;
      reused_ = true;
      return;
    }
    next_center_slot_ = center_slot_ == own ? own + 1 : own;
    const unsigned here = __ballot_sync(kAllLanes, pool_.id == center);
    if (here == 0 && center != center_) {
      rows.load_later(next_center_slot_, center);
      coming_ |= uint64_t{1} << next_center_slot_;
      return;
    }
    constexpr int lane = kWarp - 1;  // has no negative
    taken_over_ |= 1u << lane;
    reused_ = true;
    if (lane_index() == lane) {
      from_ = here ? bank_ * negative_ + __ffs(static_cast<int>(here)) - 1 : center_slot_;
      to_ = next_center_slot_;
    }
  }

  const int negative_;
  const bool pooled_;
  Element** const targets_;  // rows of the table
  float* const bases_;       // [K, columns], what the pool's rows were when they came
  Pool pool_, next_pool_;
  int bank_ = 0;
  int center_ = -1, next_center_ = -1;
  int center_slot_ = -1, next_center_slot_ = -1;
  bool new_pool_ = false;               // the next window has one
  bool fresh_ = false;                  // this window has one
  int written_ = 0;                     // how many outputs go back with this window; a pool's go back with the pool
  bool reused_ = false;                 // the next window needs a row as this one leaves it
  unsigned taken_over_ = 0;             // lanes of rows that move to a slot of the next window
  int from_ = 0, to_ = 0;               // this lane's, as slots
  uint64_t coming_ = 0, arriving_ = 0;  // sets of slots
};

}  // namespace pyembed
