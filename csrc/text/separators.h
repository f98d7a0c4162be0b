// Where tokens and sentences end: one bit mask for 64 bytes of text at a time.
#pragma once

#include <cstdint>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace pyembed {

inline uint64_t load_word(const char* bytes) {
  uint64_t word;
  std::memcpy(&word, bytes, sizeof word);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  word = __builtin_bswap64(word);
#endif
  return word;
}

constexpr uint64_t repeat_byte(uint8_t byte) { return 0x0101010101010101ull * byte; }

// Text: tokens end at ASCII white space or NUL, sentences at a newline.
// Candidates are the bytes up to 0x20; a few control characters are among them, so that ends_token has the last word.
struct TextSeparators {
  static constexpr char sentence_end = '\n';
  static bool ends_token(uint8_t byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r') || byte == 0; }
  static uint64_t candidates(uint64_t word) {  // as the top bits of the bytes
    return ~(((word & repeat_byte(0x7f)) + repeat_byte(0x7f - 0x20)) | word) & repeat_byte(0x80);
  }
#ifdef __SSE2__
  static __m128i candidates(__m128i bytes) { return _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x20)), bytes); }
#endif
};

// Records: tokens may hold any character, so they end at 0xFF and sentences at 0xFE, which UTF-8 never uses.
struct RecordSeparators {
  static constexpr char sentence_end = static_cast<char>(0xfe);
  static bool ends_token(uint8_t byte) { return byte >= 0xfe; }
  static uint64_t candidates(uint64_t word) {
    return ((word & repeat_byte(0x7f)) + repeat_byte(2)) & word & repeat_byte(0x80);
  }
#ifdef __SSE2__
  static __m128i candidates(__m128i bytes) {
    return _mm_cmpeq_epi8(_mm_max_epu8(bytes, _mm_set1_epi8(sentence_end)), bytes);
  }
#endif
};

// Bit i is set where bytes[i] may end a token; reads bytes[0, 64).
template <class Separators>
uint64_t candidate_mask_portable(const char* bytes) {
  uint64_t mask = 0;
  for (int i = 0; i < 8; ++i) {
    const uint64_t tops = Separators::candidates(load_word(bytes + 8 * i));
    mask |= ((tops >> 7) * 0x0102040810204080ull >> 56) << (8 * i);  // gathers the eight bits into one byte
  }
  return mask;
}

#ifdef __SSE2__
template <class Separators>
uint64_t candidate_mask(const char* bytes) {
  uint64_t mask = 0;
  for (int i = 0; i < 4; ++i) {
    const __m128i found = Separators::candidates(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes + 16 * i)));
    mask |= static_cast<uint64_t>(static_cast<uint16_t>(_mm_movemask_epi8(found))) << (16 * i);
  }
  return mask;
}
#else
template <class Separators>
uint64_t candidate_mask(const char* bytes) {
  return candidate_mask_portable<Separators>(bytes);
}
#endif

}  // namespace pyembed
