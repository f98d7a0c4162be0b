// TypeTable: the distinct tokens ("types") of a text, their counts and where each was first seen.
//
// Open addressing with linear probing. A slot holds a type of up to 16 bytes whole, with its count, so that the usual
// token touches one cache line; longer types are compared in the arena.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "arrays.h"
#include "separators.h"

namespace pyembed {

// What a slot compares: the first 15 bytes of a token, padded with zeros, and in the last byte its length. Of a longer
// token: the first 8 bytes, 56 bits of a hash of all, and kLong.
struct TypeKey {
  uint64_t head, next;

  static constexpr size_t kShort = 15;
  static constexpr uint64_t kLong = 0xff;

  bool is_long() const { return next >> 56 == kLong; }
  size_t length() const { return next >> 56; }  // where it is not long
  friend bool operator==(const TypeKey& a, const TypeKey& b) { return ((a.head ^ b.head) | (a.next ^ b.next)) == 0; }

  uint64_t hash() const {
    const auto product = static_cast<unsigned __int128>(head ^ 0x9e3779b97f4a7c15ull) * (next ^ 0xc2b2ae3d27d4eb4full);
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
  }
};

// Bytes past the end of a token that key_of may read.
constexpr size_t kKeyPadding = 16;

inline TypeKey key_of(const char* bytes, size_t length) {
  if (length <= TypeKey::kShort) {  // the bytes past the end are masked without asking for the length, which is not to
                                    // be predicted
    static constexpr char ones[32] = "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF";  // then zeros
    const char* const mask = ones + 15 - length;
    return {load_word(bytes) & load_word(mask), (load_word(bytes + 8) & load_word(mask + 8)) | uint64_t{length} << 56};
  }
  uint64_t h = length;
  for (size_t i = 0; i + 8 <= length; i += 8) h = (h ^ load_word(bytes + i)) * 0x9e3779b97f4a7c15ull, h ^= h >> 32;
  h = (h ^ load_word(bytes + length - 8)) * 0x9e3779b97f4a7c15ull;
  return {load_word(bytes), h >> 8 | TypeKey::kLong << 56};
}

class TypeTable {
 public:
  TypeTable() { resize(kFewestSlots); }

  int64_t size() const { return static_cast<int64_t>(places_.size()); }
  // Of the type's bytes; kKeyPadding bytes past their end may be read too.
  std::string_view text(int64_t type) const {
    const uint64_t begin = places_[type].begin;
    const uint64_t end = type + 1 < size() ? places_[type + 1].begin : arena_end_;
    return {arena_.data() + begin, end - begin};
  }

  // Where the type of a key with this hash is looked for first, until the next type is inserted.
  uint32_t slot_of(uint64_t hash) const { return static_cast<uint32_t>(hash >> shift_); }
  void prefetch(uint32_t slot) const { __builtin_prefetch(&slots_[slot]); }

  // Counts one more token of the type of a key and returns it where this slot holds it and the key is all there is to
  // compare. Otherwise, and for any other slot, returns -1: count() knows.
  int32_t count_at(uint32_t slot, const TypeKey& key) {
    Slot& found = slots_[slot];
    if (!(found.key == key) || key.is_long()) return -1;
    ++found.count;
    return found.type;
  }

  // Counts one more token of the type and returns it, or returns -1 where the type is new.
  int32_t count(const TypeKey& key, std::string_view bytes) {
    for (size_t i = slot_of(key.hash());; i = (i + 1) & mask_) {
      Slot& slot = slots_[i];
      if (slot.key == key && (!key.is_long() || text(slot.type) == bytes)) {
        ++slot.count;
        return slot.type;
      }
      if (slot.is_empty()) return -1;
    }
  }

  // Inserts a type that `count` did not find, with a count of one; `position` is where it was first seen.
  int32_t insert(const TypeKey& key, std::string_view bytes, uint64_t position) {
    if (size() >= std::numeric_limits<int32_t>::max()) throw std::length_error("more than 2^31 - 1 distinct tokens");
    if (places_.size() * 2 >= slots_.size()) resize(slots_.size() * (slots_.size() < kManySlots ? 4 : 2));
    const auto type = static_cast<int32_t>(size());
    place({key, 1, type});
    arena_.resize(arena_end_ + bytes.size() + kKeyPadding);
    std::memcpy(arena_.data() + arena_end_, bytes.data(), bytes.size());
    places_.push_back({arena_end_, position});
    arena_end_ += bytes.size();
    return type;
  }

  // Calls visit(key, hash, count, type, first position) for the types whose hash begins with the kPartBits bits `part`.
  static constexpr int kPartBits = 8;
  template <class Visit>
  void for_each_in_part(size_t part, const Visit& visit) const {
    const size_t width = slots_.size() >> kPartBits, begin = part * width;
    for (size_t i = begin;; ++i) {
      __builtin_prefetch(&places_.data()[slots_[(i + kAhead) & mask_].type]);
      const Slot& slot = slots_[i & mask_];
      if (slot.is_empty()) {
        if (i >= begin + width) return;
        continue;
      }
      const uint64_t hash = slot.key.hash();
      if (hash >> (64 - kPartBits) == part) visit(slot.key, hash, slot.count, slot.type, places_[slot.type].position);
    }
  }

  // The bytes of all types, where text() finds them; the table is of no use afterwards.
  UnwrittenArray<char> take_arena() { return std::move(arena_); }

 private:
  struct Slot {
    TypeKey key = {0, 0};
    uint64_t count = 0;
    int32_t type = 0;

    bool is_empty() const { return key.next == 0; }  // no token has length 0
  };
  static_assert(sizeof(Slot) == 32, "two slots a cache line");

  struct Place {
    uint64_t begin;     // of the bytes in the arena; they end where those of the next type begin
    uint64_t position;  // where the type was first seen
  };

  static constexpr size_t kFewestSlots = 1 << 11;
  static constexpr size_t kManySlots = 1 << 18;  // a table below that soon grows again, and every growing copies it
  static_assert(kFewestSlots >> kPartBits > 0, "every part has slots of its own");
  static constexpr size_t kUsualBytes = 8;  // of a type; the arena grows on its own where they are longer
  static constexpr size_t kAhead = 24;      // slots whose types' places are on their way from memory

  void place(const Slot& slot) {
    size_t i = slot_of(slot.key.hash());
    while (!slots_[i].is_empty()) i = (i + 1) & mask_;
    slots_[i] = slot;
  }

  // At most half of the slots are taken.
  void resize(size_t slots) {
    places_.reserve(slots / 2);
    arena_.reserve(slots / 2 * kUsualBytes);
    LargeArray<Slot> old(slots);
    old.swap(slots_);
    mask_ = slots - 1;
    shift_ = 64;
    for (size_t n = slots; n > 1; n >>= 1) --shift_;
    for (const Slot& slot : old) {
      if (!slot.is_empty()) place(slot);
    }
  }

  LargeArray<Slot> slots_;
  size_t mask_ = 0;
  int shift_ = 64;
  UnwrittenArray<char> arena_;  // the bytes of all types, one after another, then padding
  uint64_t arena_end_ = 0;
  UnwrittenArray<Place> places_;  // [size()]
};

}  // namespace pyembed
