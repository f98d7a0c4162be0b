#include "subwords.h"

#include <cstddef>
#include <string>

namespace pyembed {
namespace {

// Whether a byte goes on with a character of UTF-8.
bool is_continuation(char byte) { return (static_cast<uint8_t>(byte) & 0xc0) == 0x80; }

void add_ngrams(const std::string& word, const Subwords& subwords, std::vector<int32_t>* rows) {
  const size_t size = word.size();
  for (size_t begin = 0; begin < size; ++begin) {
    if (is_continuation(word[begin])) continue;
    uint32_t hash = 2166136261u;  // FNV-1a, over signed bytes as fastText has it
    size_t end = begin;
    for (int32_t n = 1; end < size && n <= subwords.maxn; ++n) {
      do {
        hash = (hash ^ static_cast<uint32_t>(static_cast<int8_t>(word[end++]))) * 16777619u;
      } while (end < size && is_continuation(word[end]));
      const bool is_border = n == 1 && (begin == 0 || end == size);
      if (n >= subwords.minn && !is_border) rows->push_back(static_cast<int32_t>(hash % subwords.buckets));
    }
  }
}

}  // namespace

void find_ngram_rows(const char* text, const int64_t* ends, int64_t words, const Subwords& subwords, int64_t* starts,
                     std::vector<int32_t>* rows) {
  std::string bracketed;
  starts[0] = 0;
  for (int64_t word = 0; word < words; ++word) {
    const int64_t begin = word ? ends[word - 1] : 0;
    bracketed.assign("<").append(text + begin, static_cast<size_t>(ends[word] - begin)).push_back('>');
    if (bracketed != "<</s>>") add_ngrams(bracketed, subwords, rows);
    starts[word + 1] = static_cast<int64_t>(rows->size());
  }
}

}  // namespace pyembed
