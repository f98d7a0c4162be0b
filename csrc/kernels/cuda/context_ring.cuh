// The rows of in_vectors around the center: each is copied to shared memory when its token comes within reach and goes
// back when the token falls out of it, so that one load and one write serve all windows between. A word that stands
// twice among these tokens has one slot. Spec: pyembed/reference.py sections 3 and 7.
#pragma once

#include "kernels/cuda/row_slots.cuh"
#include "kernels/cuda/window_draws.cuh"

namespace pyembed {

template <class Element, WriteBack write_back>
class ContextRing {
 public:
  // memory: the warp's shared memory. frequent: see LaunchOptions.
  PE_DEVICE ContextRing(const Tables<Element>& tables, const WarpLayout& layout, int32_t frequent, float* memory)
      : rows{tables.in, tables.in_stride, layout.columns, memory + layout.in_values},
        offsets(reinterpret_cast<int32_t*>(memory) + layout.context_offsets),
        counts(memory + layout.context_counts),
        bases_(memory + layout.in_bases),
        slot_count_(layout.in_slots),
        frequent_(frequent) {}

  const RowSlots<Element> rows;
  // The distinct rows of the window that was asked for last, as offsets from rows.values, and how often each stands in
  // it. The list is filled up with its first row to whole tiles.
  int32_t* const offsets;
  float* const counts;
  int distinct = 0;

  // The token of this id is within reach from now on.
  PE_DEVICE void enter(int token, int id) {
    const unsigned present = __ballot_sync(kAllLanes, uses_ > 0 && id_ == id);
    const unsigned room = __ballot_sync(kAllLanes, uses_ == 0 && lane_index() < slot_count_);
    const int slot = __ffs(static_cast<int>(present ? present : room)) - 1;
    if (lane_index() == slot) {
      id_ = id;
      ++uses_;
    }
    if (lane_index() == token % kWarp) slot_of_token_ = slot;
    if (present) return;
    rows.load_later(slot, id);
    coming_ |= 1u << slot;
  }

  // What has entered since the last call will have arrived when it is called again.
  PE_DEVICE void await() {
    arriving_ = coming_;
    coming_ = 0;
  }

  // What await() spoke of has arrived.
  PE_DEVICE void arrive() {
    for (unsigned left = arriving_; left != 0; left &= left - 1) {
      const int slot = __ffs(static_cast<int>(left)) - 1;
      rows.widen(slot);
      if (write_back == WriteBack::add) rows.copy_row(slot, base(slot));
    }
  }

  // Lists the rows of a run of tokens without the center.
  PE_DEVICE void choose(const Tokens& tokens, int center) {
    int count = 0;
    for (int token = tokens.begin; token < tokens.end; ++token) {
      const int slot = __shfl_sync(kAllLanes, slot_of_token_, token % kWarp);
      count += token != center && slot == lane_index();
    }
    const unsigned chosen = __ballot_sync(kAllLanes, count > 0);
    const int rank = __popc(chosen & ((1u << lane_index()) - 1));
    if (count > 0) {
      offsets[rank] = lane_index() * rows.columns;
      counts[rank] = static_cast<float>(count);
    }
    distinct = __popc(chosen);
    if (lane_index() >= distinct && lane_index() < whole_tiles(distinct)) {
      offsets[lane_index()] = (__ffs(static_cast<int>(chosen)) - 1) * rows.columns;
    }
    changed_ |= chosen;
    __syncwarp();
  }

  // The token is out of reach; its row goes back with the last token of its word.
  PE_DEVICE void leave(int token, LaneBits& bits) {
    const int slot = __shfl_sync(kAllLanes, slot_of_token_, token % kWarp);
    if (lane_index() == slot) --uses_;
    const int uses = __shfl_sync(kAllLanes, uses_, slot), id = __shfl_sync(kAllLanes, id_, slot);
    if (uses > 0) return;
    if (changed_ >> slot & 1) rows.template write_row_back<write_back>(slot, base(slot), id, bits);
    changed_ &= ~(1u << slot);
  }

  // Sends the changed rows of frequent words back and for them anew. A copy that overtook its row on the way would only
  // be a window staler.
  PE_DEVICE void refresh(LaneBits& bits) {
    const unsigned stale = changed_ & __ballot_sync(kAllLanes, uses_ > 0 && id_ < frequent_);
    if (stale == 0) return;
    for (unsigned left = stale; left != 0; left &= left - 1) {
      const int slot = __ffs(static_cast<int>(left)) - 1;
      rows.template write_row_back<write_back>(slot, base(slot), __shfl_sync(kAllLanes, id_, slot), bits);
    }
    __syncwarp();  // every lane has read what the copies overwrite
    for (unsigned left = stale; left != 0; left &= left - 1) {
      const int slot = __ffs(static_cast<int>(left)) - 1;
      rows.load_later(slot, __shfl_sync(kAllLanes, id_, slot));
    }
    end_copy_group();
    changed_ &= ~stale;
    coming_ |= stale;
  }

 private:
  PE_DEVICE float* base(int slot) const { return bases_ + slot * rows.columns; }
  PE_DEVICE static int whole_tiles(int contexts) {
    return (contexts + kTileContexts - 1) / kTileContexts * kTileContexts;
  }

  float* const bases_;
  const int slot_count_;
  const int32_t frequent_;
  // A lane is a slot: the id of its row, and how many tokens within reach use it.
  int id_ = -1, uses_ = 0;
  // A lane is a token, modulo the lanes.
  int slot_of_token_ = 0;
  unsigned coming_ = 0, arriving_ = 0, changed_ = 0;  // sets of slots
};

}  // namespace pyembed
