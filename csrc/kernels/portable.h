// Differences between compilers, processors and CUDA, in one place: elsewhere only the choice of
// an instruction set (isa_*.cpp, simd_128.h) asks what the processor is.
#pragma once

#define PE_PRAGMA(text) _Pragma(#text)

#if defined(__CUDACC__)
#define PE_HD __host__ __device__
#else
#define PE_HD
#endif

#if defined(__GNUC__) || defined(__clang__)
#define PE_INLINE inline __attribute__((always_inline))
#else
#define PE_INLINE inline
#endif

// After a lambda's parameters: its body always becomes part of the caller's.
#if defined(__GNUC__) || defined(__clang__)
#define PE_LAMBDA __attribute__((always_inline))
#else
#define PE_LAMBDA
#endif

// Before a loop over registers: fully unrolled, so that the compiler keeps the array it walks in registers.
#if defined(__CUDACC__)
#define PE_UNROLL PE_PRAGMA(unroll)
#elif defined(__clang__)
#define PE_UNROLL PE_PRAGMA(clang loop unroll(full))
#elif defined(__GNUC__)
#define PE_UNROLL PE_PRAGMA(GCC unroll 16)
#else
#define PE_UNROLL
#endif

// Before a loop that mostly runs once: left as it is.
#if defined(__CUDACC__)
#define PE_ROLLED PE_PRAGMA(unroll 1)
#elif defined(__clang__)
#define PE_ROLLED PE_PRAGMA(clang loop unroll(disable))
#elif defined(__GNUC__)
#define PE_ROLLED PE_PRAGMA(GCC unroll 1)
#else
#define PE_ROLLED
#endif

// Before a loop whose turns read nothing that other turns write.
#if defined(__clang__)
#define PE_INDEPENDENT PE_PRAGMA(clang loop vectorize(assume_safety))
#elif defined(__GNUC__)
#define PE_INDEPENDENT PE_PRAGMA(GCC ivdep)
#else
#define PE_INDEPENDENT
#endif

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__)) && !defined(__CUDACC__)
#define PE_X86 1
#elif defined(__aarch64__)
#define PE_ARM64 1
#endif

namespace pyembed {

// For a line that will be written: it comes without copies elsewhere, so the write need not ask other cores for it.
PE_INLINE void prefetch_to_write(const void* address) {
#if defined(PE_X86)
  // volatile asm, because g++ 12 deletes a function that holds nothing but prefetch intrinsics
  __asm__ volatile("prefetchw %0" : : "m"(*static_cast<const char*>(address)));
#elif defined(__GNUC__)
  __builtin_prefetch(address, 1);
#else
  (void)address;
#endif
}

PE_INLINE void prefetch_to_read(const void* address) {
#if defined(PE_X86)
  __asm__ volatile("prefetcht0 %0" : : "m"(*static_cast<const char*>(address)));
#elif defined(__GNUC__)
  __builtin_prefetch(address, 0);
#else
  (void)address;
#endif
}

// To the second-level cache, which may be asked for far more lines at a time than the first.
PE_INLINE void prefetch_far(const void* address) {
#if defined(PE_X86)
  __asm__ volatile("prefetcht1 %0" : : "m"(*static_cast<const char*>(address)));
#elif defined(__GNUC__)
  __builtin_prefetch(address, 0, 2);
#else
  (void)address;
#endif
}

}  // namespace pyembed

// Features of instruction sets, for PE_TARGET_BEGIN.
#define PE_AVX2 "avx2,fma,bmi2"
#define PE_AVX512 "avx512f,avx512dq,avx512bw,avx512vl,fma,avx2,bmi2"
#define PE_AVX512_BF16 PE_AVX512 ",avx512bf16"

// PE_TARGET_BEGIN(PE_AVX2) ... PE_TARGET_END compiles what lies between for that instruction set, whatever the
// command line says. Include every standard header before it: their inline functions must stay portable.
#if defined(__clang__)
#define PE_TARGET_BEGIN(features) \
  PE_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define PE_TARGET_END PE_PRAGMA(clang attribute pop)
#elif defined(__GNUC__)
#define PE_TARGET_BEGIN(features) PE_PRAGMA(GCC push_options) PE_PRAGMA(GCC target(features))
#define PE_TARGET_END PE_PRAGMA(GCC pop_options)
#endif
