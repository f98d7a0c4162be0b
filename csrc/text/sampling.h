// What is drawn or prepared once for every token, row or word, outside of the kernels that train.
//
// Spec: pyembed/reference.py sections 1 and 2. pyembed/corpus/numba_sampling.py does the same bit for bit.
#pragma once

#include <cstdint>

namespace pyembed {

// Tokens `first_position` .. first_position + tokens - 1 of the corpus, and the sentences that start among them.
struct TokenRange {
  const int32_t* ids;  // [tokens]
  int64_t tokens;
  uint64_t first_position;
  const int64_t* sentence_starts;  // [sentences], ascending positions
  int64_t sentences;
};

// Writes the kept ids to kept[tokens] and for each sentence start how many are kept before it to
// kept_before[sentences]; returns how many are kept. keep_threshold [V]; the caller has seen to it that all ids are
// below V.
int64_t keep_tokens(const TokenRange& range, const uint32_t* keep_threshold, uint64_t seed, uint32_t epoch,
                    int32_t* kept, int64_t* kept_before);

// The initial in_vectors, (uniform [0, 1) - 0.5) / dimensions, of elements first_element .. first_element + n - 1.
void fill_uniform(uint64_t first_element, int64_t n, int64_t dimensions, uint64_t seed, float* values);

// Vose's alias method: scaled [V] with mean 1; probability and alias [V].
void alias_columns(const double* scaled, int64_t size, double* probability, int64_t* alias);

}  // namespace pyembed
