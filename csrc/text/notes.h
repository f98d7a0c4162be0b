// Notes: the types of a text's tokens in 16 bits each, since most tokens are of the types that were seen first.
//
// A type below kWide is noted as it is, any other as kWide and then its lower and its upper 16 bits; kSentenceEnd
// stands for itself.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pyembed {

constexpr uint16_t kSentenceEnd = 0xffff, kWide = 0xfffe;

// At most so many notes are taken of so many bytes: "x\n" is a token of up to three notes and a sentence's end.
constexpr size_t most_notes(size_t bytes) { return 2 * (bytes + 1); }

inline uint16_t* note_type(int32_t type, uint16_t* notes) {
  if (type < kWide) {
    *notes++ = static_cast<uint16_t>(type);
  } else {
    *notes++ = kWide;
    *notes++ = static_cast<uint16_t>(type);
    *notes++ = static_cast<uint16_t>(type >> 16);
  }
  return notes;
}

// Reads what follows kWide.
inline int32_t wide_type(const uint16_t* notes) { return static_cast<int32_t>(notes[0] | uint32_t{notes[1]} << 16); }

}  // namespace pyembed
