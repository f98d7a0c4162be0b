// Promises of random runs: the words that philox gives one index after the other, however many are made at a time.
#include <cstdint>
#include <vector>

#include "check.h"
#include "text/random_run.h"

namespace {

using pyembed::Stream;

void test_a_run_holds_the_words_of_its_indices(pyembed::RandomRun random_run) {
  constexpr uint32_t kUntouched = 0xDEADBEEF;
  for (const uint64_t seed : {uint64_t{1}, uint64_t{0xFEDCBA9876543210}}) {
    for (const uint64_t first : {uint64_t{0}, uint64_t{5}, (uint64_t{1} << 32) - 3, uint64_t{1} << 40}) {
      for (int64_t n = 0; n <= 33; ++n) {
        std::vector<uint32_t> words(static_cast<size_t>((n + 7) / 8 * 8 * 4 + 1), kUntouched);
        random_run(seed, 7, Stream::initial, first, n, words.data());
        for (int64_t i = 0; i < n; ++i) {
          const auto index = first + static_cast<uint64_t>(i);
          const pyembed::Words4 expected = pyembed::random_words(seed, 7, Stream::initial, index, 0);
          for (int j = 0; j < 4; ++j) CHECK(words[static_cast<size_t>(4 * i + j)] == expected.word[j]);
        }
        CHECK(words.back() == kUntouched);
      }
    }
  }
}

}  // namespace

int main() {
  test_a_run_holds_the_words_of_its_indices(pyembed::portable_random_run);
  if (const auto avx512 = pyembed::avx512_random_run()) test_a_run_holds_the_words_of_its_indices(avx512);
  return 0;
}
