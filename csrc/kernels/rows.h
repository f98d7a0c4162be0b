// Rows of an embedding on the CPU: looking them up, and changing those that were looked up. The entries of a batch are
// dealt to parts by their row, and each part groups its own: no sort, and no row belongs to two threads. A row's sum is
// formed in the order of its entries, in pieces of a fixed size, so its bits depend on the batch alone.
// Spec: pyembed/reference.py section 10.
#pragma once

#include "kernels/row_math.h"

namespace pyembed {

// --- Rows of any type ---

// Rows of a table, of any type.
struct TableRows {
  const void* first;
  int64_t stride_bytes, row_bytes;

  PE_INLINE const char* row(int64_t id) const { return static_cast<const char*>(first) + id * stride_bytes; }
};

// Rows that are on their way to the second-level cache: enough to hide how long one takes, few enough to stay there.
PE_INLINE int64_t rows_ahead(int64_t row_bytes) {
  constexpr int64_t kBytesAhead = 32768;
  return 1 + kBytesAhead / row_bytes;
}

PE_INLINE void prefetch_row(const void* row, int64_t bytes) {
  for (int64_t byte = 0; byte < bytes; byte += 64) prefetch_far(static_cast<const char*>(row) + byte);
}

// --- Lookups ---

// Copies the rows ids[begin:end] of a table to rows [count, row_bytes], unless one of these ids is bad: then returns
// false. Id: int32_t or int64_t.
template <class Id>
bool lookup_rows(const TableRows& table, int64_t table_rows, const Id* ids, int64_t begin, int64_t end, void* rows);

// --- Grouping ---

constexpr int kMostPartBits = 3;           // each part looks at all entries
constexpr int64_t kEntriesOfPiece = 1024;  // a tenth of a millisecond of work

// A piece of a group that has more entries than one.
struct RowPiece {
  int32_t begin, end;  // in `order`
};

// The distinct rows of one part.
struct RowGroups {
  const int32_t* ids;     // [count] rows of the table
  const int32_t* starts;  // [count + 1]: group g has the entries order[starts[g] : starts[g + 1]]
  const int32_t* order;   // of all parts; ascending in each group
  int64_t count;
  const RowPiece* pieces;  // [pieces_end - pieces_begin], ascending
  int64_t pieces_begin, pieces_end;
};

// Memory for grouping n entries; padded: n + 2^kMostPartBits.
struct GroupMemory {
  int32_t* entries;  // [padded]
  int32_t* groups;   // [n]
  int32_t* slots;    // [4 n]
  int32_t* ids;      // [n]
  int32_t* starts;   // [padded]
  int32_t* order;    // [n]
  RowPiece* pieces;  // [most_pieces(n)]
};

// In a group of more than a piece, these are at least half full.
PE_INLINE int64_t most_pieces(int64_t entries) { return entries / (kEntriesOfPiece / 2); }

// The groups of one of 2^part_bits parts. Parts may be grouped at the same time.
RowGroups group_rows(const int32_t* ids, int64_t count, int part, int part_bits, const GroupMemory& memory);

// --- Steps ---

template <class Element>
struct RowBatch {
  TrainedRows<Element> table;
  EntryGradients<Element> given;
  const bool* frozen;  // [V] rows that stay as they are; null: none
  Coefficients<Arithmetic<Element>> with;
  Arithmetic<Element>* partial;  // [pieces, D] sums of pieces
};

template <class Element>
struct RowKernels {
  // Fills the row of `partial` that belongs to this piece of the groups.
  void (*sum_piece)(const RowBatch<Element>& batch, const RowGroups& groups, int64_t piece);
  // Steps the groups [begin, end). scratch: row_scratch_bytes() of this thread.
  void (*step)(const RowBatch<Element>& batch, const RowGroups& groups, int64_t begin, int64_t end, void* scratch);
};

// A sum of gradients, and the bits that a row is rounded with.
template <class Element>
int64_t row_scratch_bytes(int64_t dimensions) {
  return (dimensions + 3) / 4 * 4 * static_cast<int64_t>(sizeof(Arithmetic<Element>) + sizeof(uint16_t));
}

}  // namespace pyembed
