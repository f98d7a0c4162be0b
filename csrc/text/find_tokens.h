// The tokens of a piece of text, with their keys, their slots on the way from memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "token_ends.h"
#include "type_table.h"

namespace pyembed {

// A token found, waiting for its slot to arrive from memory, or the end of a sentence.
struct Pending {
  TypeKey key;
  uint32_t end;   // of the token, in the piece
  uint32_t slot;  // where its type is looked for first

  bool ends_sentence() const { return key.next == 0; }  // no token has length 0
};
constexpr Pending kEndOfSentence = {{1, 0}, 0, 0};  // with a key that no slot holds, not even an empty one

// A byte ends at most one token or begins one: more things are never found in a piece.
constexpr size_t kMostPending = kPiece + 1;

// Finds what ends in text[0, size), size <= kPiece. `*token` is where the token under way began, and is moved on.
template <class Separators>
size_t find_tokens(const char* text, size_t size, const TypeTable& types, const char** token, Pending* found) {
  uint16_t ends[kEndsRoom];
  const size_t count = best_token_ends<Separators>()(text, size, ends);
  Pending* next = found;
  const char* start = *token;
  for (size_t i = 0; i < count; ++i) {
    const char* const stop = text + ends[i];
    if (stop > start) {
      const TypeKey key = key_of(start, static_cast<size_t>(stop - start));
      const uint32_t slot = types.slot_of(key.hash());
      types.prefetch(slot);
      *next++ = {key, ends[i], slot};
    }
    start = stop + 1;
    if (*stop == Separators::sentence_end) *next++ = kEndOfSentence;
  }
  *token = start;
  return static_cast<size_t>(next - found);
}

// Of a token that find_tokens found, which ends at `end`; none begins before `text`.
template <class Separators>
size_t token_length(const TypeKey& key, const char* text, const char* end) {
  if (!key.is_long()) return key.length();
  const char* start = end;
  while (start > text && !Separators::ends_token(static_cast<uint8_t>(start[-1]))) --start;
  return static_cast<size_t>(end - start);
}

}  // namespace pyembed
