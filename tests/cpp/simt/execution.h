// A launch under way: its blocks, warps and lanes, and who of them runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fiber.h"
#include "simt.h"

namespace simt {

constexpr unsigned kLanes = 32;

bool operator==(const Place& a, const Place& b);
std::string format(const char* pattern, ...) __attribute__((format(printf, 1, 2)));

struct FiberLane : Lane {
  uint64_t value = 0, result = 0;  // what it brings to a meeting and takes away
  int source = 0;
  uint64_t copy_group = 0;  // the one that its next copy joins
  std::vector<PendingCopy> copies;
  // Here and below, lanes come last, so that they are destroyed first: ThreadSanitizer then knows that they have ended.
  std::unique_ptr<Fiber> fiber;
};

// Lanes that wait for each other: of one mask, at one place.
struct Gathering {
  const char* name;
  Place place;
  unsigned mask;
  unsigned arrived;
  uint64_t number;  // among the gatherings of its warp
};

struct Warp {
  static constexpr size_t kSyncAddresses = 64;  // gatherings that ThreadSanitizer tells apart

  unsigned index;
  unsigned exist = 0, runnable = 0, exited = 0;  // masks of lanes
  std::vector<Gathering> gatherings;             // of lanes that wait
  uint64_t gatherings_begun = 0;
  char sync[kSyncAddresses];  // only its addresses are used
  std::vector<FiberLane> lanes;
};

struct Block {
  unsigned long long index;
  std::unique_ptr<unsigned char[]> shared;
  size_t shared_bytes = 0;
  unsigned threads = 0, exited = 0;
  Place barrier_place{};
  unsigned barrier_arrived = 0;
  uint64_t barriers = 0;
  char sync[2];  // of barriers; only its addresses are used
  std::vector<Warp> warps;
};

class Launch {
 public:
  Launch(const char* name, Index3 grid, Index3 block_size, size_t shared_bytes, void (*body)(const void*),
         const void* argument, uint64_t seed);

  // Runs all lanes to their end, unless something keeps them from it: see failure().
  void run();
  const std::string& failure() const { return failure_; }

  // --- For the lane that runs ---
  FiberLane& lane() const { return *static_cast<FiberLane*>(running); }
  // Switches to another lane. If this one is no longer runnable, it goes on when it is.
  void leave();
  void take_turns();
  bool copies_read_at_once();
  uint64_t meet(Meeting meeting, const char* name, unsigned mask, uint64_t value, int source, Place place);
  void meet_block(Place place);
  // The lane is left where it stands and none of its objects is destroyed: call it with nothing that owns memory.
  [[noreturn]] void fail(Place place, const char* pattern, ...) __attribute__((format(printf, 3, 4)));

 private:
  uint32_t random();
  std::unique_ptr<Block> new_block(uint64_t which) const;
  void run_warp(Warp& warp);
  Warp* next_warp();
  Fiber& next_fiber();
  unsigned next_lane(unsigned lanes);
  static void lane_main(void* lane);
  static void janitor_main(void* launch);
  void bring_away(std::vector<std::unique_ptr<Block>> blocks);
  void complete(Warp& warp, const Gathering& gathering, Meeting meeting, Place place);
  std::string stuck() const;

  const char* name_;
  Index3 grid_, block_size_;
  size_t shared_bytes_;
  void (*body_)(const void*);
  const void* argument_;
  uint64_t seed_, random_state_;
  Fiber scheduler_;
  // Destroys blocks. ThreadSanitizer takes what lanes did to happen before what their destroyer does; were that the
  // scheduler, blocks that begin later would seem to come after all that lanes of earlier ones did.
  Fiber janitor_;
  std::vector<std::unique_ptr<Block>> blocks_, ended_;  // under way; for the janitor
  std::vector<Warp*> warps_;                            // of the blocks under way
  size_t turn_ = 0;                                     // index of the warp whose turn it is
  Warp* warp_ = nullptr;                                // that one
  unsigned had_their_turn_ = 0;                         // its lanes that have run in this round
  bool turn_over_ = false;
  std::string failure_;
};

// The one that runs, or null.
inline Launch* current = nullptr;

}  // namespace simt
