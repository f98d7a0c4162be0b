// The kernels of batches for processors with AMX, which multiply matrices of bfloat16. Linux alone lends it to
// programs.
#include "kernels/portable.h"

#if defined(PE_X86) && defined(__linux__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "kernels/cpu_kernels.h"

#define PE_ISA amx
PE_TARGET_BEGIN(PE_AVX512)
#include "kernels/isa_products.h"
// in order: each builds on those before
#include "kernels/rounded_columns.h"
#include "kernels/tiles.h"
#include "kernels/batch_tiles.h"
#include "kernels/batch_steps.h"
PE_TARGET_END

namespace pyembed {
namespace {

// Linux lends the tiles to a process that asks for them: arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA).
bool lent_by_system() { return syscall(SYS_arch_prctl, 0x1023, 18) == 0; }

bool supported() {
  constexpr unsigned kBfloat16 = 1u << 22, kTiles = 1u << 24;  // of leaf 7
  unsigned a, b, c, d;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & kBfloat16) == 0 || (d & kTiles) == 0) return false;
  return avx512_kernels() && lent_by_system();
}

}  // namespace

const CpuProductKernels* amx_kernels() {
  static constexpr CpuProductKernels kernels = {"amx", amx::skipgram_batch_step<float>,
                                                amx::skipgram_batch_step<BFloat16>, nullptr, nullptr};
  static const bool usable = supported();
  return usable ? &kernels : nullptr;
}

}  // namespace pyembed
#else
#include "kernels/cpu_kernels.h"

namespace pyembed {

const CpuProductKernels* amx_kernels() { return nullptr; }

}  // namespace pyembed
#endif
