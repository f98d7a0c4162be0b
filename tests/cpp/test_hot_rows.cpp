// Copies of hot rows: what threads change arrives in the table once, whatever their number; one thread has none.
#include "binding/threads.h"
#include "step_case.h"

namespace pyembed {
namespace {

constexpr int64_t kWords = 60, kRows = 200, kColumns = 70, kTokens = 200000;  // all words are hot, and the last rows

float* row_of(float* table, int64_t stride, const HotRows<float>& hot, int64_t id) {
  const int64_t copy = id - hot.first;
  return copy >= 0 && copy < hot.count ? hot.copies + copy * hot.stride : table + id * stride;
}

// Each center adds whole numbers, whose sums are exact, to a column of its row of either table.
void test_changes_of_all_threads_arrive_once() {
  std::mt19937 random(1);
  const Corpus corpus(random_ids(kTokens, kWords, random), random);
  for (const int64_t threads : {1, 2, 3, 5, 16}) {
    for (const double rate : {1e-9, 0.1}) {  // merged seldom and often
      TablePair<float> tables{PaddedTable<float>(kWords, kColumns, kColumns + 3),
                              PaddedTable<float>(kRows, kColumns, kColumns + 5)};
      tables.in.fill_uniformly(0, random);
      tables.out.fill_uniformly(0, random);
      TablePair<float> expected = tables;
      const auto column = [](int64_t center) { return center % kColumns; };
      for (int64_t center = 1; center < kTokens; ++center) {
        expected.in.at(corpus.ids[static_cast<size_t>(center)], column(center)) += 1;
        expected.out.at(kRows - 1 - corpus.ids[static_cast<size_t>(center)], column(center)) -= 2;
      }
      const TokenBlock block = corpus.block(1, kTokens);
      const LossSum sum =
          over_centers(block, threads, 64, tables.view(), frequent_words(block, kWords, 6), nodes_near_the_root(kRows),
                       {rate, 0}, [&](const Tables<float>& own, int64_t begin, int64_t end, void*) {
                         CHECK(own.hot_in.count == (threads > 1 ? kWords : 0));
                         CHECK(own.hot_out.count == (threads > 1 ? kHotRows : 0));
                         for (int64_t center = begin; center < end; ++center) {
                           const int64_t id = block.ids[center], node = kRows - 1 - id;
                           row_of(own.in, own.in_stride, own.hot_in, id)[column(center)] += 1;
                           row_of(own.out, own.out_stride, own.hot_out, node)[column(center)] -= 2;
                         }
                         return LossSum{0, end - begin};
                       });
      CHECK(sum.pairs == kTokens - 1);
      CHECK(largest_difference(tables, expected) == 0);
      tables.in.check_padding();
      tables.out.check_padding();
    }
  }
}

constexpr HotGroup kOnlyRow{0, 1, 1};

// Two threads by turns, on one row.
void test_a_merge_adds_what_one_thread_changed_to_what_the_other_did() {
  std::vector<float> row{1, 2, 3};
  SharedRows<float> shared(row.data(), 3, 3, {0, 1, {}});
  HotCopies<float> one(shared, 0, 2), other(shared, 1, 2);
  one.open();
  other.open();
  one.rows().copies[0] = 1.5f;
  other.rows().copies[0] += 4;
  other.rows().copies[1] = 1e-30f;
  one.merge(kOnlyRow);
  CHECK(row == (std::vector<float>{1.5f, 2, 3}));
  other.merge(kOnlyRow);
  CHECK(row == (std::vector<float>{5.5f, 1e-30f, 3}));  // what nobody else has changed is taken as it is
  CHECK(std::equal(row.begin(), row.end(), other.rows().copies));
  one.merge(kOnlyRow);
  CHECK(row == (std::vector<float>{5.5f, 1e-30f, 3}));
  CHECK(std::equal(row.begin(), row.end(), one.rows().copies));
}

void test_merged_bfloat16_are_rounded_to_the_nearest() {
  const auto half = [](float value) { return round_stochastically(value, 0); };
  std::vector<BFloat16> row{half(256), half(256), half(256), half(1), BFloat16{0x7FFF}};
  SharedRows<BFloat16> shared(row.data(), 5, 5, {0, 1, {}});
  HotCopies<BFloat16> one(shared, 0, 2), other(shared, 1, 2);
  one.open();
  other.open();
  for (int d = 0; d < 3; ++d) one.rows().copies[d] = half(1);  // 255 less
  one.merge(kOnlyRow);
  const float others[] = {258, 260, 256};
  for (int d = 0; d < 3; ++d) other.rows().copies[d] = half(others[d]);
  other.rows().copies[3] = half(3);
  other.merge(kOnlyRow);
  const float expected[] = {3, 5, 1, 3};
  for (int d = 0; d < 4; ++d) CHECK(value_of(row[static_cast<size_t>(d)]) == expected[d]);
  CHECK(row[4].bits == 0x7FFF);

  row[0] = half(256);
  one.open();
  row[0] = half(512);  // whose neighbours lie 4 apart
  one.rows().copies[0] = half(258);
  one.merge(kOnlyRow);
  CHECK(value_of(row[0]) == 512);  // of 512 and 516 the even one
  row[0] = half(256);
  one.open();
  row[0] = half(516);
  one.rows().copies[0] = half(258);
  one.merge(kOnlyRow);
  CHECK(value_of(row[0]) == 520);
}

void test_rows_trained_often_are_merged_often() {
  const HotGroup seldom{0, 64, 0.01}, often{0, 64, 1};
  const LearningRate rate{0.025, 0.02};
  CHECK(windows_until_merge(often, 2, rate) < windows_until_merge(seldom, 2, rate));
  CHECK(windows_until_merge(often, 16, rate) < windows_until_merge(often, 2, rate));
  CHECK(windows_until_merge(often, 2, rate) < windows_until_merge(often, 2, {0.001, 0.002}));
  for (const double trainings : {0.0, 1e-9, 1e9}) {
    for (const double any : {0.0, 1.0, 1e30}) {
      const int64_t windows = windows_until_merge({0, 64, trainings}, 4096, {any, 0});
      CHECK(windows >= 1 && windows <= 8192);
    }
  }
}

}  // namespace
}  // namespace pyembed

int main() {
  pyembed::test_changes_of_all_threads_arrive_once();
  pyembed::test_a_merge_adds_what_one_thread_changed_to_what_the_other_did();
  pyembed::test_merged_bfloat16_are_rounded_to_the_nearest();
  pyembed::test_rows_trained_often_are_merged_often();
  std::printf("hot rows: all promises hold\n");
}
