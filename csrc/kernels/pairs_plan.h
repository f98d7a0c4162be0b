// The order in which an exact step on explicit pairs goes through them: sorted by their row of in_vectors, in pieces
// for threads, and the updates of out_vectors dealt to buckets of rows. Pieces do not depend on threads, and in its
// bucket a row's updates stand in the order of pairs, so every sum is formed in the same order whoever forms it.
#pragma once

#include "kernels/pairs.h"

namespace pyembed {

struct PairPlan {
  int pieces;       // of segments
  int bucket_bits;  // of out_vectors' rows
  PE_INLINE int64_t buckets() const { return int64_t{1} << bucket_bits; }
  // From a piece's cursors, one a bucket, to the next piece's: in cache lines of their own, as each update moves one.
  PE_INLINE int64_t cursor_stride() const {
    constexpr int64_t kLine = 64 / sizeof(uint32_t);
    return (buckets() + kLine - 1) / kLine * kLine;
  }
};

// For B pairs that so many threads share.
PairPlan pair_plan(int64_t pairs, int64_t threads);

// Ascending in_id * 2^32 + pair, for in_ids below `rows`. Both buffers [B] are used; returns the one with the result.
uint64_t* sort_pairs(const PairIds& pairs, int64_t rows, uint64_t* keys, uint64_t* spare);

// Fills segments [U + 1 <= B + 1] and piece_starts [pieces + 1], in segments. Returns U.
int64_t find_segments(const uint64_t* order, int64_t count, const PairPlan& plan, int32_t* segments,
                      int64_t* piece_starts);

// Where the updates of the pairs order[begin:end] begin, bucket after bucket, in the room of these pairs, which is
// begin * N to end * N: next [buckets].
void place_updates(const PairIds& pairs, const uint64_t* order, int64_t begin, int64_t end, const PairPlan& plan,
                   uint32_t* next);

}  // namespace pyembed
