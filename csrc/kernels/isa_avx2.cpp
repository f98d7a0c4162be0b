// The kernels of windows for AVX2, whatever processor the build machine has.
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "kernels/cpu_kernels.h"

#if defined(PE_X86)
#include <immintrin.h>

#define PE_ISA avx2
PE_TARGET_BEGIN(PE_AVX2)
#include "kernels/unroll.h"
//
#include "kernels/simd_avx2.h"
//
#include "kernels/isa_kernels.h"
PE_TARGET_END

namespace pyembed {

const CpuKernels* avx2_kernels() {
  static constexpr CpuKernels kernels = avx2::entries("avx2");
  const bool supported =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  return supported ? &kernels : nullptr;
}

}  // namespace pyembed
#else
namespace pyembed {

const CpuKernels* avx2_kernels() { return nullptr; }

}  // namespace pyembed
#endif
