// 16 floats a register. Included inside PE_TARGET_BEGIN, with PE_ISA naming the namespace.
#pragma once

namespace pyembed::PE_ISA {

using Float = __m512;
typedef int32_t Int __attribute__((vector_size(64)));
typedef uint64_t Wide __attribute__((vector_size(64)));
constexpr int kWidth = 16;

PE_INLINE Float zero() { return _mm512_setzero_ps(); }
PE_INLINE Float broadcast(float x) { return _mm512_set1_ps(x); }
PE_INLINE Float load(const float* p) { return _mm512_loadu_ps(p); }
PE_INLINE void store(float* p, Float x) { _mm512_storeu_ps(p, x); }
PE_INLINE __mmask16 first_lanes(int n) { return static_cast<__mmask16>((1u << n) - 1); }
PE_INLINE Float load_first(const float* p, int n) { return _mm512_maskz_loadu_ps(first_lanes(n), p); }
PE_INLINE void store_first(float* p, Float x, int n) { _mm512_mask_storeu_ps(p, first_lanes(n), x); }
PE_INLINE Float fma(Float a, Float b, Float c) { return _mm512_fmadd_ps(a, b, c); }
PE_INLINE Float max(Float a, Float b) { return _mm512_max_ps(a, b); }
PE_INLINE Float where_negative(Float x, Float yes, Float no) {
  return _mm512_mask_blend_ps(_mm512_movepi32_mask(_mm512_castps_si512(x)), no, yes);
}

// Products of the low halves of each lane.
PE_INLINE Wide multiply_low(Wide a, Wide b) { return (Wide)_mm512_mul_epu32((__m512i)a, (__m512i)b); }
PE_INLINE Wide gather(const uint64_t* table, Wide index) {
  return (Wide)_mm512_i64gather_epi64((__m512i)index, reinterpret_cast<const long long*>(table), 8);
}

// Sums of groups of four lanes: lane 4q + i of the result is the sum over lanes 4q .. 4q + 3 of vector i.
PE_INLINE Float sum_quads(Float a, Float b, Float c, Float d) {
  const Float ab = _mm512_unpacklo_ps(a, b) + _mm512_unpackhi_ps(a, b);
  const Float cd = _mm512_unpacklo_ps(c, d) + _mm512_unpackhi_ps(c, d);
  return _mm512_shuffle_ps(ab, cd, 0x44) + _mm512_shuffle_ps(ab, cd, 0xEE);
}

// Lane i of sums[0] is the sum of all lanes of x[i].
template <int M>
PE_INLINE void row_sums(const Float (&x)[M], Float (&sums)[1]) {
  static_assert(M <= 16, "one register of sums");
  Float quads[4];
  for (int q = 0; q < 4; ++q) {
    const auto at = [&](int i) { return 4 * q + i < M ? x[4 * q + i < M ? 4 * q + i : 0] : zero(); };
    quads[q] = 4 * q < M ? sum_quads(at(0), at(1), at(2), at(3)) : zero();
  }
  const Float low = _mm512_shuffle_f32x4(quads[0], quads[1], 0x88) + _mm512_shuffle_f32x4(quads[0], quads[1], 0xDD);
  const Float high = _mm512_shuffle_f32x4(quads[2], quads[3], 0x88) + _mm512_shuffle_f32x4(quads[2], quads[3], 0xDD);
  sums[0] = _mm512_shuffle_f32x4(low, high, 0x88) + _mm512_shuffle_f32x4(low, high, 0xDD);
}

}  // namespace pyembed::PE_ISA
