// Searches in tables of exactly their size, by every instruction set that there is here and any number of threads,
// against a slow twin: made for the sanitizers.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "check.h"
#include "vectors/row_scores.h"
#include "vectors/search.h"

namespace {

using namespace pyembed;

constexpr float kNever = std::numeric_limits<float>::infinity();

// Whole numbers, whose sums are exact in any order, so that equal scores are equal everywhere.
struct Case {
  int64_t rows, dimensions, queries, stride;
  std::vector<float> floats, asked;
  std::vector<int8_t> bytes;
  std::vector<int64_t> starts{0}, excluded;

  Case(std::mt19937& random, int64_t rows, int64_t dimensions, int64_t queries)
      : rows(rows), dimensions(dimensions), queries(queries), stride(dimensions + random() % 3) {
    // The last row ends where its memory does.
    floats.resize(static_cast<size_t>((rows - 1) * stride + dimensions));
    for (float& x : floats) x = static_cast<float>(random() % 5) - 2;
    for (const float x : floats) bytes.push_back(static_cast<int8_t>(x));
    asked.resize(static_cast<size_t>(queries * dimensions));
    for (float& x : asked) x = static_cast<float>(random() % 3) - 1;
    for (int64_t query = 0; query < queries; ++query) {
      std::vector<int64_t> some;
      for (unsigned n = random() % 3; n > 0; --n) some.push_back(static_cast<int64_t>(random()) % rows);
      std::sort(some.begin(), some.end());
      excluded.insert(excluded.end(), some.begin(), some.end());
      starts.push_back(static_cast<int64_t>(excluded.size()));
    }
  }

  VectorTable table(bool as_bytes) const {
    return {as_bytes ? nullptr : floats.data(), as_bytes ? bytes.data() : nullptr, stride, rows, dimensions};
  }
  VectorQueries cosines() const { return {asked.data(), nullptr, 1, 0, queries, false}; }
  ExcludedRows barred() const { return {starts.data(), excluded.data()}; }

  bool is_barred(int64_t query, int64_t row) const {
    const auto first = excluded.begin() + starts[static_cast<size_t>(query)];
    const auto last = excluded.begin() + starts[static_cast<size_t>(query) + 1];
    return std::find(first, last, row) != last;
  }
};

std::vector<float> scores_of(const Case& made, const VectorQueries& queries, bool as_bytes, size_t threads) {
  std::vector<float> scores(static_cast<size_t>(made.queries * made.rows));
  score_all(made.table(as_bytes), queries, threads, scores.data());
  return scores;
}

void scores_equal_their_definition() {
  std::mt19937 random(1);
  for (const int64_t queries : {1, 3, 4, 16, 33, 65, 100}) {
    for (const int64_t dimensions : {1, 4, 15, 17, 50}) {
      const Case made(random, 1 + static_cast<int64_t>(random() % 120), dimensions, queries);
      const std::vector<float> scores = scores_of(made, made.cosines(), false, 2);
      for (int64_t query = 0; query < queries; ++query) {
        for (int64_t row = 0; row < made.rows; ++row) {
          double dot = 0, squares = 0;
          for (int64_t d = 0; d < dimensions; ++d) {
            const double x = made.floats[static_cast<size_t>(row * made.stride + d)];
            dot += x * made.asked[static_cast<size_t>(query * dimensions + d)];
            squares += x * x;
          }
          const double expected = squares == 0 ? 0 : dot / std::sqrt(squares);
          CHECK(std::fabs(scores[static_cast<size_t>(query * made.rows + row)] - expected) < 1e-5);
        }
      }
    }
  }
}

void the_best_rows_are_those_of_all_scores_sorted() {
  std::mt19937 random(2);
  for (int i = 0; i < 60; ++i) {
    const Case made(random, 1 + static_cast<int64_t>(random() % 700), 1 + static_cast<int64_t>(random() % 20),
                    1 + static_cast<int64_t>(random() % 90));
    const bool as_bytes = random() % 2 == 0;
    const std::vector<float> scores = scores_of(made, made.cosines(), as_bytes, 1);
    const int64_t k = 1 + static_cast<int64_t>(random() % 12);
    const auto size = static_cast<size_t>(made.queries * k);
    std::vector<int64_t> found(size);
    std::vector<float> best(size);
    find_nearest(made.table(as_bytes), made.cosines(), made.barred(), k, 3, found.data(), best.data());
    for (int64_t query = 0; query < made.queries; ++query) {
      const float* const score = scores.data() + query * made.rows;
      std::vector<int64_t> order(static_cast<size_t>(made.rows));
      std::iota(order.begin(), order.end(), int64_t{0});
      order.erase(std::remove_if(order.begin(), order.end(), [&](int64_t row) { return made.is_barred(query, row); }),
                  order.end());
      std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return score[a] > score[b]; });
      for (int64_t place = 0; place < k; ++place) {
        const auto at = static_cast<size_t>(query * k + place);
        if (place < static_cast<int64_t>(order.size())) {
          CHECK(found[at] == order[static_cast<size_t>(place)] && best[at] == score[found[at]]);
        } else {
          CHECK(found[at] == 0 && best[at] == -kNever);
        }
      }
    }
  }
}

