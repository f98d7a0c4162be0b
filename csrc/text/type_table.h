// TypeTable: the distinct tokens ("types") of a text, their counts and where each was first seen.
//
// Open addressing with linear probing. A slot holds a type of up to 16 bytes whole, with its count, so that the usual
// token touches one cache line; longer types are compared in the arena.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <vector>

#include "large_pages.h"
#include "separators.h"

namespace pyembed {

// What a slot compares: the first 16 bytes, padded with zeros, and a tag: the length up to 16, above it a hash of all
// bytes with the top bit set.
struct TypeKey {
  uint64_t head, next;
  uint32_t tag;

  uint64_t hash() const {
    uint64_t h = (head ^ tag) * 0x9e3779b97f4a7c15ull;
    h ^= (h >> 32) ^ (next * 0xc2b2ae3d27d4eb4full);
    h ^= h >> 29;
    return h * 0x9fb21c651e98df25ull;
  }
};

// Bytes past the end of a token that key_of may read.
constexpr size_t kKeyPadding = 16;

inline TypeKey key_of(const char* bytes, size_t length) {
  if (length <= 16) {  // the bytes past the end are masked without asking for the length, which is not to be predicted
    static constexpr char ones[33] = "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF";  // then zeros
    const char* const mask = ones + 16 - length;
    return {load_word(bytes) & load_word(mask), load_word(bytes + 8) & load_word(mask + 8),
            static_cast<uint32_t>(length)};
  }
  uint64_t h = length;
  for (size_t i = 0; i + 8 <= length; i += 8) h = (h ^ load_word(bytes + i)) * 0x9e3779b97f4a7c15ull, h ^= h >> 32;
  h = (h ^ load_word(bytes + length - 8)) * 0x9e3779b97f4a7c15ull;
  return {load_word(bytes), load_word(bytes + 8), static_cast<uint32_t>(h >> 32) | 0x80000000u};
}

class TypeTable {
 public:
  TypeTable() { resize(1 << 12); }
  explicit TypeTable(size_t types) {
    size_t slots = 1 << 12;
    while (is_full(types, slots)) slots *= 2;
    resize(slots);
    ends_.reserve(types);
    first_positions_.reserve(types);
    arena_.reserve(kBytesAType * types);
  }

  int64_t size() const { return static_cast<int64_t>(ends_.size()); }
  // kKeyPadding bytes past the type's end may be read too.
  const char* bytes(int64_t type) const { return arena_.data() + (type ? ends_[type - 1] : 0); }
  uint64_t end(int64_t type) const { return ends_[type]; }  // of its bytes, the first type's being at 0
  size_t length(int64_t type) const { return ends_[type] - (type ? ends_[type - 1] : 0); }
  uint64_t first_position(int64_t type) const { return first_positions_[type]; }
  void seen_at(int64_t type, uint64_t position) {
    if (position < first_positions_[type]) first_positions_[type] = position;
  }

  void prefetch(uint64_t hash) const { __builtin_prefetch(&slots_[hash >> shift_]); }

  // Adds `count` to the type and returns it, or returns -1 where the type is new.
  int32_t add(const TypeKey& key, uint64_t hash, const char* bytes, size_t length, uint64_t count) {
    for (size_t i = hash >> shift_;; i = (i + 1) & mask_) {
      Slot& slot = slots_[i];
      if (((slot.head ^ key.head) | (slot.next ^ key.next) | (slot.tag ^ key.tag)) == 0) {
        if (key.tag <= 16 || equals(slot.type, bytes, length)) {
          slot.count += count;
          return slot.type;
        }
      }
      if (slot.type < 0) return -1;
    }
  }

  // Inserts a type that `add` did not find; `position` is where it was first seen.
  int32_t insert(const TypeKey& key, uint64_t hash, const char* bytes, size_t length, uint64_t count,
                 uint64_t position) {
    if (size() >= std::numeric_limits<int32_t>::max()) throw std::length_error("more than 2^31 - 1 distinct tokens");
    if (is_full(ends_.size(), slots_.size())) resize(slots_.size() * 2);
    const auto type = static_cast<int32_t>(size());
    place({key.head, key.next, count, key.tag, type}, hash);
    const size_t begin = ends_.empty() ? 0 : ends_.back();
    arena_.resize(begin + length + kKeyPadding);
    std::memcpy(arena_.data() + begin, bytes, length);
    ends_.push_back(begin + length);
    first_positions_.push_back(position);
    return type;
  }

  // counts[size()]: how often each type was added.
  std::vector<uint64_t> counts() const {
    std::vector<uint64_t> counts(ends_.size());
    for (const Slot& slot : slots_) {
      if (slot.type >= 0) counts[slot.type] = slot.count;
    }
    return counts;
  }

 private:
  struct Slot {
    uint64_t head = 0, next = 0, count = 0;
    uint32_t tag = 0;  // no token has length 0, so an empty slot equals no key
    int32_t type = -1;
  };
  static_assert(sizeof(Slot) == 32, "two slots a cache line");

  static constexpr size_t kBytesAType = 10;  // about; the arena grows where it is more

  static bool is_full(size_t types, size_t slots) { return types * 10 >= slots * 6; }

  bool equals(int32_t type, const char* bytes, size_t length) const {
    return this->length(type) == length && std::memcmp(this->bytes(type), bytes, length) == 0;
  }

  void place(const Slot& slot, uint64_t hash) {
    size_t i = hash >> shift_;
    while (slots_[i].type >= 0) i = (i + 1) & mask_;
    slots_[i] = slot;
  }

  void resize(size_t slots) {
    std::vector<Slot, LargePages<Slot>> old(slots);
    old.swap(slots_);
    mask_ = slots - 1;
    shift_ = 64;
    for (size_t n = slots; n > 1; n >>= 1) --shift_;
    for (const Slot& slot : old) {
      if (slot.type >= 0) place(slot, TypeKey{slot.head, slot.next, slot.tag}.hash());
    }
  }

  std::vector<Slot, LargePages<Slot>> slots_;
  size_t mask_ = 0;
  int shift_ = 64;
  std::vector<char> arena_;     // the bytes of all types, one after another, then padding
  std::vector<uint64_t> ends_;  // [size()] where each type ends in the arena
  std::vector<uint64_t> first_positions_;
};

}  // namespace pyembed
