// The kernels of batches for AMX with its tiles emulated, so that processors without it test them, too.
#include "emulated_amx.h"

#if defined(PE_X86)
#include <immintrin.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <type_traits>
#include <utility>

#define PE_ISA emulated_amx
PE_TARGET_BEGIN(PE_AVX512)
#include "kernels/isa_products.h"
// in order: each builds on those before
#include "emulated_tiles.h"
#include "kernels/rounded_columns.h"
//
#include "kernels/batch_tiles.h"
//
#include "kernels/batch_steps.h"
PE_TARGET_END

namespace pyembed {

const CpuProductKernels* emulated_amx_kernels() {
  static constexpr CpuProductKernels kernels = {"emulated amx", emulated_amx::skipgram_batch_step<float>,
                                                emulated_amx::skipgram_batch_step<BFloat16>, nullptr, nullptr};
  return avx512_kernels() ? &kernels : nullptr;
}

}  // namespace pyembed
#else
namespace pyembed {

const CpuProductKernels* emulated_amx_kernels() { return nullptr; }

}  // namespace pyembed
#endif
