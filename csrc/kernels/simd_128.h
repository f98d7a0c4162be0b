// 4 floats a register, in the vector extensions of g++ and clang: SSE2 on x86-64, NEON on ARM, whatever else elsewhere.
// PE_ISA names the namespace.
#pragma once

namespace pyembed::PE_ISA {

typedef float Float __attribute__((vector_size(16)));
typedef int32_t Int __attribute__((vector_size(16)));
typedef uint64_t Wide __attribute__((vector_size(16)));
constexpr int kWidth = 4;
constexpr int kTileContexts = 2;     // contexts scored together with kGroup outputs, as many as the registers hold
constexpr int kUpdateRegisters = 1;  // of columns updated together, likewise
constexpr int kLargestGroup = 6;     // outputs of which a register each, before and after, leaves some for contexts

PE_INLINE Float zero() { return Float{0, 0, 0, 0}; }
PE_INLINE Float broadcast(float x) { return Float{x, x, x, x}; }
PE_INLINE Float load(const float* p) {
  Float x;
  __builtin_memcpy(&x, p, sizeof x);  // an unaligned load
  return x;
}
PE_INLINE void store(float* p, Float x) { __builtin_memcpy(p, &x, sizeof x); }
PE_INLINE Float load_first(const float* p, int n) {
  Float x = zero();
  for (int i = 0; i < n; ++i) x[i] = p[i];
  return x;
}
PE_INLINE void store_first(float* p, Float x, int n) {
  for (int i = 0; i < n; ++i) p[i] = x[i];
}
#if defined(PE_ARM64)
PE_INLINE Float fma(Float a, Float b, Float c) { return vfmaq_f32(c, a, b); }
#else
PE_INLINE Float fma(Float a, Float b, Float c) { return a * b + c; }
#endif
PE_INLINE Float reciprocal(Float x) { return broadcast(1.0f) / x; }

// The bound where x is beyond it; a NaN stays one.
PE_INLINE Float at_least(float bound, Float x) { return x < bound ? broadcast(bound) : x; }
PE_INLINE Float at_most(float bound, Float x) { return x > bound ? broadcast(bound) : x; }

// The first Count lanes of x, the others of other.
template <int Count>
PE_INLINE Float first_or(Float x, Float other) {
  return Int{0, 1, 2, 3} < Count ? x : other;
}

PE_INLINE Float in_register(Float x) { return x; }  // nothing here folds loads into arithmetic

// Products of the low halves of each lane.
PE_INLINE Wide multiply_low(Wide a, Wide b) { return (a & 0xFFFFFFFF) * (b & 0xFFFFFFFF); }
PE_INLINE Wide gather(const uint64_t* table, Wide index) { return Wide{table[index[0]], table[index[1]]}; }

// Sums of all lanes.
PE_INLINE Float sum_quads(Float a, Float b, Float c, Float d) {
  const auto sum = [](Float row) PE_LAMBDA { return (row[0] + row[1]) + (row[2] + row[3]); };
  return Float{sum(a), sum(b), sum(c), sum(d)};
}

PE_INLINE Float join_quads(const Float (&quads)[1]) { return quads[0]; }

// Lane i of sums[j] is the sum of all lanes of x[4j + i].
template <int M, int R>
PE_INLINE void row_sums(const Float (&x)[M], Float (&sums)[R]) {
  static_assert(M <= 4 * R, "a register for each four sums");
  unrolled<R>([&](auto r) PE_LAMBDA {
    constexpr int i = 4 * decltype(r)::value;
    sums[r] = sum_quads(row_or_zero<i>(x), row_or_zero<i + 1>(x), row_or_zero<i + 2>(x), row_or_zero<i + 3>(x));
  });
}

}  // namespace pyembed::PE_ISA
