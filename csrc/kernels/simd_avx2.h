// 8 floats a register, with FMA. Included inside PE_TARGET_BEGIN, with PE_ISA naming the namespace.
#pragma once

namespace pyembed::PE_ISA {

using Float = __m256;
typedef int32_t Int __attribute__((vector_size(32)));
typedef uint64_t Wide __attribute__((vector_size(32)));
constexpr int kWidth = 8;

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
PE_INLINE Float max(Float a, Float b) { return _mm256_max_ps(a, b); }
PE_INLINE Float where_negative(Float x, Float yes, Float no) { return _mm256_blendv_ps(no, yes, x); }

// Products of the low halves of each lane.
PE_INLINE Wide multiply_low(Wide a, Wide b) { return (Wide)_mm256_mul_epu32((__m256i)a, (__m256i)b); }
PE_INLINE Wide gather(const uint64_t* table, Wide index) {
  return (Wide)_mm256_i64gather_epi64(reinterpret_cast<const long long*>(table), (__m256i)index, 8);
}

// Lane 4q + i of the result is the sum over lanes 4q .. 4q + 3 of vector i.
PE_INLINE Float sum_quads(Float a, Float b, Float c, Float d) {
  return _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
}

// Lane i of sums[j] is the sum of all lanes of x[8j + i].
template <int M, int R>
PE_INLINE void row_sums(const Float (&x)[M], Float (&sums)[R]) {
  static_assert(M <= 8 * R, "a register for each eight sums");
  for (int r = 0; r < R; ++r) {
    const auto at = [&](int i) { return 8 * r + i < M ? x[8 * r + i < M ? 8 * r + i : 0] : zero(); };
    const Float low = sum_quads(at(0), at(1), at(2), at(3)), high = sum_quads(at(4), at(5), at(6), at(7));
    sums[r] = _mm256_permute2f128_ps(low, high, 0x20) + _mm256_permute2f128_ps(low, high, 0x31);
  }
}

}  // namespace pyembed::PE_ISA
