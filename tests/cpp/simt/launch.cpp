// Whose turn it is: blocks, warps and lanes in an order that the seed decides.
#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <numeric>
#include <utility>

#include "execution.h"

namespace simt {
namespace {

constexpr unsigned kLongestTurn = 64;                // accesses that race, until another warp gets its turn
constexpr unsigned kRoundsOfATurn = 4;               // of collectives, on the average
constexpr uint64_t kAscending = 0, kDescending = 1;  // seeds that do not shuffle

std::unique_ptr<unsigned char[]> poisoned(size_t bytes) {
  std::unique_ptr<unsigned char[]> memory(new unsigned char[bytes]);
  std::memset(memory.get(), kPoison, bytes);
  return memory;
}

Index3 index_of(uint64_t number, Index3 size) {
  return {static_cast<unsigned>(number % size.x), static_cast<unsigned>(number / size.x % size.y),
          static_cast<unsigned>(number / size.x / size.y)};
}

uint64_t volume(Index3 size) { return uint64_t{size.x} * size.y * size.z; }

}  // namespace

Launch::Launch(const char* name, Index3 grid, Index3 block_size, size_t shared_bytes, void (*body)(const void*),
               const void* argument, uint64_t seed)
    : name_(name),
      grid_(grid),
      block_size_(block_size),
      shared_bytes_(shared_bytes),
      body_(body),
      argument_(argument),
      seed_(seed),
      random_state_(seed),
      janitor_(janitor_main, this) {}

// splitmix64
uint32_t Launch::random() {
  uint64_t bits = random_state_ += 0x9E3779B97F4A7C15u;
  bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9u;
  bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EBu;
  return static_cast<uint32_t>(bits >> 32);
}

std::unique_ptr<Block> Launch::new_block(uint64_t which) const {
  auto block = std::make_unique<Block>();
  block->index = which;
  block->shared_bytes = shared_bytes_;
  block->shared = poisoned(shared_bytes_);
  block->threads = static_cast<unsigned>(volume(block_size_));
  block->warps.resize((block->threads + kLanes - 1) / kLanes);
  for (unsigned w = 0; w < block->warps.size(); ++w) {
    Warp& warp = block->warps[w];
    warp.index = w;
    warp.gatherings.reserve(kLanes);
    warp.lanes.resize(std::min(kLanes, block->threads - w * kLanes));
    for (unsigned i = 0; i < warp.lanes.size(); ++i) {
      FiberLane& lane = warp.lanes[i];
      lane.thread = index_of(w * kLanes + i, block_size_);
      lane.block_index = index_of(which, grid_);
      lane.block_size = block_size_;
      lane.grid_size = grid_;
      lane.block = block.get();
      lane.warp = &warp;
      lane.index = static_cast<int>(i);
      lane.fiber = std::make_unique<Fiber>(lane_main, &lane);
      warp.exist |= 1u << i;
    }
    warp.runnable = warp.exist;
  }
  ++counters.blocks;
  counters.largest_shared_bytes = std::max<uint64_t>(counters.largest_shared_bytes, shared_bytes_);
  return block;
}

void Launch::run() {
  const uint64_t blocks = volume(grid_);
  std::vector<uint64_t> order(blocks);
  std::iota(order.begin(), order.end(), uint64_t{0});
  if (seed_ == kDescending) std::reverse(order.begin(), order.end());
  for (uint64_t i = blocks; seed_ > kDescending && i > 1; --i) std::swap(order[i - 1], order[random() % i]);
  const auto at_once = static_cast<size_t>(std::max(1, device.multiprocessors * device.blocks_per_multiprocessor));

  for (uint64_t next = 0; failure_.empty() && (next < blocks || !blocks_.empty());) {
    while (next < blocks && blocks_.size() < at_once) {
      blocks_.push_back(new_block(order[next++]));
      for (Warp& warp : blocks_.back()->warps) warps_.push_back(&warp);
    }
    Warp* warp = next_warp();
    if (!warp) {
      failure_ = stuck();
      break;
    }
    run_warp(*warp);
    const auto ended = [](const std::unique_ptr<Block>& block) { return block->exited == block->threads; };
    const auto first_ended = std::stable_partition(blocks_.begin(), blocks_.end(), std::not_fn(ended));
    if (first_ended == blocks_.end()) continue;
    std::vector<std::unique_ptr<Block>> leaving(std::make_move_iterator(first_ended),
                                                std::make_move_iterator(blocks_.end()));
    blocks_.erase(first_ended, blocks_.end());
    warps_.clear();
    for (const auto& block : blocks_) {
      for (Warp& other : block->warps) warps_.push_back(&other);
    }
    bring_away(std::move(leaving));
  }
  bring_away(std::move(blocks_));
  acquire(this);
  reuse_seats();
}

void Launch::bring_away(std::vector<std::unique_ptr<Block>> blocks) {
  ended_ = std::move(blocks);
  scheduler_.switch_to(janitor_);
}

void Launch::janitor_main(void* launch_pointer) {
  Launch& launch = *static_cast<Launch*>(launch_pointer);
  for (;;) {
    launch.ended_.clear();
    release(&launch);
    launch.janitor_.switch_to(launch.scheduler_);
  }
}

void Launch::lane_main(void* lane_pointer) {
  FiberLane& lane = *static_cast<FiberLane*>(lane_pointer);
  Launch& launch = *current;
  launch.body_(launch.argument_);
  lane.warp->exited |= 1u << lane.index;
  lane.warp->runnable &= ~(1u << lane.index);
  ++lane.block->exited;
  lane.fiber->end_with(launch.next_fiber());
}

// The next warp with a lane that can run, or null.
Warp* Launch::next_warp() {
  const size_t count = warps_.size();
  const size_t first = seed_ > kDescending ? random() % count : turn_ + (seed_ == kAscending ? 1 : count - 1);
  for (size_t i = 0; i < count; ++i) {
    turn_ = (first + (seed_ == kDescending ? count - i : i)) % count;
    if (warps_[turn_]->runnable) return warps_[turn_];
  }
  return nullptr;
}

unsigned Launch::next_lane(unsigned lanes) {
  if (seed_ == kAscending) return static_cast<unsigned>(__builtin_ctz(lanes));
  if (seed_ == kDescending) return kLanes - 1 - static_cast<unsigned>(__builtin_clz(lanes));
  const unsigned first = random() % kLanes;
  const unsigned from_first = lanes >> first << first;
  return static_cast<unsigned>(__builtin_ctz(from_first ? from_first : lanes));
}

void Launch::run_warp(Warp& warp) {
  warp_ = &warp;
  turn_over_ = false;
  had_their_turn_ = 0;
  scheduler_.switch_to(next_fiber());
}

// A lane of the warp whose turn it is, or the scheduler.
Fiber& Launch::next_fiber() {
  running = nullptr;
  if (warp_->runnable == 0 || turn_over_ || !failure_.empty()) return scheduler_;
  if (!(warp_->runnable & ~had_their_turn_)) {
    if (random() % kRoundsOfATurn == 0) return scheduler_;
    had_their_turn_ = 0;
  }
  const unsigned which = next_lane(warp_->runnable & ~had_their_turn_);
  had_their_turn_ |= 1u << which;
  running = &warp_->lanes[which];
  return *warp_->lanes[which].fiber;
}

void Launch::leave() {
  FiberLane& self = lane();
  self.fiber->switch_to(next_fiber());
}

void Launch::take_turns() {
  until_turn = 1 + random() % kLongestTurn;
  turn_over_ = true;
  leave();
}

bool Launch::copies_read_at_once() { return seed_ > kDescending ? random() % 2 == 0 : seed_ == kDescending; }

void Launch::fail(Place place, const char* pattern, ...) {
  char what[256];
  va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(what, sizeof what, pattern, arguments);
  va_end(arguments);
  const FiberLane& failed = lane();
  failure_ = format("kernel %s: block %llu, warp %u, lane %d: %s (%s:%d)", name_, failed.block->index,
                    failed.warp->index, failed.index, what, place.file, place.line);
  leave();
  std::abort();  // nobody switches to a lane of a launch that has failed
}

}  // namespace simt
