// Explicit pairs: every instruction set against plain loops in double, for every shape of pair, row and batch.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "check.h"
#include "cpu_variants.h"
#include "kernels/pairs_plan.h"
#include "step_case.h"

namespace pyembed {
namespace {

constexpr double kRate = 0.05, kTolerance = 1e-5;  // of elements whose magnitude is about 1

struct Batch {
  std::vector<int32_t> in_ids, out_ids;
  int outputs;

  Batch(int64_t pairs, int outputs, uint32_t in_rows, uint32_t out_rows, std::mt19937& random)
      : in_ids(random_ids(pairs, in_rows, random)),
        out_ids(random_ids(pairs * outputs, out_rows, random)),
        outputs(outputs) {}
  PairIds view() const { return {in_ids.data(), out_ids.data(), static_cast<int64_t>(in_ids.size()), outputs}; }
};

// What the pairs [begin, end) do to `write`, as `read` says; returns the loss.
double plain_step(const Batch& batch, int64_t begin, int64_t end, const TablePair<double>& read,
                  TablePair<double>& write) {
  double loss = 0;
  const int64_t D = read.in.dimensions();
  for (int64_t b = begin; b < end; ++b) {
    const int32_t in = batch.in_ids[static_cast<size_t>(b)];
    const int32_t* const outputs = batch.out_ids.data() + b * batch.outputs;
    for (int n = 0; n < batch.outputs; ++n) {
      if (n > 0 && outputs[n] == outputs[0]) continue;
      double score = 0;
      for (int64_t d = 0; d < D; ++d) score += read.in.at(in, d) * read.out.at(outputs[n], d);
      loss += softplus(n == 0 ? -score : score);
      const double size = kRate * ((n == 0 ? 1 : 0) - sigmoid(score));
      for (int64_t d = 0; d < D; ++d) {
        write.in.at(in, d) += size * read.out.at(outputs[n], d);
        write.out.at(outputs[n], d) += size * read.in.at(in, d);
      }
    }
  }
  return loss;
}

// An exact step as so many threads would share it, all memory no larger than promised and full of NaN.
template <class Real>
double exact_step(const PairKernels<Real>& kernels, const Batch& ids, const Tables<Real>& tables, int64_t in_rows,
                  bool delayed, int64_t threads) {
  const PairIds pairs = ids.view();
  const PairPlan plan = pair_plan(pairs.count, threads);
  const int64_t stride = pair_stride(tables.dimensions);
  const auto B = static_cast<size_t>(pairs.count);
  std::vector<uint64_t> keys(B), spare(B);
  std::vector<int32_t> segments(B + 1);
  std::vector<int64_t> piece_starts(static_cast<size_t>(plan.pieces) + 1);
  std::vector<uint32_t> cursors(static_cast<size_t>(plan.pieces * plan.cursor_stride()));
  std::vector<OutUpdate<Real>> updates(B * static_cast<size_t>(pairs.outputs));
  const Real nan = std::numeric_limits<Real>::quiet_NaN();
  const uint64_t* const order = sort_pairs(pairs, in_rows, keys.data(), spare.data());
  CHECK(std::is_sorted(order, order + B));
  const int64_t U = find_segments(order, pairs.count, plan, segments.data(), piece_starts.data());
  CHECK(piece_starts.front() == 0 && piece_starts.back() == U);
  std::vector<Real> before(static_cast<size_t>(U * stride), nan), change(before);
  std::vector<Real> scratch(static_cast<size_t>(pair_scratch_size(tables.dimensions)), nan);
  const auto cursor = [&](int64_t piece) { return cursors.data() + piece * plan.cursor_stride(); };
  const auto start = [&](int64_t piece) { return piece_starts[static_cast<size_t>(piece)]; };
  const auto first_pair = [&](int64_t piece) { return segments[static_cast<size_t>(start(piece))]; };
  const ExactPairs<Real> batch{pairs,  order,          segments.data(), tables,
                               tables, kRate,          before.data(),   delayed ? change.data() : nullptr,
                               stride, updates.data(), plan.bucket_bits};
  double loss = 0;
  for (int64_t p = plan.pieces - 1; p >= 0; --p) {  // pieces may come in any order
    place_updates(pairs, order, first_pair(p), first_pair(p + 1), plan, cursor(p));
    loss += kernels.train_in_rows(batch, start(p), start(p + 1), cursor(p), scratch.data());
    CHECK(cursor(p)[plan.buckets() - 1] == static_cast<uint32_t>(first_pair(p + 1) * pairs.outputs));
  }
  for (int64_t bucket = 0; bucket < plan.buckets(); ++bucket) {
    for (int64_t p = 0; p < plan.pieces; ++p) {
      const auto begin = bucket > 0 ? cursor(p)[bucket - 1] : static_cast<uint32_t>(first_pair(p) * pairs.outputs);
      for (uint32_t i = begin; i < cursor(p)[bucket]; ++i) {
        CHECK(bucket_of(updates[i].id, plan.bucket_bits) == static_cast<uint32_t>(bucket));
      }
      kernels.train_out_rows(batch, begin, cursor(p)[bucket]);
    }
  }
  if (delayed) add_changes(batch, 0, U);
  return loss;
}

bool near(double found, double expected) { return std::abs(found - expected) <= 1e-5 * std::abs(expected) + 1e-12; }

template <class Real>
void check_exact(const PairKernels<Real>& kernels, const Batch& batch, const TablePair<float>& tables,
                 const TablePair<double>& expected, double loss, std::mt19937& random) {
  for (const bool delayed : {false, true}) {
    const int64_t threads = delayed ? 1 : 3;
    auto found = TablePair<Real>::copy(tables, random() % 20, random() % 20);
    CHECK(near(exact_step(kernels, batch, found.view(), tables.in.rows(), delayed, threads), loss));
    CHECK(largest_difference(found, expected) < kTolerance);
    found.in.check_padding();
    found.out.check_padding();
  }
}

void test_an_exact_step_equals_plain_loops_for_every_shape() {
  std::mt19937 random(31);
  for (const int64_t D : {1, 7, 16, 31, 100, 112, 128, 513}) {
    for (const int N : {1, 2, 3, 5, 6, 7, 13}) {
      for (const int64_t pairs : {1, 60, 900}) {
        // where hundreds of pairs meet in one row, float32 has more to add up than a few ulp
        const uint32_t least = pairs > 60 ? 50 : 1;
        const uint32_t in_rows = least + static_cast<uint32_t>(random() % 300);
        const uint32_t out_rows = least + static_cast<uint32_t>(random() % 300);
        const Batch batch(pairs, N, in_rows, out_rows, random);
        const TablePair<float> tables{random_tables(in_rows, D, 1, random).in,
                                      random_tables(out_rows, D, 1, random).in};
        const auto before = TablePair<double>::copy(tables, 0, 0);
        auto expected = before;
        const double loss = plain_step(batch, 0, pairs, before, expected);
        for (const CpuKernels* kernels : cpu_variants()) {
          check_exact(kernels->by_id.pairs, batch, tables, expected, loss, random);
          check_exact(kernels->by_id.double_pairs, batch, tables, expected, loss, random);
        }
      }
    }
  }
}

// Outputs of a pair are distinct, except that some negatives equal the first and are skipped.
void test_pairs_in_turn_equal_plain_loops() {
  std::mt19937 random(32);
  for (const int64_t D : {1, 16, 31, 100, 300}) {
    for (const int N : {1, 2, 5, 6, 7, 13}) {
      const uint32_t rows = 40;
      Batch batch(100, N, rows, rows, random);
      std::vector<int32_t> shuffled = cycling_ids(rows, rows);
      for (int64_t b = 0; b < 100; ++b) {
        std::shuffle(shuffled.begin(), shuffled.end(), random);
        int32_t* const outputs = batch.out_ids.data() + b * N;
        std::copy_n(shuffled.begin(), N, outputs);
        if (N > 1 && b % 3 == 0) outputs[1 + b % (N - 1)] = outputs[0];
      }
      const TablePair<float> tables = random_tables(rows, D, 1, random);
      auto expected = TablePair<double>::copy(tables, 0, 0);
      double loss = 0;
      for (int64_t b = 0; b < 100; ++b) {
        const auto before = expected;
        loss += plain_step(batch, b, b + 1, before, expected);
      }
      for (const CpuKernels* kernels : cpu_variants()) {
        const auto check = [&](const auto& pair_kernels, auto element) {
          using Real = decltype(element);
          auto found = TablePair<Real>::copy(tables, random() % 20, random() % 20);
          std::vector<Real> scratch(static_cast<size_t>(pair_scratch_size(D)), std::numeric_limits<Real>::quiet_NaN());
          double sum = 0;
          for (const int64_t begin : {0, 30, 31}) {
            const int64_t end = begin == 0 ? 30 : begin == 30 ? 31 : 100;
            sum += pair_kernels.train_in_turn(batch.view(), found.view(), kRate, begin, end, scratch.data());
          }
          CHECK(near(sum, loss));
          CHECK(largest_difference(found, expected) < kTolerance);
          found.in.check_padding();
          found.out.check_padding();
        };
        check(kernels->by_id.pairs, float{});
        check(kernels->by_id.double_pairs, double{});
      }
    }
  }
}

void test_every_instruction_set_draws_the_same_negatives() {
  std::mt19937 random(33);
  const std::vector<uint32_t> table = random_alias_table(1000, random);
  for (const uint64_t first : {uint64_t{0}, (uint64_t{1} << 32) - 9, uint64_t{1} << 62}) {
    for (int K = 1; K <= 20; ++K) {
      const Draws draws{table.data(), 1000, 1, K, kPerWindow, random(), static_cast<uint32_t>(random())};
      for (const CpuKernels* kernels : cpu_variants()) {
        const int64_t count = static_cast<int64_t>(random() % 40);
        std::vector<int32_t> found(static_cast<size_t>(count * K)), expected(static_cast<size_t>(K));
        kernels->draw_negatives(draws, first, count, found.data());
        for (int64_t i = 0; i < count; ++i) {
          negative_ids(draws, first + static_cast<uint64_t>(i), 0, expected.data());
          CHECK(std::equal(expected.begin(), expected.end(), found.begin() + i * K));
        }
      }
    }
  }
}

}  // namespace
}  // namespace pyembed

int main() {
  pyembed::test_an_exact_step_equals_plain_loops_for_every_shape();
  pyembed::test_pairs_in_turn_equal_plain_loops();
  pyembed::test_every_instruction_set_draws_the_same_negatives();
  pyembed::print_variants("pairs");
}
