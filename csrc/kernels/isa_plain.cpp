// The kernels of windows for any processor: four lanes in the compiler's own vector extension.
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
#include "kernels/isa_kernels.h"

namespace pyembed {

const CpuKernels* plain_kernels() {
  static constexpr CpuKernels kernels = plain::entries("plain");
  return &kernels;
}

size_t step_scratch_bytes(const Draws& draws, int64_t dimensions) {
  return plain::carve(draws, dimensions, nullptr).bytes;
}

}  // namespace pyembed
