// Exact search in a table of vectors: every row's score for every query, and what of these is asked for. Nothing of
// [queries, rows] is held but what is asked for, and lengths are taken as rows are read, so they cannot be stale.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pyembed {

// Rows [count, dimensions], `stride` values apart: float32, or int8 in steps of their own, where scores are cosines.
struct VectorTable {
  const float* floats;  // null where they are int8
  const int8_t* bytes;
  int64_t stride, count, dimensions;
};

// Queries of one vector each, whose scores are cosines; or of several, whose scores are products of cosines, a cosine c
// taken as (1 + c) / 2, to the positive over that to the negative ones (3CosMul).
struct VectorQueries {
  const float* positive;  // [positives, count, D], each of length 1
  const float* negative;  // [negatives, count, D], likewise
  int64_t positives, negatives, count;
  bool products;
};

// For each query the rows that do not count: rows[starts[q]] to rows[starts[q + 1]], ascending.
struct ExcludedRows {
  const int64_t* starts;
  const int64_t* rows;
};

// scores float32[queries, count]: every row's, NaN where it holds NaN or infinity.
void score_all(const VectorTable& table, const VectorQueries& queries, size_t threads, float* scores);

// found int64[queries, k], scores float32[queries, k]: the k rows of the highest score, best first, of equal ones the
// first row first. Where there are fewer, row 0 with a score of -inf stands in.
void find_nearest(const VectorTable& table, const VectorQueries& queries, const ExcludedRows& excluded, int64_t k,
                  size_t threads, int64_t* found, float* scores);

// stands uint8[queries]: whether no row scores above the query's bar.
void find_unbeaten(const VectorTable& table, const VectorQueries& queries, const ExcludedRows& excluded,
                   const float* bars, size_t threads, uint8_t* stands);

}  // namespace pyembed
