// The CUDA kernels that draw, check and subsample, under the execution shim: bit for bit what the headers that CPU and
// CUDA share say, one number at a time.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <random>
#include <vector>

#include "cuda_case.h"

namespace pyembed {
namespace {

constexpr int32_t kUnwritten = -77;

void test_windows_are_drawn_bit_for_bit() {
  std::mt19937 random(41);
  for (const Shape& shape :
       std::vector<Shape>{{1, 1, 1}, {10, 20, 1}, {5, 5, 7}, {4, 3, kPerPair}, {7, 8, 1000}, {6, 2, 1, false}}) {
    for (const uint32_t V : {1u, 3u, 5000u}) {
      for (const uint64_t first : {uint64_t{0}, (uint64_t{1} << 32) - 100, (uint64_t{1} << 40) - 99}) {
        const Case example(shape, V, 300, 5, first, random);
        const Draws& draws = example.draws;
        const int64_t B = example.block.center_end - example.block.center_begin;
        const int64_t lists = shape.sharing == kPerPair ? 2 * shape.window : 1, N = 1 + shape.negative;
        std::vector<int32_t> radius(static_cast<size_t>(B), kUnwritten),
            outputs(static_cast<size_t>(B * lists * N), kUnwritten), expected(static_cast<size_t>(N));
        check_launched(launch_draw_windows(example.block, draws, radius.data(), outputs.data(), nullptr));
        for (int64_t i = 0; i < B; ++i) {
          const int64_t center = example.block.center_begin + i;
          const uint64_t position = first + static_cast<uint64_t>(center);
          CHECK(radius[static_cast<size_t>(i)] == window_radius(draws, position));
          for (int64_t c = 0; c < lists; ++c) {
            expected[0] = example.block.ids[center];
            negative_ids(draws, position, c, expected.data() + 1);
            CHECK(std::equal(expected.begin(), expected.end(), outputs.begin() + (i * lists + c) * N));
          }
        }
        std::vector<int32_t> ids(static_cast<size_t>(B * draws.negative), kUnwritten);
        check_launched(launch_draw_negatives(draws, first, B, ids.data(), nullptr));
        for (int64_t i = 0; i < B; ++i) {
          negative_ids(draws, first + static_cast<uint64_t>(i), 0, expected.data());
          CHECK(std::equal(expected.begin(), expected.end() - 1, ids.begin() + i * draws.negative));
        }
      }
    }
  }
}

void test_the_first_bad_index_of_a_block_is_found() {
  std::mt19937 random(42);
  Case example({2, 2, 1}, 50, 700, 0, 0, random);
  std::vector<int32_t>& ids = example.corpus.ids;
  std::vector<int64_t>& starts = example.corpus.sentence_starts;
  const auto check = [&](int64_t token, int64_t start, int64_t alias) {
    int64_t bad[3] = {0, 0, 0};
    check_launched(launch_check_block(example.block, example.draws, bad, nullptr));
    CHECK(bad[0] == token && bad[1] == start && bad[2] == alias);
  };
  check(-1, -1, -1);
  ids[650] = 50;
  ids[432] = -1;
  check(432, -1, -1);
  example.alias_table[2 * 31 + 1] = 50;
  check(432, -1, 31);
  const auto last = static_cast<int64_t>(starts.size()) - 1;
  ++starts.back();
  check(432, last, 31);
  starts[3] = starts[2] - 1;
  check(432, 3, 31);
  starts[0] = 1;
  check(432, 0, 31);
}

void test_tokens_are_kept_bit_for_bit() {
  std::mt19937 random(43);
  for (const int64_t T : {0, 1, 2, 1000, 5000}) {
    for (const uint64_t first : {uint64_t{0}, uint64_t{3}, (uint64_t{1} << 32) - 1001, (uint64_t{1} << 40) - 2}) {
      const uint32_t V = 40;
      const std::vector<int32_t> ids = random_ids(T, V, random);
      std::vector<uint32_t> threshold(V);
      for (uint32_t& t : threshold) t = static_cast<uint32_t>(random());
      threshold[1] = 0xFFFFFFFFu;
      std::vector<int64_t> starts(T > 0 ? 60 : 0);  // some at the same place
      for (int64_t& start : starts) start = static_cast<int64_t>(first + random() % static_cast<uint64_t>(T));
      std::sort(starts.begin(), starts.end());
      const RawTokens tokens{
          ids.data(), T, first, starts.data(), static_cast<int64_t>(starts.size()), threshold.data(), V, random(), 3};
      std::vector<int32_t> kept(static_cast<size_t>(T), kUnwritten);
      std::vector<int64_t> before(starts.size()), scratch(static_cast<size_t>(keep_scratch_size(tokens)));
      int64_t found[3];
      simt::set_seed(random());
      check_launched(launch_keep_tokens(tokens, kept.data(), before.data(), scratch.data(), found, nullptr));
      size_t count = 0, sentence = 0;
      for (int64_t t = 0; t <= T; ++t) {
        const uint64_t position = first + static_cast<uint64_t>(t);
        for (; sentence < starts.size() && static_cast<uint64_t>(starts[sentence]) == position; ++sentence) {
          CHECK(before[sentence] == static_cast<int64_t>(count));
        }
        if (t == T) break;
        const int32_t id = ids[static_cast<size_t>(t)];
        const Words4 words = random_words(tokens.seed, tokens.epoch, Stream::keep, position >> 2, 0);
        if (words.word[position & 3] <= threshold[static_cast<size_t>(id)]) CHECK(kept[count++] == id);
      }
      CHECK(sentence == starts.size());
      CHECK(found[0] == static_cast<int64_t>(count) && found[1] == -1 && found[2] == -1);
    }
  }
}

void test_bad_tokens_and_sentence_starts_are_found() {
  std::mt19937 random(44);
  std::vector<int32_t> ids = random_ids(900, 20, random), kept(900);
  std::vector<int64_t> starts{7, 50, 50, 906}, before(4);
  const std::vector<uint32_t> threshold(20, 0xFFFFFFFFu);
  const RawTokens tokens{ids.data(), 900, 7, starts.data(), 4, threshold.data(), 20, 1, 0};
  std::vector<int64_t> scratch(static_cast<size_t>(keep_scratch_size(tokens)));
  const auto check = [&](int64_t token, int64_t start) {
    int64_t found[3];
    check_launched(launch_keep_tokens(tokens, kept.data(), before.data(), scratch.data(), found, nullptr));
    CHECK(found[1] == token && found[2] == start);
  };
  check(-1, -1);
  starts[3] = 907;
  check(-1, 3);
  starts[2] = 49;
  check(-1, 2);
  starts[0] = 6;
  check(-1, 0);
  ids[800] = 20;
  ids[700] = -1;
  check(700, 0);
}

}  // namespace
}  // namespace pyembed

int main() {
  pyembed::test_windows_are_drawn_bit_for_bit();
  pyembed::test_the_first_bad_index_of_a_block_is_found();
  pyembed::test_tokens_are_kept_bit_for_bit();
  pyembed::test_bad_tokens_and_sentence_starts_are_found();
  std::printf("CUDA draws: all promises hold\n");
}
