// The kernels of batches for 64-bit ARM, all of which have NEON.
#include "kernels/portable.h"

#if defined(PE_ARM64)
#include <arm_neon.h>

#include <cmath>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "kernels/cpu_kernels.h"

#define PE_ISA neon
#include "kernels/unroll.h"
//
#include "kernels/simd_128.h"
//
#include "kernels/isa_batches.h"
#endif
