// The random decisions of a window, integers only, so every executor agrees bit for bit.
// Spec: pyembed/reference.py sections 2 and 3.1.
#pragma once

#include "kernels/philox.h"

namespace pyembed {

enum class Stream : uint32_t { keep = 0, radius = 1, negative = 2, initial = 3, rounding = 4 };

constexpr int kPerPair = 0, kPerWindow = 1;  // values of Draws::sharing

// What every draw of windows depends on beside the position.
struct Draws {
  const uint32_t* alias_table;  // [vocabulary, 2]: threshold, alias
  uint32_t vocabulary;          // V, below 2^31
  int window;                   // W, largest radius
  int negative;                 // K, negatives of a pair
  int sharing;                  // whose they are: kPerPair, kPerWindow, or the number of windows in a pool
  uint64_t seed;
  uint32_t epoch;
  bool shrink_windows = true;  // a window's radius is drawn, 1 to W; else it is W
};

PE_HD PE_INLINE Words4 random_words(uint64_t seed, uint32_t epoch, Stream stream, uint64_t index, uint32_t slot) {
  return philox({{static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), epoch,
                  (static_cast<uint32_t>(stream) << 24) + slot}},
                seed);
}

// 1 to W, for the center at this position of the epoch's kept tokens.
PE_HD PE_INLINE int window_radius(const Draws& draws, uint64_t position) {
  if (!draws.shrink_windows) return draws.window;
  const Words4 words = random_words(draws.seed, draws.epoch, Stream::radius, position >> 2, 0);
  // chosen without an index, so that a GPU keeps all four in registers
  const uint32_t low = position & 1 ? words.word[1] : words.word[0],
                 high = position & 1 ? words.word[3] : words.word[2];
  return 1 + static_cast<int>(high_product(position & 2 ? high : low, static_cast<uint32_t>(draws.window)));
}

// Walker's alias method: one access to the table a draw.
PE_HD PE_INLINE uint32_t noise_id(const Draws& draws, uint32_t column_word, uint32_t accept_word) {
  const uint32_t column = high_product(column_word, draws.vocabulary);
  const uint32_t* entry = draws.alias_table + 2 * static_cast<uint64_t>(column);
  return accept_word < entry[0] ? column : entry[1];
}

// The K negatives of context number `context` of the window at this position, of any context unless every pair has its
// own; ids [K].
PE_HD PE_INLINE void negative_ids(const Draws& draws, uint64_t position, int64_t context, int32_t* ids) {
  uint32_t slot = 0;
  if (draws.sharing == kPerPair) {
    slot = static_cast<uint32_t>(context * ((draws.negative + 1) / 2));
  } else {
    position -= position % static_cast<uint64_t>(draws.sharing);
  }
  for (int j = 0; j < draws.negative; j += 2, ++slot) {
    const Words4 words = random_words(draws.seed, draws.epoch, Stream::negative, position, slot);
    ids[j] = static_cast<int32_t>(noise_id(draws, words.word[0], words.word[1]));
    if (j + 1 < draws.negative) ids[j + 1] = static_cast<int32_t>(noise_id(draws, words.word[2], words.word[3]));
  }
}

}  // namespace pyembed
