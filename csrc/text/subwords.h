// fastText's n-grams of characters: which rows of its matrix a word has besides its own.
#pragma once

#include <cstdint>
#include <vector>

namespace pyembed {

struct Subwords {
  int32_t minn, maxn;  // characters of an n-gram, both included
  uint32_t buckets;    // >= 1
};

// For `words` words, the text between the ends of one and the next: starts[words + 1] and, between them, the bucket of
// each n-gram of `<word>`, as fastText orders them. `</s>` has none.
void find_ngram_rows(const char* text, const int64_t* ends, int64_t words, const Subwords& subwords, int64_t* starts,
                     std::vector<int32_t>* rows);

}  // namespace pyembed
