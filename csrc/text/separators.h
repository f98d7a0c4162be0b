// Where tokens and sentences end: one bit mask for 64 bytes of text at a time.
//
// Plain 64-bit words are used instead of SIMD: this part takes under a tenth of the pass and is fast on every machine.
#pragma once

#include <cstdint>
#include <cstring>

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
struct TextSeparators {
  static constexpr char sentence_end = '\n';
  static bool ends_token(uint8_t byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r') || byte == 0; }
  // The top bit of every byte that is at most 0x20. A few control characters are among them: ends_token decides.
  static uint64_t candidates(uint64_t word) {
    return ~(((word & repeat_byte(0x7f)) + repeat_byte(0x7f - 0x20)) | word) & repeat_byte(0x80);
  }
};

// Records: tokens may hold any character, so they end at 0xFF and sentences at 0xFE, which UTF-8 never uses.
struct RecordSeparators {
  static constexpr char sentence_end = static_cast<char>(0xfe);
  static bool ends_token(uint8_t byte) { return byte >= 0xfe; }
  static uint64_t candidates(uint64_t word) {
    return ((word & repeat_byte(0x7f)) + repeat_byte(2)) & word & repeat_byte(0x80);
  }
};

// Bit i is set where bytes[i] may end a token; reads bytes[0, 64).
template <class Separators>
uint64_t candidate_mask(const char* bytes) {
  uint64_t mask = 0;
  for (int i = 0; i < 8; ++i) {
    const uint64_t tops = Separators::candidates(load_word(bytes + 8 * i));
    mask |= ((tops >> 7) * 0x0102040810204080ull >> 56) << (8 * i);  // gathers the eight bits into one byte
  }
  return mask;
}

}  // namespace pyembed
