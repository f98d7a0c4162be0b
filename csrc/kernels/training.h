// What a training kernel reads and writes: plain structs of pointers and sizes that own nothing.
// Spec: pyembed/reference.py sections 3 and 7.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/draws.h"

namespace pyembed {

// A block of the epoch's stream of kept tokens. Tokens outside [center_begin, center_end) are contexts only.
struct TokenBlock {
  const int32_t* ids;              // [tokens], 0 to V - 1
  const int64_t* sentence_starts;  // [sentences + 1], ascending from 0 to tokens
  int64_t tokens;                  // T
  int64_t sentences;               // S
  uint64_t first_position;         // position of ids[0] in the stream
  int64_t center_begin;
  int64_t center_end;
};

// Copies that a thread trains instead of a table's rows, those of the ids first to first + count - 1.
template <class Element>
struct HotRows {
  Element* copies = nullptr;  // [count, stride]
  int64_t stride = 0;
  uint32_t first = 0;
  uint32_t count = 0;
};

// Two tables of D columns; a stride is the distance of two rows, in elements.
template <class Element>
struct Tables {
  Element* in;   // [V, D], vectors of contexts
  Element* out;  // [V, D], vectors of centers and negatives
  int64_t dimensions;
  int64_t in_stride;
  int64_t out_stride;
  HotRows<Element> hot_in{};  // honoured by the CPU's steps, see binding/hot_rows.h
  HotRows<Element> hot_out{};
};

// The path to each word in a tree, from the root on: that of word w is starts[w] to starts[w + 1] - 1. Its nodes
// differ, and are rows of the table of outputs.
struct Paths {
  const int64_t* starts;  // [V + 1], ascending
  const int32_t* nodes;
  const uint8_t* bits;  // 0: label 1; 1: label 0
};

// Falls linearly from the block's first center to the one past its last.
struct LearningRate {
  double begin;
  double end;
};

struct CbowOptions {
  bool mean;            // hidden vector: mean of the contexts, else their sum
  bool exact_gradient;  // with mean, a context receives its share 1 / C of the gradient, else (word2vec) all of it
};

struct LossSum {
  double loss;    // sum over pairs
  int64_t pairs;  // positive pairs
};

PE_HD PE_INLINE double learning_rate(const TokenBlock& block, const LearningRate& rate, int64_t center) {
  const double fraction =
      static_cast<double>(center - block.center_begin) / static_cast<double>(block.center_end - block.center_begin);
  return rate.begin + (rate.end - rate.begin) * fraction;
}

// The sentence of successive centers, found without a search for each.
struct SentenceCursor {
  const TokenBlock& block;
  int64_t sentence;  // the sentence that holds the last center asked for

  // Call with ascending centers.
  PE_HD PE_INLINE void advance_to(int64_t center) {
    while (block.sentence_starts[sentence + 1] <= center) ++sentence;
  }
  PE_HD PE_INLINE int64_t first() const { return block.sentence_starts[sentence]; }
  PE_HD PE_INLINE int64_t past_last() const { return block.sentence_starts[sentence + 1]; }
};

PE_HD PE_INLINE SentenceCursor sentence_of(const TokenBlock& block, int64_t token) {
  int64_t low = 0, high = block.sentences;  // the answer lies in [low, high)
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    if (block.sentence_starts[middle] <= token) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return {block, low};
}

// The contexts of one window as a run of tokens that holds the center too.
struct Span {
  int64_t first;      // index of the first token
  int64_t past_last;  // one past the last token

  PE_HD PE_INLINE int64_t contexts() const { return past_last - first - 1; }
  // Index of context c, 0 <= c < contexts().
  PE_HD PE_INLINE int64_t context(int64_t c, int64_t center) const { return first + c + (first + c >= center); }
};

PE_HD PE_INLINE Span window_span(const SentenceCursor& cursor, int64_t center, int64_t radius) {
  const int64_t low = center - radius, high = center + radius + 1;
  return {low < cursor.first() ? cursor.first() : low, high > cursor.past_last() ? cursor.past_last() : high};
}

}  // namespace pyembed
