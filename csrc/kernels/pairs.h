// Explicit pairs: what their kernels read and write. Spec: pyembed/reference.py section 9.
#pragma once

#include "kernels/pair_math.h"
#include "kernels/training.h"

namespace pyembed {

// B pairs of a row of in_vectors with N rows of out_vectors: the one it belongs to, then its negatives.
struct PairIds {
  const int32_t* in_ids;   // [B]
  const int32_t* out_ids;  // [B, N]
  int64_t count;           // B, below 2^31
  int outputs;             // N >= 1
};

// What one pair adds to one row of out_vectors: size times the row of in_vectors as it was before the batch.
template <class Real>
struct OutUpdate {
  int32_t id;       // row of out_vectors
  int32_t segment;  // the row of in_vectors, as a row of ExactPairs::before
  Real size;
};

// Rows that lie near each other, as items of one make do, come to different buckets.
PE_INLINE uint32_t bucket_of(int32_t out_id, int bucket_bits) {
  return static_cast<uint32_t>((static_cast<uint32_t>(out_id) * uint64_t{0x9E3779B1u} & 0xFFFFFFFFu) >>
                               (32 - bucket_bits));
}

// An exact step or gradient: `read` as it was before the batch decides, scale * gradient is added to `write`, which may
// be the same tables. First the rows of in_vectors in ascending order, each with all its pairs (a segment), which
// leaves a list of updates of out_vectors; then these, a bucket of rows at a time. pairs_plan.h makes the order and the
// buckets.
template <class Real>
struct ExactPairs {
  PairIds pairs;
  const uint64_t* order;    // [B] in_id * 2^32 + pair, ascending
  const int32_t* segments;  // [U + 1]: segment u is order[segments[u] : segments[u + 1]]
  Tables<Real> read;
  Tables<Real> write;        // write.in null: only the loss is wanted
  double rate;               // minus the scale: a learning rate
  Real* before;              // [U, stride] a copy of the rows of in_vectors, zero from column D on
  Real* change;              // [U, stride] where changes of in rows wait until nobody reads; null: nobody else does
  int64_t stride;            // D rounded up to kPairColumns
  OutUpdate<Real>* updates;  // [B * N]
  int bucket_bits;           // buckets = 2^bucket_bits
};

constexpr int64_t kPairColumns = 16;  // what the rows of `before` are padded to, in elements

PE_INLINE int64_t pair_stride(int64_t dimensions) {
  return (dimensions + kPairColumns - 1) / kPairColumns * kPairColumns;
}

// Elements of scratch of one thread, aligned to 64 bytes.
PE_INLINE int64_t pair_scratch_size(int64_t dimensions) { return 2 * pair_stride(dimensions); }

// Adds what waits in `change` for the segments [begin, end) to their rows of in_vectors.
template <class Real>
void add_changes(const ExactPairs<Real>& batch, int64_t begin, int64_t end) {
  for (int64_t u = begin; u < end; ++u) {
    const auto id = static_cast<int64_t>(batch.order[batch.segments[u]] >> 32);
    Real* const row = batch.write.in + id * batch.write.in_stride;
    for (int64_t d = 0; d < batch.write.dimensions; ++d) row[d] += batch.change[u * batch.stride + d];
  }
}

template <class Real>
struct PairKernels {
  // Trains the pairs [begin, end) in place, one after the other; several threads may train ranges of one batch at the
  // same time (Hogwild). Returns the sum of losses.
  double (*train_in_turn)(const PairIds& pairs, const Tables<Real>& tables, double rate, int64_t begin, int64_t end,
                          Real* scratch);
  // First half, for the segments [begin, end). cursor [buckets]: where this range's updates go, in the end where those
  // of each bucket end. Returns the loss.
  double (*train_in_rows)(const ExactPairs<Real>& batch, int64_t begin, int64_t end, uint32_t* cursor, Real* scratch);
  // Second half, for the updates [begin, end).
  void (*train_out_rows)(const ExactPairs<Real>& batch, int64_t begin, int64_t end);
};

}  // namespace pyembed
