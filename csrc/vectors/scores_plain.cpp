// RowScores for any processor, four lanes in the compiler's own vector extension, and the choice at run time.
#include "kernels/portable.h"

#if defined(PE_ARM64)
#include <arm_neon.h>
#endif

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <type_traits>
#include <utility>

#include "vectors/row_scores.h"

#define PE_ISA plain
#include "kernels/unroll.h"
//
#include "kernels/simd_128.h"
//
#include "vectors/row_scores_simd.h"

namespace pyembed {

const RowScores* plain_row_scores() {
  static constexpr RowScores scores = plain::entries("plain");
  return &scores;
}

const RowScores& best_row_scores() {
  static const RowScores& best = []() -> const RowScores& {
    for (const RowScores* scores : {avx512_row_scores(), avx2_row_scores()}) {
      if (scores) return *scores;
    }
    return *plain_row_scores();
  }();
  return best;
}

}  // namespace pyembed
