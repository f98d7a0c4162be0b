// random_run.h by AVX-512: philox of eight counters at a time.
#include "random_run.h"

#if defined(PE_X86)
#include <immintrin.h>

PE_TARGET_BEGIN("avx512f")
namespace pyembed {
namespace {

// A word of eight counters, each in the lower half of its lane; what the upper half holds does not matter.
using Word = __m512i;

Word broadcast(uint32_t word) { return _mm512_set1_epi64(word); }

Word upper_half(__m512i lanes) { return _mm512_srli_epi64(lanes, 32); }

__m512i exclusive_or(__m512i a, __m512i b, __m512i c) { return _mm512_ternarylogic_epi64(a, b, c, 0x96); }

// As philox.h has it for one counter.
void philox_lanes(Word (&counter)[4], uint64_t key) {
  auto k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const __m512i product0 = _mm512_mul_epu32(counter[0], broadcast(0xD2511F53u));
    const __m512i product1 = _mm512_mul_epu32(counter[2], broadcast(0xCD9E8D57u));
    counter[0] = exclusive_or(upper_half(product1), counter[1], broadcast(k0));
    counter[2] = exclusive_or(upper_half(product0), counter[3], broadcast(k1));
    counter[1] = product1;
    counter[3] = product0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
}

__m512i pairs_of(Word low, Word high) { return _mm512_mask_mov_epi32(low, 0xAAAA, _mm512_slli_epi64(high, 32)); }

void random_run(uint64_t seed, uint32_t epoch, Stream stream, uint64_t first, int64_t n, uint32_t* words) {
  const __m512i counting = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
  const __m512i first_half = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
  const __m512i second_half = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
  for (int64_t i = 0; i < n; i += 8) {
    const __m512i index = _mm512_add_epi64(_mm512_set1_epi64(static_cast<int64_t>(first) + i), counting);
    Word counter[4] = {index, upper_half(index), broadcast(epoch), broadcast(static_cast<uint32_t>(stream) << 24)};
    philox_lanes(counter, seed);
    const __m512i firsts = pairs_of(counter[0], counter[1]), lasts = pairs_of(counter[2], counter[3]);
    _mm512_storeu_si512(words + 4 * i, _mm512_permutex2var_epi64(firsts, first_half, lasts));
    _mm512_storeu_si512(words + 4 * i + 16, _mm512_permutex2var_epi64(firsts, second_half, lasts));
  }
}

}  // namespace
}  // namespace pyembed
PE_TARGET_END

namespace pyembed {

RandomRun avx512_random_run() { return __builtin_cpu_supports("avx512f") ? &random_run : nullptr; }

}  // namespace pyembed
#else
namespace pyembed {

RandomRun avx512_random_run() { return nullptr; }

}  // namespace pyembed
#endif
