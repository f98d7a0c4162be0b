// The peak of one core: independent chains of fused multiply-adds in registers, and nothing else. Compiled with
// -march=native, so that it is the machine's peak and not that of the lowest machine of its kind.
#if defined(__AVX512F__)
constexpr int BYTES = 64, CHAINS = 16;
#elif defined(__AVX__)
constexpr int BYTES = 32, CHAINS = 12;
#else
constexpr int BYTES = 16, CHAINS = 24;
#endif

typedef float Vector __attribute__((vector_size(BYTES)));

// Runs `steps` rounds over all chains; returns how many operations that was, a multiply-add being two.
// Chains that begin alike would be one chain to the compiler, and `result` keeps it from leaving the work out.
extern "C" double multiply_add(long steps, float* result) {
  Vector chain[CHAINS];
  for (int i = 0; i < CHAINS; i++) chain[i] = Vector{} + 0.001f * float(i);
  const Vector factor = Vector{} + 0.999f, summand = Vector{} + 0.0001f;
  for (long step = 0; step < steps; step++) {
#pragma GCC unroll 24
    for (int i = 0; i < CHAINS; i++) chain[i] = chain[i] * factor + summand;
  }
  Vector sum = {};
  for (int i = 0; i < CHAINS; i++) sum += chain[i];
  *result = sum[0];
  return 2.0 * steps * CHAINS * (BYTES / sizeof(float));
}
