// The kernels of batches for processors that take dot products of bfloat16 as fast as multiply-adds of float32.
#include "kernels/portable.h"

#if defined(PE_X86)
#include <cpuid.h>
#include <immintrin.h>

#include <cmath>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "kernels/cpu_kernels.h"

#define PE_ISA avx512bf16
PE_TARGET_BEGIN(PE_AVX512_BF16)
#include "kernels/isa_products.h"
// in order: each builds on those before
#include "kernels/converted_columns.h"
#include "kernels/batch_dots.h"
#include "kernels/batch_steps.h"
#include "kernels/cbow_dots.h"
#include "kernels/cbow_batch_steps.h"
PE_TARGET_END

namespace pyembed {
namespace {

// AMD's do: measured on Zen 5, expected of Zen 4. Intel's take four times as long for them, or have AMX.
bool fast() {
  constexpr unsigned kBfloat16 = 1u << 5;  // of leaf 7, subleaf 1
  unsigned a, b, c, d;
  if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) || (a & kBfloat16) == 0) return false;
  __builtin_cpu_init();
  return avx512_kernels() && __builtin_cpu_is("amd");
}

}  // namespace

const CpuProductKernels* avx512bf16_kernels() {
  static constexpr CpuProductKernels kernels = {
      "avx512_bf16", avx512bf16::skipgram_batch_step<float>, avx512bf16::skipgram_batch_step<BFloat16>,
      avx512bf16::cbow_batch_step<float>, avx512bf16::cbow_batch_step<BFloat16>};
  static const bool usable = fast();
  return usable ? &kernels : nullptr;
}

}  // namespace pyembed
#else
#include "kernels/cpu_kernels.h"

namespace pyembed {

const CpuProductKernels* avx512bf16_kernels() { return nullptr; }

}  // namespace pyembed
#endif
