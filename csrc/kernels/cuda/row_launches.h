// The CUDA kernels of explicit pairs and of rows, as host functions: each launches on a stream and returns at once.
// Every pointer is to memory of the current device. Spec: pyembed/reference.py sections 9 and 10.
#pragma once

#include "kernels/cuda/launches.h"
#include "kernels/pairs.h"
#include "kernels/row_math.h"

namespace pyembed {

// --- Ids ---

// narrow [count] becomes ids as int32; how many are not below `rows` is added to bad [1]. left_out: bool[rows], of ids
// that become -1; null: none does. Id: int32_t or int64_t.
template <class Id>
cudaError_t launch_narrow_ids(const Id* ids, int64_t count, int64_t rows, const bool* left_out, int32_t* narrow,
                              int32_t* bad, void* stream);

// --- Sums of rows that belong to the same row of a table ---

// Entries in the order of the row that they belong to.
struct SortedRows {
  const int32_t* ids;    // [count] rows of the table, ascending; -1: no entry
  const int64_t* order;  // [count] which entry stands there; null: the one of that number
  int64_t count;
};

// What rows of scratch are padded to, in elements: 16 bytes.
PE_HD PE_INLINE int64_t padded_columns(int64_t dimensions) { return (dimensions + 3) / 4 * 4; }

// Memory for sums of entries.
template <class Real>
struct SegmentScratch {
  int32_t* ids;    // [segment_slots(count)]
  Real* rows;      // [segment_slots(count), stride]
  int64_t stride;  // padded_columns(D)
};

int64_t segment_slots(int64_t count);

// --- Explicit pairs ---

// What the first half of an exact step or gradient finds.
template <class Real>
struct PairScores {
  double* losses;     // [B]
  Real* errors;       // [B, N] d loss / d score; null: the losses alone are wanted
  Real* in_gradient;  // [B, stride] d loss / d row of in_vectors
  Real* in_rows;      // [B, stride] copies of the rows of in_vectors; null: they stay as they are
  int64_t stride;     // padded_columns(D)
};

template <class Real>
cudaError_t launch_pair_scores(const PairIds& pairs, const Tables<Real>& read, const PairScores<Real>& found,
                               void* stream);

// The second half for out_vectors: scale * gradient is added to `write`. sorted: out_ids, of which order[i] is element
// order[i] of [B, N].
template <class Real>
cudaError_t launch_add_to_out_rows(const PairIds& pairs, const Tables<Real>& read, const PairScores<Real>& found,
                                   const SortedRows& sorted, double scale, const Tables<Real>& write,
                                   const SegmentScratch<Real>& scratch, void* stream);

// The same for in_vectors. sorted: in_ids. Comes last, unless `write` shares no memory with `read`.
template <class Real>
cudaError_t launch_add_to_in_rows(const PairScores<Real>& found, const SortedRows& sorted, double scale,
                                  const Tables<Real>& write, const SegmentScratch<Real>& scratch, void* stream);

// Trains pairs in place, a warp a pair, by that many warps: 1, one after the other; 0, as many as the device holds.
// total: [2], the sum of losses and the number of pairs are added to it.
template <class Real>
cudaError_t launch_pair_step(const PairIds& pairs, const Tables<Real>& tables, double rate, int64_t warps, void* stream,
                             double* total);

// --- Rows of an embedding ---

// rows [count, row_bytes] becomes the rows of the table at these ids; how many ids are not below `table_rows` is added
// to bad [1], and their rows are left out. Elements of any type, of `element_bytes` 2, 4 or 8.
template <class Id>
cudaError_t launch_lookup(const void* table, int64_t table_rows, int64_t table_stride_bytes, int64_t row_bytes,
                          const Id* ids, int64_t count, void* rows, int32_t* bad, void* stream);

// Changes the rows that `sorted` names, each by the sum of its entries' gradients. Rows of grad lie side by side.
template <class Element>
cudaError_t launch_update_rows(const TrainedRows<Element>& table, const SortedRows& sorted,
                               const EntryGradients<Element>& given, const RowStep& step,
                               const SegmentScratch<Arithmetic<Element>>& scratch, void* stream);

}  // namespace pyembed
