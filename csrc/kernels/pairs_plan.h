// The order in which an exact step on explicit pairs goes through them: sorted by their row of in_vectors, in pieces
// for threads, and the updates of out_vectors dealt to buckets. The plan depends on the batch alone, not on threads, so
// every row's sum is formed in the same order whoever forms it.
#pragma once

#include "kernels/pairs.h"

namespace pyembed {

struct PairPlan {
  int pieces;       // of segments
  int bucket_bits;  // of out_vectors' rows
  int uses_bits;    // of the table that counts their uses
  PE_INLINE int64_t buckets() const { return int64_t{1} << bucket_bits; }
};

// For B pairs of N outputs.
PairPlan pair_plan(int64_t pairs, int outputs);

// Ascending in_id * 2^32 + pair, for in_ids below `rows`. Both buffers [B] are used; returns the one with the result.
uint64_t* sort_pairs(const PairIds& pairs, int64_t rows, uint64_t* keys, uint64_t* spare);

// Fills segments [U + 1 <= B + 1] and piece_starts [pieces + 1], in segments. Returns U.
int64_t find_segments(const uint64_t* order, int64_t count, const PairPlan& plan, int32_t* segments,
                      int64_t* piece_starts);

// Fills count [2^uses_bits] as OutputUses wants it.
void count_uses(const PairIds& pairs, const PairPlan& plan, uint8_t* count);

// How many updates of rows used more than once the pairs order[begin:end] have for each bucket: counts [buckets].
void count_updates(const PairIds& pairs, const uint64_t* order, int64_t begin, int64_t end, const PairPlan& plan,
                   const OutputUses& uses, uint32_t* counts);

// Turns counts [pieces, buckets] into each piece's first update of each bucket; bucket_starts [buckets + 1].
void place_updates(const PairPlan& plan, uint32_t* counts, uint32_t* bucket_starts);

}  // namespace pyembed
