// token_ends.h by AVX-512: 64 bytes compared at a time, and the places of all that are separators compressed at once,
// so that nothing depends on how many there are, which is not to be predicted.
#include "token_ends.h"

#include "kernels/portable.h"

#if defined(PE_X86)
#include <immintrin.h>

PE_TARGET_BEGIN("avx512f,avx512bw,avx512vl,avx512vbmi2,popcnt")
namespace pyembed {
namespace {

template <class Separators>
uint64_t separators_among(__m512i bytes);

template <>
uint64_t separators_among<TextSeparators>(__m512i bytes) {
  const __m512i after_tab = _mm512_sub_epi8(bytes, _mm512_set1_epi8('\t'));
  return _mm512_cmple_epu8_mask(after_tab, _mm512_set1_epi8('\r' - '\t')) |
         _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(' ')) | _mm512_testn_epi8_mask(bytes, bytes);
}

template <>
uint64_t separators_among<RecordSeparators>(__m512i bytes) {
  return _mm512_cmpge_epu8_mask(bytes, _mm512_set1_epi8(RecordSeparators::sentence_end));
}

// 32 places of 8 bits, counted from `base`.
void store_places(uint16_t* ends, __m256i places, __m512i base) {
  _mm512_storeu_si512(ends, _mm512_add_epi16(_mm512_cvtepu8_epi16(places), base));
}

template <class Separators>
size_t token_ends(const char* text, size_t size, uint16_t* ends) {
  alignas(64) static constexpr uint8_t counting[64] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                                       16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
                                                       32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47,
                                                       48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};
  const __m512i all_places = _mm512_load_si512(counting);
  uint16_t* next = ends;
  for (size_t at = 0; at < size; at += 64) {
    uint64_t mask = separators_among<Separators>(_mm512_loadu_si512(text + at));
    if (size - at < 64) mask &= (1ull << (size - at)) - 1;
    const __m512i places = _mm512_maskz_compress_epi8(mask, all_places);
    const __m512i base = _mm512_set1_epi16(static_cast<int16_t>(at));
    const int found = __builtin_popcountll(mask);
    store_places(next, _mm512_castsi512_si256(places), base);
    if (found > 32) store_places(next + 32, _mm512_extracti64x4_epi64(places, 1), base);
    next += found;
  }
  return static_cast<size_t>(next - ends);
}

}  // namespace
}  // namespace pyembed
PE_TARGET_END

namespace pyembed {

template <class Separators>
FindTokenEnds avx512_token_ends() {
  const bool supported = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi2") &&
                         __builtin_cpu_supports("popcnt");
  return supported ? &token_ends<Separators> : nullptr;
}

}  // namespace pyembed
#else
namespace pyembed {

template <class Separators>
FindTokenEnds avx512_token_ends() {
  return nullptr;
}

}  // namespace pyembed
#endif

namespace pyembed {

template FindTokenEnds avx512_token_ends<TextSeparators>();
template FindTokenEnds avx512_token_ends<RecordSeparators>();

}  // namespace pyembed
