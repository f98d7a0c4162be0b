// 8 floats a register, with FMA. Included inside PE_TARGET_BEGIN, with PE_ISA naming the namespace.
#pragma once

namespace pyembed::PE_ISA {

using Float = __m256;
typedef int32_t Int __attribute__((vector_size(32)));
typedef uint64_t Wide __attribute__((vector_size(32)));
constexpr int kWidth = 8;
constexpr int kTileContexts = 2;     // contexts scored together with kGroup outputs, as many as the registers hold
constexpr int kUpdateRegisters = 1;  // of columns updated together, likewise
constexpr int kLargestGroup = 6;     // outputs of which a register each, before and after, leaves some for contexts

PE_INLINE Float zero() { return _mm256_setzero_ps(); }
PE_INLINE Float broadcast(float x) { return _mm256_set1_ps(x); }
PE_INLINE Float load(const float* p) { return _mm256_loadu_ps(p); }
PE_INLINE void store(float* p, Float x) { _mm256_storeu_ps(p, x); }
PE_INLINE __m256i first_lanes(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
PE_INLINE Float load_first(const float* p, int n) { return _mm256_maskload_ps(p, first_lanes(n)); }
PE_INLINE void store_first(float* p, Float x, int n) { _mm256_maskstore_ps(p, first_lanes(n), x); }
PE_INLINE Float fma(Float a, Float b, Float c) { return _mm256_fmadd_ps(a, b, c); }
PE_INLINE Float reciprocal(Float x) { return broadcast(1.0f) / x; }

// The bound where x is beyond it; a NaN stays one.
PE_INLINE Float at_least(float bound, Float x) { return _mm256_max_ps(broadcast(bound), x); }
PE_INLINE Float at_most(float bound, Float x) { return _mm256_min_ps(broadcast(bound), x); }

// The first Count lanes of x, the others of other.
template <int Count>
PE_INLINE Float first_or(Float x, Float other) {
  return _mm256_blend_ps(other, x, (1 << Count) - 1);
}

// Loads x once, where compilers would fold the load into each use.
PE_INLINE Float in_register(Float x) {
  __asm__("" : "+x"(x));
  return x;
}

// Products of the low halves of each lane.
PE_INLINE Wide multiply_low(Wide a, Wide b) { return (Wide)_mm256_mul_epu32((__m256i)a, (__m256i)b); }
PE_INLINE Wide gather(const uint64_t* table, Wide index) {
  return (Wide)_mm256_i64gather_epi64(reinterpret_cast<const long long*>(table), (__m256i)index, 8);
}

// Lane 4q + i of the result is the sum over lanes 4q .. 4q + 3 of vector i.
PE_INLINE Float sum_quads(Float a, Float b, Float c, Float d) {
  return _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
}

// Of two such results the sums of all lanes of their eight vectors.
PE_INLINE Float join_quads(const Float (&quads)[2]) {
  return _mm256_permute2f128_ps(quads[0], quads[1], 0x20) + _mm256_permute2f128_ps(quads[0], quads[1], 0x31);
}

// Lane i of sums[j] is the sum of all lanes of x[8j + i].
template <int M, int R>
PE_INLINE void row_sums(const Float (&x)[M], Float (&sums)[R]) {
  static_assert(M <= 8 * R, "a register for each eight sums");
  unrolled<R>([&](auto r) PE_LAMBDA {
    const auto quads = [&](auto q) PE_LAMBDA {
      constexpr int i = 8 * decltype(r)::value + 4 * decltype(q)::value;
      return sum_quads(row_or_zero<i>(x), row_or_zero<i + 1>(x), row_or_zero<i + 2>(x), row_or_zero<i + 3>(x));
    };
    const Float both[2] = {quads(std::integral_constant<int, 0>{}), quads(std::integral_constant<int, 1>{})};
    sums[r] = join_quads(both);
  });
}

}  // namespace pyembed::PE_ISA
