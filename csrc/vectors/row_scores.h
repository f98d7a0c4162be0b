// What a search does with each row of a table of vectors, for one instruction set, and the choice among them at run
// time.
#pragma once

#include <cstdint>

namespace pyembed {

constexpr int64_t kPanel = 64;        // queries scored together
constexpr int64_t kNarrowPanel = 16;  // where there are few left
constexpr int64_t kChunk = 48;        // rows whose scores fit, with a panel, into the first-level cache

// Rows float32[n, D], `stride` floats apart.
struct RowBlock {
  const float* rows;
  int64_t stride, count, dimensions;
};

// Each cosine is summed in an order that depends on D and on the width of the panel, never on where its row lies.
struct RowScores {
  const char* name;  // "avx512", "avx2" or "plain"

  // [n]: 1 / length of each row; 1 for rows of zeros, NaN for those that hold NaN or infinity.
  void (*inverse_lengths)(const RowBlock& block, float* inverses);

  // [n]: row times query float32[D] times inverse length.
  void (*cosines)(const RowBlock& block, const float* query, const float* inverses, float* cosines);

  // [n, kPanel] or [n, kNarrowPanel]: likewise, for the queries of a panel [D, lanes].
  void (*panel_cosines)(const RowBlock& block, const float* panel, const float* inverses, float* cosines);
  void (*narrow_cosines)(const RowBlock& block, const float* panel, const float* inverses, float* cosines);

  // [n]: product *= (1 + cosine) / 2, the first time = ; and scores = above / (below + epsilon).
  void (*multiply)(const float* cosines, int64_t n, bool first, float* product);
  void (*divide)(const float* above, const float* below, int64_t n, float* scores);

  // The places i * lanes + lane of the scores [n, lanes] above the bars [lanes], in ascending order; returns how many.
  int64_t (*above)(const float* scores, int64_t n, int64_t lanes, const float* bars, int32_t* places);

  void (*widen)(const int8_t* values, int64_t n, float* floats);
};

// Null where this build or this processor lacks the instruction set.
const RowScores* avx512_row_scores();
const RowScores* avx2_row_scores();
const RowScores* plain_row_scores();  // never null

// The fastest that this processor runs.
const RowScores& best_row_scores();

}  // namespace pyembed
