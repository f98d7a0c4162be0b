// The kernels of batches for any processor: four lanes in the compiler's own vector extension.
#include "kernels/portable.h"

#if defined(PE_ARM64)
#include <arm_neon.h>
#endif

#include <cmath>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "kernels/cpu_kernels.h"

#define PE_ISA plain
#include "kernels/unroll.h"
//
#include "kernels/simd_128.h"
//
#include "kernels/isa_batches.h"

namespace pyembed {

size_t batch_scratch_bytes(const Draws& draws, int64_t dimensions) {
  return plain::carve_batch(draws, dimensions, nullptr).bytes;
}

}  // namespace pyembed
