// Where the tokens of a piece of text are, with their keys and hashes, their slots on the way from memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "separators.h"
#include "type_table.h"

namespace pyembed {

// A token found, waiting for its slot to arrive from memory. key.next 0 stands for the end of a sentence.
struct Pending {
  TypeKey key;
  uint64_t hash;
  const char* bytes;

  template <class Separators>
  size_t length() const {
    if (!key.is_long()) return key.length();
    size_t length = TypeKey::kShort;
    while (!Separators::ends_token(static_cast<uint8_t>(bytes[length]))) ++length;
    return length;
  }
};

// Tokens are found and prefetched in a piece of text, then counted: long enough for memory to answer, short enough for
// the L1 cache. A byte ends at most one token or begins one: more than kPiece + 1 things are never found.
constexpr size_t kPiece = 2048;

// Finds what ends in text[begin, end). `*token` is where the token under way began, and is moved on.
template <class Separators>
size_t find_tokens(const char* begin, const char* end, const TypeTable& types, const char** token, Pending* found) {
  Pending* next = found;
  const char* start = *token;
  for (const char* at = begin; at < end; at += 64) {
    const EndMasks ends = end_masks<Separators>(at);
    uint64_t mask = ends.tokens;
    if (end - at < 64) mask &= (1ull << (end - at)) - 1;
    for (; mask != 0; mask &= mask - 1) {
      const int i = __builtin_ctzll(mask);
      const char* const stop = at + i;
      if (stop > start) {
        next->bytes = start;
        next->key = key_of(start, static_cast<size_t>(stop - start));
        next->hash = next->key.hash();
        types.prefetch(next->hash);
        ++next;
      }
      start = stop + 1;
      if (ends.sentences >> i & 1) (next++)->key.next = 0;
    }
  }
  *token = start;
  return static_cast<size_t>(next - found);
}

}  // namespace pyembed
