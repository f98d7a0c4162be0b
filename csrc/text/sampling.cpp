#include "sampling.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "kernels/draws.h"

namespace pyembed {
namespace {

constexpr uint64_t kWordsAtATime = 1024;  // made together, 4 KB

// Words [4 * first_index, 4 * (first_index + n)) of a stream.
void random_run(uint64_t seed, uint32_t epoch, Stream stream, uint64_t first_index, uint64_t n, Words4* words) {
  for (uint64_t i = 0; i < n; ++i) words[i] = random_words(seed, epoch, stream, first_index + i, 0);
}

}  // namespace

int64_t keep_tokens(const TokenRange& range, const uint32_t* keep_threshold, uint64_t seed, uint32_t epoch,
                    int32_t* kept, int64_t* kept_before) {
  Words4 words[kWordsAtATime / 4];
  const uint64_t past_last = range.first_position + static_cast<uint64_t>(range.tokens);
  int64_t count = 0, sentence = 0;
  uint64_t position = range.first_position;
  while (position < past_last) {
    const uint64_t base = position / 4 * 4;
    const uint64_t filled = std::min(base + kWordsAtATime, past_last);
    random_run(seed, epoch, Stream::keep, base / 4, (filled - base + 3) / 4, words);
    while (position < filled) {
      for (; sentence < range.sentences && static_cast<uint64_t>(range.sentence_starts[sentence]) <= position;
           ++sentence) {
        kept_before[sentence] = count;
      }
      const uint64_t stop = sentence < range.sentences
                                ? std::min(filled, static_cast<uint64_t>(range.sentence_starts[sentence]))
                                : filled;
      for (; position < stop; ++position) {
        const uint32_t word = words[(position - base) / 4].word[position % 4];
        const int32_t id = range.ids[position - range.first_position];
        kept[count] = id;  // overwritten by the next where it is not kept: no branch to mispredict
        count += word <= keep_threshold[id];
      }
    }
  }
  return count;
}

void fill_uniform(uint64_t first_element, int64_t n, int64_t dimensions, uint64_t seed, float* values) {
  Words4 words[kWordsAtATime / 4];
  const uint64_t past_last = first_element + static_cast<uint64_t>(n);
  for (uint64_t element = first_element; element < past_last;) {
    const uint64_t base = element / 4 * 4;
    const uint64_t filled = std::min(base + kWordsAtATime, past_last);
    random_run(seed, 0, Stream::initial, base / 4, (filled - base + 3) / 4, words);
    for (; element < filled; ++element) {
      const uint32_t word = words[(element - base) / 4].word[element % 4];
      *values++ = (static_cast<float>(word >> 8) * 0x1p-24f - 0.5f) / static_cast<float>(dimensions);
    }
  }
}

void alias_columns(const double* scaled, int64_t size, double* probability, int64_t* alias) {
  std::copy_n(scaled, size, probability);
  std::iota(alias, alias + size, int64_t{0});
  std::vector<int64_t> small, large;
  for (int64_t column = 0; column < size; ++column) (probability[column] < 1.0 ? small : large).push_back(column);
  while (!small.empty() && !large.empty()) {
    const int64_t poor = small.back(), rich = large.back();
    small.pop_back();
    alias[poor] = rich;
    probability[rich] -= 1.0 - probability[poor];
    if (probability[rich] < 1.0) {
      large.pop_back();
      small.push_back(rich);
    }
  }
  // What is left is 1 but for rounding.
  for (const int64_t column : small) probability[column] = 1.0;
  for (const int64_t column : large) probability[column] = 1.0;
}

}  // namespace pyembed
