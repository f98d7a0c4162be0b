// The kernels of windows for AVX512, whatever processor the build machine has.
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "kernels/cpu_kernels.h"

#if defined(PE_X86)
#include <immintrin.h>

#define PE_ISA avx512
PE_TARGET_BEGIN(PE_AVX512)
#include "kernels/unroll.h"
//
#include "kernels/simd_avx512.h"
//
#include "kernels/isa_kernels.h"
PE_TARGET_END

namespace pyembed {

const CpuKernels* avx512_kernels() {
  static constexpr CpuKernels kernels = avx512::entries("avx512");
  const bool supported = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  return supported ? &kernels : nullptr;
}

}  // namespace pyembed
#else
namespace pyembed {

const CpuKernels* avx512_kernels() { return nullptr; }

}  // namespace pyembed
#endif
