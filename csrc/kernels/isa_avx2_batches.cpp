// The kernels of batches for AVX2, whatever processor the build machine has.
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
#include "kernels/isa_batches.h"
PE_TARGET_END
#endif
