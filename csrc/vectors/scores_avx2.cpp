// RowScores for AVX2, whatever processor the build machine has.
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "kernels/portable.h"
#include "vectors/row_scores.h"

#if defined(PE_X86)
#include <immintrin.h>

#define PE_ISA avx2
PE_TARGET_BEGIN("avx2,fma,bmi2")
#include "kernels/unroll.h"
//
#include "kernels/simd_avx2.h"
//
#include "vectors/row_scores_simd.h"
PE_TARGET_END

namespace pyembed {

const RowScores* avx2_row_scores() {
  static constexpr RowScores scores = avx2::entries("avx2");
  const bool supported =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  return supported ? &scores : nullptr;
}

}  // namespace pyembed
#else
namespace pyembed {

const RowScores* avx2_row_scores() { return nullptr; }

}  // namespace pyembed
#endif