void unbeaten_queries_are_those_above_all_scores() {
  std::mt19937 random(3);
  int64_t standing = 0, fallen = 0;
  for (int i = 0; i < 60; ++i) {
    const Case made(random, 1 + static_cast<int64_t>(random() % 3000), 1 + static_cast<int64_t>(random() % 40),
                    1 + static_cast<int64_t>(random() % 90));
    const std::vector<float> scores = scores_of(made, made.cosines(), false, 1);
    std::vector<float> bars;
    for (int64_t query = 0; query < made.queries; ++query) bars.push_back(static_cast<float>(random() % 5));
    std::vector<uint8_t> stands(static_cast<size_t>(made.queries));
    find_unbeaten(made.table(false), made.cosines(), made.barred(), bars.data(), 3, stands.data());
    for (int64_t query = 0; query < made.queries; ++query) {
      bool expected = true;
      for (int64_t row = 0; row < made.rows; ++row) {
        const float score = scores[static_cast<size_t>(query * made.rows + row)];
        if (score > bars[static_cast<size_t>(query)] && !made.is_barred(query, row)) expected = false;
      }
      CHECK(stands[static_cast<size_t>(query)] == expected);
      (expected ? standing : fallen) += 1;
    }
  }
  CHECK(standing > 0 && fallen > 0);
}

void instruction_sets_agree() {
  std::mt19937 random(4);
  for (const RowScores* set : {avx512_row_scores(), avx2_row_scores(), plain_row_scores()}) {
    if (set == nullptr) continue;
    for (const int64_t rows : {1, 5, 12, 47, 48}) {
      const Case made(random, rows, 1 + static_cast<int64_t>(random() % 40), kPanel);
      const RowBlock block{made.floats.data(), made.stride, rows, made.dimensions};
      const RowScores& plain = *plain_row_scores();
      std::vector<float> inverses(static_cast<size_t>(rows)), expected(inverses);
      set->inverse_lengths(block, inverses.data());
      plain.inverse_lengths(block, expected.data());
      CHECK(inverses == expected);
      std::vector<float> found(static_cast<size_t>(rows * kPanel)), same(found);
      set->panel_cosines(block, made.asked.data(), inverses.data(), found.data());
      plain.panel_cosines(block, made.asked.data(), inverses.data(), same.data());
      CHECK(found == same);
      set->narrow_cosines(block, made.asked.data(), inverses.data(), found.data());
      plain.narrow_cosines(block, made.asked.data(), inverses.data(), same.data());
      CHECK(found == same);
      set->cosines(block, made.asked.data(), inverses.data(), found.data());
      plain.cosines(block, made.asked.data(), inverses.data(), same.data());
      CHECK(found == same);
      const std::vector<float> bars(kPanel, 0.5f);
      std::vector<int32_t> places(found.size()), other(found.size());
      CHECK(set->above(found.data(), rows, kPanel, bars.data(), places.data()) ==
            plain.above(found.data(), rows, kPanel, bars.data(), other.data()));
      CHECK(places == other);
    }
  }
}

void rows_without_numbers_are_not_found() {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> rows{nan, 1, kNever, 1, 0, 0, 3e38f, 3e38f, 0, 1};
  const std::vector<float> query{0, 1};
  const VectorQueries queries{query.data(), nullptr, 1, 0, 1, false};
  const std::vector<int64_t> starts{0, 0};
  int64_t found[4];
  float scores[4];
  find_nearest({rows.data(), nullptr, 2, 5, 2}, queries, {starts.data(), nullptr}, 4, 1, found, scores);
  CHECK(found[0] == 4 && scores[0] == 1 && found[1] == 2 && scores[1] == 0 && scores[2] == -kNever);
}

void lengths_are_those_of_rows_whose_squares_leave_the_range_of_float() {
  const std::vector<float> rows{1e30f, 0, 0, 1e-30f, 3, 4, 0, 0, 1e-44f, 0};
  for (const RowScores* set : {avx512_row_scores(), avx2_row_scores(), plain_row_scores()}) {
    if (set == nullptr) continue;
    float inverses[5];
    set->inverse_lengths({rows.data(), 2, 5, 2}, inverses);
    CHECK(inverses[0] == 1e-30f && inverses[1] == 1e30f && inverses[2] == 0.2f && inverses[3] == 1);
    CHECK(std::isfinite(inverses[4]));
  }
}

}  // namespace

int main() {
  scores_equal_their_definition();
  the_best_rows_are_those_of_all_scores_sorted();
  unbeaten_queries_are_those_above_all_scores();
  instruction_sets_agree();
  rows_without_numbers_are_not_found();
  lengths_are_those_of_rows_whose_squares_leave_the_range_of_float();
  std::puts("ok");
}
