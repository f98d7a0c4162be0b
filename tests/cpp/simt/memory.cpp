// Shared memory of blocks, and copies into it that are under way.
#include "execution.h"

namespace simt {
unsigned char* dynamic_shared() { return running->block->shared.get(); }

bool is_shared(const void* address, size_t bytes) {
  const Block& block = *running->block;
  const auto begin = reinterpret_cast<uintptr_t>(address), first = reinterpret_cast<uintptr_t>(dynamic_shared());
  return begin >= first && begin + bytes <= first + block.shared_bytes;
}

bool copies_read_at_once() { return current->copies_read_at_once(); }

void begin_copy(const PendingCopy& copy) {
  FiberLane& lane = current->lane();
  lane.copies.push_back(copy);
  lane.copies.back().group = lane.copy_group;
}

void end_copy_group() { ++current->lane().copy_group; }

bool next_copy(int groups, PendingCopy& copy) {
  FiberLane& lane = current->lane();
  if (lane.copies.empty() || lane.copies.front().group + static_cast<uint64_t>(groups) >= lane.copy_group) return false;
  copy = lane.copies.front();
  lane.copies.erase(lane.copies.begin());
  return true;
}

}  // namespace simt
