// Chooses the instruction set once, when first asked.
#include <initializer_list>

#include "kernels/cpu_kernels.h"

namespace pyembed {

const CpuKernels& best_cpu_kernels() {
  static const CpuKernels& best = []() -> const CpuKernels& {
    for (const CpuKernels* kernels : {avx512_kernels(), avx2_kernels(), neon_kernels()}) {
      if (kernels) return *kernels;
    }
    return *plain_kernels();
  }();
  return best;
}

const CpuProductKernels* best_product_kernels() {
  const CpuProductKernels* const tiles = amx_kernels();
  return tiles ? tiles : avx512bf16_kernels();
}

}  // namespace pyembed
