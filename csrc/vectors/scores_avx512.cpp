// RowScores for AVX512, whatever processor the build machine has.
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "kernels/portable.h"
#include "vectors/row_scores.h"

#if defined(PE_X86)
#include <immintrin.h>

#define PE_ISA avx512
PE_TARGET_BEGIN("avx512f,avx512dq,avx512bw,avx512vl,fma,avx2,bmi2")
#include "kernels/unroll.h"
//
#include "kernels/simd_avx512.h"
//
#include "vectors/row_scores_simd.h"
PE_TARGET_END

namespace pyembed {

const RowScores* avx512_row_scores() {
  static constexpr RowScores scores = avx512::entries("avx512");
  const bool supported = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  return supported ? &scores : nullptr;
}

}  // namespace pyembed
#else
namespace pyembed {

const RowScores* avx512_row_scores() { return nullptr; }

}  // namespace pyembed
#endif
