// 16 floats a register. Included inside PE_TARGET_BEGIN, with PE_ISA naming the namespace.
#pragma once

namespace pyembed::PE_ISA {

using Float = __m512;
typedef int32_t Int __attribute__((vector_size(64)));
typedef uint64_t Wide __attribute__((vector_size(64)));
constexpr int kWidth = 16;
constexpr int kTileContexts = 4;     // contexts scored together with kGroup outputs, as many as the registers hold
constexpr int kUpdateRegisters = 2;  // of columns updated together, likewise
constexpr int kLargestGroup = 12;    // outputs of which a register each, before and after, leaves some for contexts

PE_INLINE Float zero() { return _mm512_setzero_ps(); }
PE_INLINE Float broadcast(float x) { return _mm512_set1_ps(x); }
PE_INLINE Float load(const float* p) { return _mm512_loadu_ps(p); }
PE_INLINE void store(float* p, Float x) { _mm512_storeu_ps(p, x); }
PE_INLINE __mmask16 first_lanes(int n) { return static_cast<__mmask16>((1u << n) - 1); }
PE_INLINE Float load_first(const float* p, int n) { return _mm512_maskz_loadu_ps(first_lanes(n), p); }
PE_INLINE void store_first(float* p, Float x, int n) { _mm512_mask_storeu_ps(p, first_lanes(n), x); }
PE_INLINE Float fma(Float a, Float b, Float c) { return _mm512_fmadd_ps(a, b, c); }
// 1 / x but for the last bit or two: a step of Newton's method doubles the guess's 14 bits.
PE_INLINE Float reciprocal(Float x) {
  const Float guess = _mm512_rcp14_ps(x);
  return fma(guess, fma(-x, guess, broadcast(1.0f)), guess);
}

// The bound where x is beyond it; a NaN stays one.
PE_INLINE Float at_least(float bound, Float x) { return _mm512_max_ps(broadcast(bound), x); }
PE_INLINE Float at_most(float bound, Float x) { return _mm512_min_ps(broadcast(bound), x); }

// The first Count lanes of x, the others of other.
template <int Count>
PE_INLINE Float first_or(Float x, Float other) {
  return Count == kWidth ? x : _mm512_mask_mov_ps(other, first_lanes(Count), x);
}

// Loads x once, where compilers would fold the load into each use.
PE_INLINE Float in_register(Float x) {
  __asm__("" : "+v"(x));
  return x;
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

// Of four such results the sums of all lanes of their sixteen vectors.
PE_INLINE Float join_quads(const Float (&quads)[4]) {
  const Float low = _mm512_shuffle_f32x4(quads[0], quads[1], 0x88) + _mm512_shuffle_f32x4(quads[0], quads[1], 0xDD);
  const Float high = _mm512_shuffle_f32x4(quads[2], quads[3], 0x88) + _mm512_shuffle_f32x4(quads[2], quads[3], 0xDD);
  return _mm512_shuffle_f32x4(low, high, 0x88) + _mm512_shuffle_f32x4(low, high, 0xDD);
}

// Lane i of sums[r] is the sum of all lanes of x[16r + i].
template <int M, int R>
PE_INLINE void row_sums(const Float (&x)[M], Float (&sums)[R]) {
  static_assert(M <= 16 * R, "a register for each sixteen sums");
  unrolled<R>([&](auto r) PE_LAMBDA {
    Float quads[4];
    unrolled<4>([&](auto q) PE_LAMBDA {
      constexpr int i = 16 * decltype(r)::value + 4 * decltype(q)::value;
      quads[q] = sum_quads(row_or_zero<i>(x), row_or_zero<i + 1>(x), row_or_zero<i + 2>(x), row_or_zero<i + 3>(x));
    });
    sums[r] = join_quads(quads);
  });
}

}  // namespace pyembed::PE_ISA
