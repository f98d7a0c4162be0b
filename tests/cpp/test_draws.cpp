// Draws: philox against its known answers, and every instruction set against the scalar draws, bit for bit.
#include <algorithm>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "cpu_variants.h"
#include "kernels/draws.h"

namespace pyembed {
namespace {

// Calls test(line) for each line of a file of tests/data that is no comment; there must be at least one.
template <class Test>
void for_each_line(const std::string& path, const Test& test) {
  std::FILE* file = std::fopen(path.c_str(), "r");
  CHECK(file != nullptr);
  int lines = 0;
  for (char line[512]; std::fgets(line, sizeof line, file);) {
    if (line[0] == '#') continue;
    test(line);
    ++lines;
  }
  std::fclose(file);
  CHECK(lines > 0);
}

void check_words(const Words4& words, const uint32_t (&expected)[4]) {
  for (int i = 0; i < 4; ++i) CHECK(words.word[i] == expected[i]);
}

void test_philox_gives_the_known_answers(const std::string& data) {
  for_each_line(data + "/philox.txt", [](const char* line) {
    Words4 counter;
    uint32_t key[2], expected[4];
    uint32_t* c = counter.word;
    CHECK(std::sscanf(line,
                      "%" SCNx32 " %" SCNx32 " %" SCNx32 " %" SCNx32 " %" SCNx32 " %" SCNx32 " %" SCNx32 " %" SCNx32
                      " %" SCNx32 " %" SCNx32,
                      &c[0], &c[1], &c[2], &c[3], &key[0], &key[1], &expected[0], &expected[1], &expected[2],
                      &expected[3]) == 10);
    check_words(philox(counter, key[0] | static_cast<uint64_t>(key[1]) << 32), expected);
  });
}

void test_random_words_never_change(const std::string& data) {
  for_each_line(data + "/draws.txt", [](const char* line) {
    uint64_t seed, index;
    uint32_t epoch, stream, slot, expected[4];
    CHECK(std::sscanf(line,
                      "%" SCNu64 " %" SCNu32 " %" SCNu32 " %" SCNu64 " %" SCNu32 " %" SCNx32 " %" SCNx32 " %" SCNx32
                      " %" SCNx32,
                      &seed, &epoch, &stream, &index, &slot, &expected[0], &expected[1], &expected[2],
                      &expected[3]) == 9);
    check_words(random_words(seed, epoch, static_cast<Stream>(stream), index, slot), expected);
  });
}

// The draws of `count` windows from position `first` on, each array with not an element more than promised.
void check_windows(const CpuKernels& kernels, const Draws& draws, uint64_t first, int64_t count,
                   const std::vector<int32_t>& centers) {
  const size_t N = 1 + static_cast<size_t>(draws.negative), windows = static_cast<size_t>(count);
  std::vector<uint64_t> lanes(N * 8);
  std::vector<int32_t> radius(windows), outputs(windows * N);
  std::vector<uint8_t> repeated(windows, 2);
  kernels.draw_windows(draws, first, count, centers.data(), lanes.data(), radius.data(), outputs.data(),
                       repeated.data());
  std::vector<int32_t> expected(N);
  for (size_t w = 0; w < windows; ++w) {
    CHECK(radius[w] == window_radius(draws, first + w));
    expected[0] = centers[w];
    negative_ids(draws, first + w, 0, expected.data() + 1);
    CHECK(std::equal(expected.begin(), expected.end(), outputs.begin() + static_cast<int64_t>(w * N)));
    std::sort(expected.begin(), expected.end());
    CHECK(repeated[w] == (std::adjacent_find(expected.begin(), expected.end()) != expected.end()));
  }
}

void test_every_instruction_set_draws_the_same_bits(const CpuKernels& kernels) {
  std::mt19937 random(11);
  constexpr uint32_t kLargest = 100'000;
  const std::vector<uint32_t> large = random_alias_table(kLargest, random);
  for (const uint64_t near : {uint64_t{8}, uint64_t{1} << 32, uint64_t{1} << 40, uint64_t{1} << 62}) {
    for (int64_t count = 1; count <= 70; ++count) {
      const uint32_t tiny = 1 + random() % 5;
      const std::vector<uint32_t> small = random_alias_table(tiny, random);
      const bool repeats = count % 3 == 0;  // most windows draw something twice
      const std::vector<uint32_t>& table = repeats ? small : large;
      const uint32_t vocabulary = repeats ? tiny : kLargest;
      const int window = 1 + static_cast<int>(count % 10), negative = 1 + static_cast<int>(random() % 20);
      const uint64_t seed = random() | static_cast<uint64_t>(random()) << 31;
      const Draws draws{table.data(),  vocabulary, window, negative, kPerWindow, seed, static_cast<uint32_t>(random()),
                        count % 4 != 0};
      std::vector<int32_t> centers(static_cast<size_t>(count));
      for (int32_t& center : centers) center = static_cast<int32_t>(random() % vocabulary);
      check_windows(kernels, draws, near - 8 + random() % 16, count, centers);
    }
  }
}

void test_the_largest_window_and_number_of_negatives(const CpuKernels& kernels) {
  std::mt19937 random(12);
  const std::vector<uint32_t> table = random_alias_table(500, random);
  check_windows(kernels, {table.data(), 500, 1000, 1000, kPerWindow, 3, 4}, 1'000'001, 9,
                {0, 1, 2, 3, 4, 5, 6, 7, 499});
}

}  // namespace
}  // namespace pyembed

// Takes the folder tests/data.
int main(int argc, char** argv) {
  CHECK(argc == 2);
  pyembed::test_philox_gives_the_known_answers(argv[1]);
  pyembed::test_random_words_never_change(argv[1]);
  for (const pyembed::CpuKernels* kernels : pyembed::cpu_variants()) {
    pyembed::test_every_instruction_set_draws_the_same_bits(*kernels);
    pyembed::test_the_largest_window_and_number_of_negatives(*kernels);
  }
  pyembed::print_variants("draws");
}
