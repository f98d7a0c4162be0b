#include "sampling.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "random_run.h"

namespace pyembed {
namespace {

constexpr uint64_t kWordsAtATime = 1024;  // made together, 4 KB

RandomRun best_random_run() {
  const RandomRun avx512 = avx512_random_run();
  return avx512 != nullptr ? avx512 : &portable_random_run;
}

// The words of positions begin to at most end - 1 of a stream.
struct RandomPart {
  static_assert(kWordsAtATime % 32 == 0, "random_run fills eight times four");
  uint64_t end;           // of those that are here
  const uint32_t* words;  // [end - begin]
  uint32_t room[kWordsAtATime];

  RandomPart(uint64_t seed, uint32_t epoch, Stream stream, uint64_t begin, uint64_t past_last) {
    const uint64_t base = begin / 4 * 4;
    end = std::min(base + kWordsAtATime, past_last);
    static const RandomRun random_run = best_random_run();
    random_run(seed, epoch, stream, base / 4, static_cast<int64_t>(end - base + 3) / 4, room);
    words = room + (begin - base);
  }
};

}  // namespace

void portable_random_run(uint64_t seed, uint32_t epoch, Stream stream, uint64_t first, int64_t n, uint32_t* words) {
  for (int64_t i = 0; i < n; ++i) {
    std::copy_n(random_words(seed, epoch, stream, first + static_cast<uint64_t>(i), 0).word, 4, words + 4 * i);
  }
}

int64_t keep_tokens(const TokenRange& range, const uint32_t* keep_threshold, uint64_t seed, uint32_t epoch,
                    int32_t* kept, int64_t* kept_before) {
  const uint64_t past_last = range.first_position + static_cast<uint64_t>(range.tokens);
  int64_t count = 0, sentence = 0;
  for (uint64_t begin = range.first_position; begin < past_last;) {
    const RandomPart part(seed, epoch, Stream::keep, begin, past_last);
    for (uint64_t position = begin; position < part.end;) {
      for (; sentence < range.sentences && static_cast<uint64_t>(range.sentence_starts[sentence]) <= position;
           ++sentence) {
        kept_before[sentence] = count;
      }
      const uint64_t stop = sentence < range.sentences
                                ? std::min(part.end, static_cast<uint64_t>(range.sentence_starts[sentence]))
                                : part.end;
      for (; position < stop; ++position) {
        const int32_t id = range.ids[position - range.first_position];
        kept[count] = id;  // overwritten by the next where it is not kept: no branch to mispredict
        count += part.words[position - begin] <= keep_threshold[id];
      }
    }
    begin = part.end;
  }
  return count;
}

void fill_uniform(uint64_t first_element, int64_t n, int64_t dimensions, uint64_t seed, float* values) {
  const uint64_t past_last = first_element + static_cast<uint64_t>(n);
  for (uint64_t begin = first_element; begin < past_last;) {
    const RandomPart part(seed, 0, Stream::initial, begin, past_last);
    for (uint64_t i = 0; i < part.end - begin; ++i) {
      *values++ = (static_cast<float>(part.words[i] >> 8) * 0x1p-24f - 0.5f) / static_cast<float>(dimensions);
    }
    begin = part.end;
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
