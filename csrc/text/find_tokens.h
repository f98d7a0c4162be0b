// Where the tokens of a piece of text are, with their keys and hashes, their slots on the way from memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "separators.h"
#include "type_table.h"

namespace pyembed {

// A token found, waiting for its slot to arrive from memory. key.tag 0 stands for the end of a sentence.
struct Pending {
  TypeKey key;
  uint64_t hash;
  const char* bytes;
  size_t length;
};

// Tokens are found and prefetched in a piece of text, then counted: long enough for memory to answer, short enough for
// the L1 cache. A byte ends at most one token or begins one: more than kPiece + 1 things are never found.
constexpr size_t kPiece = 512;

// Finds what ends in text[begin, end). `*token` is where the token under way began, and is moved on.
template <class Separators>
size_t find_tokens(const char* begin, const char* end, const TypeTable& types, const char** token, Pending* found) {
  Pending* next = found;
  const char* start = *token;
  for (const char* at = begin; at < end; at += 64) {
    uint64_t mask = candidate_mask<Separators>(at);
    if (end - at < 64) mask &= (1ull << (end - at)) - 1;
    for (; mask != 0; mask &= mask - 1) {
      const char* const stop = at + __builtin_ctzll(mask);
      if (!Separators::ends_token(static_cast<uint8_t>(*stop))) continue;
      if (stop > start) {
        next->bytes = start;
        next->length = static_cast<size_t>(stop - start);
        next->key = key_of(start, next->length);
        next->hash = next->key.hash();
        types.prefetch(next->hash);
        ++next;
      }
      start = stop + 1;
      if (*stop == Separators::sentence_end) (next++)->key.tag = 0;
    }
  }
  *token = start;
  return static_cast<size_t>(next - found);
}

}  // namespace pyembed
