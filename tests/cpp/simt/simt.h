// The execution model of CUDA on a CPU: blocks, warps and lanes of a kernel as fibers of one thread, so that its logic
// can be tested and sanitized where no GPU is. This is what the shim's cuda_runtime.h and portable.cuh are made of.
//
// - Lanes do not run in lockstep: each runs until it must wait for others; who goes on is decided by a seed. Several
//   blocks of a launch are under way at a time, and warps take turns where they wait and at accesses that race.
// - A collective waits for exactly the lanes of its mask, at the same place. A launch of which no lane can go on ends
//   with cudaErrorLaunchFailure, and failure() names the lanes and where they are.
// - Shared memory is full of NaN when a block begins, and so is the destination of a copy that has not arrived. When
//   between its begin and the wait for it a copy reads is decided by the seed.
// - Only __syncwarp, __syncthreads and the begin and end of a launch order memory, as ThreadSanitizer sees it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace simt {

struct Index3 {
  unsigned x, y, z;
};

// What a kernel did since reset_counters(). Bytes and calls are of lanes; collectives of warps (blocks: barriers).
// Plain accesses to memory are not counted.
struct Counters {
  uint64_t launches = 0, blocks = 0;
  uint64_t load_calls = 0, load_bytes = 0;      // racing_load*
  uint64_t store_calls = 0, store_bytes = 0;    // racing_store*
  uint64_t atomic_calls = 0, atomic_bytes = 0;  // atomic_add*, compare_and_swap4, atomicAdd and the like
  uint64_t copy_calls = 0, copy_bytes = 0;      // copy_later
  uint64_t shuffles = 0, votes = 0, warp_barriers = 0, block_barriers = 0;
  uint64_t largest_shared_bytes = 0;  // of a block
};
inline Counters counters;
inline void reset_counters() { counters = Counters(); }

// 0: lanes, warps and blocks in ascending order; 1: in descending order; else shuffled. At first PYEMBED_SIMT_SEED.
void set_seed(uint64_t seed);

// The device that kernels find; a test may change it.
struct Device {
  int multiprocessors = 2;
  int blocks_per_multiprocessor = 2;  // under way at the same time
};
inline Device device;

// Why the last launch that failed did, empty if none.
const char* failure();

// A line of a source file.
struct Place {
  const char* file;
  int line;
  // As a default argument: where the function is called.
  static constexpr Place here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) { return {file, line}; }
};

constexpr unsigned char kPoison = 0xFF;  // fills memory that nobody has written: not a number, in any type

struct Block;
struct Warp;

// What is known of the thread that runs.
struct Lane {
  Index3 thread, block_index, block_size, grid_size;
  Block* block;
  Warp* warp;
  int index;  // in its warp
};
inline Lane* running;             // null outside of kernels
inline unsigned until_turn = 64;  // accesses that race, until another warp gets its turn

// How lanes of a warp meet; what else than the value they bring decides what they take away.
enum class Meeting { barrier, shuffle, vote, match };

// Returns when the lanes of the mask are there. shuffle: the value of the lane `source`; vote: the lanes whose value
// is not 0; match: the lanes of the same value.
uint64_t meet(Meeting meeting, const char* name, unsigned mask, uint64_t value, int source, Place place);
void meet_block(Place place);

// Lets other warps run.
void take_turns();
// Ends the launch that this lane belongs to.
[[noreturn]] void fail(const char* what, Place place);
unsigned char* dynamic_shared();
// Whether all of these bytes are this block's shared memory.
bool is_shared(const void* address, size_t bytes);

constexpr size_t kCopyBytes = 16;
// A copy that has not arrived.
struct PendingCopy {
  uint32_t* shared;
  const uint32_t* global;
  bool read;  // what it brings is known
  uint32_t words[kCopyBytes / sizeof(uint32_t)];
  uint64_t group;  // of its lane's copies
};
// Whether a copy that begins now reads at once; else it reads when it is waited for. The seed decides.
bool copies_read_at_once();
void begin_copy(const PendingCopy& copy);
void end_copy_group();
// Takes a copy that is to arrive now that at most `groups` groups may be under way; false if there is none.
bool next_copy(int groups, PendingCopy& copy);

// Called before each access that races.
inline void racing(uint64_t& calls, uint64_t& bytes, size_t size, const void* address, Place place)
    __attribute__((no_sanitize("thread")));
inline void racing(uint64_t& calls, uint64_t& bytes, size_t size, const void* address, Place place) {
  ++calls;
  bytes += size;
  if (reinterpret_cast<uintptr_t>(address) % size != 0) fail("an access that is not aligned to its size", place);
  if (--until_turn == 0) take_turns();
}

}  // namespace simt
