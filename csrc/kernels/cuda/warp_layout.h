// What a warp that trains windows keeps in shared memory, in 32-bit words. Plain C++: the host sizes launches with it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/training.h"

namespace pyembed {

constexpr int kTileContexts = 5, kTileOutputs = 6;  // scores that are reduced together, 30 of 32 lanes
constexpr int kErrorPitch = 8;                      // words of a context's errors in a tile of outputs, aligned
constexpr int kColumnsAtOnce = 128;                 // 4 a lane
constexpr int kDrawsAhead = 8;                      // windows whose negatives are drawn together

// The shapes that a warp's shared memory and its lanes' registers have room for.
constexpr int kMostWindow = 15, kMostNegative = 30;

// Offsets of a warp's arrays.
struct WarpLayout {
  int columns;       // D
  int window;        // W
  int negative;      // K
  int in_slots;      // rows of in_vectors: those of the tokens around the center, and of the one that enters next
  int output_tiles;  // N in tiles
  int in_values, in_bases, out_values, out_bases, pending, hidden, errors, context_offsets, context_counts,
      output_offsets, output_counts, output_targets, drawn, words;

  PE_HD size_t bytes() const { return static_cast<size_t>(words) * 4; }
};

// keeps_bases: beside each row what it was when it came. cbow: with a hidden vector.
PE_HD PE_INLINE WarpLayout warp_layout(const Draws& draws, int64_t dimensions, bool keeps_bases, bool cbow) {
  WarpLayout layout{};
  int words = 0;
  const auto take = [&words](int count) {
    const int offset = words;
    words += (count + 3) / 4 * 4;  // aligned to 16 bytes
    return offset;
  };
  const int D = static_cast<int>(dimensions), W = draws.window, K = draws.negative;
  const bool pooled = draws.sharing > kPerWindow;
  layout.columns = D;
  layout.window = W;
  layout.negative = K;
  layout.in_slots = 2 * W + 2;
  layout.output_tiles = (1 + K + kTileOutputs - 1) / kTileOutputs;
  // Lists are filled up to whole tiles.
  const int contexts = (2 * W + kTileContexts - 1) / kTileContexts * kTileContexts;
  const int outputs = layout.output_tiles * kTileOutputs;
  layout.in_values = take(layout.in_slots * D);
  layout.in_bases = take(keeps_bases ? layout.in_slots * D : 0);
  layout.out_values = take((2 * K + 2) * D);
  layout.out_bases = take(keeps_bases && pooled ? K * D : 0);
  layout.pending = take(!cbow && layout.output_tiles > 1 ? 2 * W * kColumnsAtOnce : 0);
  layout.hidden = take(cbow ? D : 0);
  layout.errors = take(cbow ? outputs : layout.output_tiles * 2 * W * kErrorPitch);
  layout.context_offsets = take(contexts);
  layout.context_counts = take(contexts);
  layout.output_offsets = take(outputs);
  layout.output_counts = take(outputs);
  layout.output_targets = take(2 * (1 + K));  // pointers
  layout.drawn = take(kDrawsAhead * K);
  layout.words = words;
  return layout;
}

}  // namespace pyembed
