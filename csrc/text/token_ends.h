// Where tokens end in a piece of text: the places of the separators, by the fastest way that this processor has.
#pragma once

#include <cstddef>
#include <cstdint>

#include "separators.h"

namespace pyembed {

// Bytes of text that are gone through at a time: long enough for memory to answer, short enough for the L1 cache.
constexpr size_t kPiece = 2048;
constexpr size_t kEndsRoom = kPiece + 64;  // of an array for the ends in a piece

// Writes the places of the separators in text[0, size), size <= kPiece, ascending, to ends [kEndsRoom] and returns how
// many there are. Reads text to the next multiple of 64 bytes.
using FindTokenEnds = size_t (*)(const char* text, size_t size, uint16_t* ends);

template <class Separators>
size_t portable_token_ends(const char* text, size_t size, uint16_t* ends) {
  uint16_t* next = ends;
  for (size_t at = 0; at < size; at += 64) {
    uint64_t mask = token_ends_mask<Separators>(text + at);
    if (size - at < 64) mask &= (1ull << (size - at)) - 1;
    for (; mask != 0; mask &= mask - 1) *next++ = static_cast<uint16_t>(at + __builtin_ctzll(mask));
  }
  return static_cast<size_t>(next - ends);
}

// Null where this build or this processor lacks AVX-512 with VBMI2.
template <class Separators>
FindTokenEnds avx512_token_ends();

template <class Separators>
FindTokenEnds best_token_ends() {
  static const FindTokenEnds avx512 = avx512_token_ends<Separators>();
  return avx512 != nullptr ? avx512 : &portable_token_ends<Separators>;
}

}  // namespace pyembed
