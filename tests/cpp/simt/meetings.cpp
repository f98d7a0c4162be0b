// Collectives: lanes of a warp, or of a block, wait for each other.
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "execution.h"

namespace simt {

namespace {

bool same_text(const char* a, const char* b) { return a == b || std::strcmp(a, b) == 0; }

}  // namespace

bool operator==(const Place& a, const Place& b) { return a.line == b.line && same_text(a.file, b.file); }

std::string format(const char* pattern, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(text, sizeof text, pattern, arguments);
  va_end(arguments);
  return text;
}

uint64_t Launch::meet(Meeting meeting, const char* name, unsigned mask, uint64_t value, int source, Place place) {
  FiberLane& self = lane();
  Warp& warp = *self.warp;
  const unsigned bit = 1u << self.index;
  if (!(mask & bit)) fail(place, "%s with mask %08x, which lacks the lane itself", name, mask);
  self.value = value;
  self.source = source;
  size_t which = 0;
  while (which < warp.gatherings.size() &&
         !(warp.gatherings[which].mask == mask && warp.gatherings[which].place == place &&
           same_text(warp.gatherings[which].name, name))) {
    ++which;
  }
  if (which == warp.gatherings.size()) warp.gatherings.push_back({name, place, mask, 0, warp.gatherings_begun++});
  Gathering& gathering = warp.gatherings[which];
  gathering.arrived |= bit;
  char* sync = &warp.sync[gathering.number % Warp::kSyncAddresses];
  if (meeting == Meeting::barrier) release(sync);
  if (gathering.arrived == mask) {
    const Gathering complete_one = gathering;
    warp.gatherings.erase(warp.gatherings.begin() + static_cast<std::ptrdiff_t>(which));
    complete(warp, complete_one, meeting, place);
  } else {
    warp.runnable &= ~bit;
    leave();
  }
  if (meeting == Meeting::barrier) acquire(sync);
  return self.result;
}

// Gives every lane what it takes away; called by the last to arrive.
void Launch::complete(Warp& warp, const Gathering& gathering, Meeting meeting, Place place) {
  const auto is_in = [&](unsigned i) { return (gathering.mask >> i & 1) != 0; };
  uint64_t votes = 0;
  for (unsigned i = 0; i < warp.lanes.size(); ++i) votes |= uint64_t{is_in(i) && warp.lanes[i].value != 0} << i;
  for (unsigned i = 0; i < warp.lanes.size(); ++i) {
    FiberLane& one = warp.lanes[i];
    if (!is_in(i)) continue;
    if (meeting == Meeting::vote) one.result = votes;
    if (meeting == Meeting::shuffle) {
      const auto source = static_cast<unsigned>(one.source);
      if (!is_in(source)) {
        fail(place, "%s: lane %u reads lane %u, which mask %08x lacks", gathering.name, i, source, gathering.mask);
      }
      one.result = warp.lanes[source].value;
    }
    if (meeting == Meeting::match) {
      one.result = 0;
      for (unsigned j = 0; j < warp.lanes.size(); ++j) {
        one.result |= uint64_t{is_in(j) && warp.lanes[j].value == one.value} << j;
      }
    }
  }
  uint64_t& counter = meeting == Meeting::barrier   ? counters.warp_barriers
                      : meeting == Meeting::shuffle ? counters.shuffles
                                                    : counters.votes;
  ++counter;
  warp.runnable |= gathering.mask;
}

void Launch::meet_block(Place place) {
  FiberLane& self = lane();
  Block& block = *self.block;
  if (block.barrier_arrived == 0) block.barrier_place = place;
  if (!(block.barrier_place == place)) {
    fail(place, "__syncthreads, while others of the block wait at the one of %s:%d", block.barrier_place.file,
         block.barrier_place.line);
  }
  char* sync = &block.sync[block.barriers % 2];
  release(sync);
  if (++block.barrier_arrived < block.threads) {
    self.warp->runnable &= ~(1u << self.index);
    leave();
  } else {
    block.barrier_arrived = 0;
    ++block.barriers;
    ++counters.block_barriers;
    for (Warp& warp : block.warps) warp.runnable = warp.exist;
  }
  acquire(sync);
}

// Who waits where, in the first block under way.
std::string Launch::stuck() const {
  const Block& block = *blocks_.front();
  std::string text = format("kernel %s can not go on: block %llu", name_, block.index);
  for (const Warp& warp : block.warps) {
    if (warp.exited == warp.exist && block.exited > 0 && block.barrier_arrived == 0) continue;
    text += format("; warp %u:", warp.index);
    unsigned at_barrier = warp.exist & ~warp.exited;
    for (const Gathering& gathering : warp.gatherings) {
      text += format(" lanes %08x wait at %s (%s:%d) for lanes %08x,", gathering.arrived, gathering.name,
                     gathering.place.file, gathering.place.line, gathering.mask);
      at_barrier &= ~gathering.arrived;
    }
    if (at_barrier) {
      text += format(" lanes %08x wait at __syncthreads (%s:%d) for the block,", at_barrier, block.barrier_place.file,
                     block.barrier_place.line);
    }
    if (warp.exited) text += format(" lanes %08x have exited,", warp.exited);
    if (~warp.exist) text += format(" lanes %08x do not exist,", ~warp.exist);
    text.pop_back();
  }
  return text;
}

}  // namespace simt
