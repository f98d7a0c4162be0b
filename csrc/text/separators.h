// Which bytes end tokens and sentences: bit masks for 64 bytes of text at a time.
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

// As the top bits of the bytes, here and in the separators' own.
inline uint64_t equal_bytes(uint64_t word, uint8_t byte) {
  const uint64_t other = word ^ repeat_byte(byte);
  return ~(((other & repeat_byte(0x7f)) + repeat_byte(0x7f)) | other) & repeat_byte(0x80);
}

// Text: tokens end at ASCII white space or NUL, sentences at a newline.
struct TextSeparators {
  static constexpr char sentence_end = '\n';
  static bool ends_token(uint8_t byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r') || byte == 0; }
  static uint64_t token_ends(uint64_t word) {
    const uint64_t low = word & repeat_byte(0x7f);
    const uint64_t controls = (low + repeat_byte(0x80 - '\t')) & ~(low + repeat_byte(0x7f - '\r')) & ~word;
    return (controls & repeat_byte(0x80)) | equal_bytes(word, ' ') | equal_bytes(word, 0);
  }
#ifdef __SSE2__
  static __m128i token_ends(__m128i bytes) {
    const __m128i after_tab = _mm_sub_epi8(bytes, _mm_set1_epi8('\t'));
    const __m128i controls = _mm_cmpeq_epi8(_mm_min_epu8(after_tab, _mm_set1_epi8('\r' - '\t')), after_tab);
    const __m128i blanks = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(' '));
    return _mm_or_si128(_mm_or_si128(controls, blanks), _mm_cmpeq_epi8(bytes, _mm_setzero_si128()));
  }
#endif
};

// Records: tokens may hold any character, so they end at 0xFF and sentences at 0xFE, which UTF-8 never uses.
struct RecordSeparators {
  static constexpr char sentence_end = static_cast<char>(0xfe);
  static bool ends_token(uint8_t byte) { return byte >= 0xfe; }
  static uint64_t token_ends(uint64_t word) {
    return ((word & repeat_byte(0x7f)) + repeat_byte(2)) & word & repeat_byte(0x80);
  }
#ifdef __SSE2__
  static __m128i token_ends(__m128i bytes) {
    return _mm_cmpeq_epi8(_mm_max_epu8(bytes, _mm_set1_epi8(sentence_end)), bytes);
  }
#endif
};

// Bit i is set where the i-th of 64 bytes ends a token.
template <class Separators>
uint64_t portable_ends_mask(const char* bytes) {
  const auto gathered = [](uint64_t tops) { return (tops >> 7) * 0x0102040810204080ull >> 56; };  // 8 bits in one byte
  uint64_t mask = 0;
  for (int i = 0; i < 8; ++i) mask |= gathered(Separators::token_ends(load_word(bytes + 8 * i))) << (8 * i);
  return mask;
}

template <class Separators>
uint64_t token_ends_mask(const char* bytes) {
#ifdef __SSE2__
  uint64_t mask = 0;
  for (int i = 0; i < 4; ++i) {
    const __m128i here = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes + 16 * i));
    const auto found = static_cast<uint16_t>(_mm_movemask_epi8(Separators::token_ends(here)));
    mask |= uint64_t{found} << (16 * i);
  }
  return mask;
#else
  return portable_ends_mask<Separators>(bytes);
#endif
}

}  // namespace pyembed
