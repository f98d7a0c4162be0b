// The CUDA kernels of rows and of explicit pairs under the execution shim, against plain loops in double: every order
// in which lanes, warps and blocks may run leads to the same bits, where that is promised. With the argument "quick", a
// choice of the cases.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "kernels/cuda/row_launches.h"
#include "simt.h"

namespace pyembed {
namespace {

bool quick = false;

void check_launched(cudaError_t error) {
  if (error != cudaSuccess) std::fprintf(stderr, "%s\n", cudaGetErrorString(error));
  CHECK(error == cudaSuccess);
}

template <class Real>
std::vector<Real> random_values(size_t count, double size, std::mt19937& random) {
  std::vector<Real> values(count);
  for (Real& value : values) value = static_cast<Real>(size * (random() / 2147483648.0 - 1));
  return values;
}

std::vector<int32_t> random_ids(size_t count, uint32_t rows, std::mt19937& random) {
  std::vector<int32_t> ids(count);
  for (int32_t& id : ids) id = static_cast<int32_t>(random() % 3 == 0 ? 0 : random() % rows);  // row 0 is everybody's
  return ids;
}

// Ids in ascending order, and memory for their sums.
template <class Real>
class Sorted {
 public:
  Sorted(const std::vector<int32_t>& given, int64_t dimensions) : ids_(given.size()), order_(given.size()) {
    std::iota(order_.begin(), order_.end(), 0);
    const auto at = [&](int64_t i) { return given[static_cast<size_t>(i)]; };
    std::stable_sort(order_.begin(), order_.end(), [&](int64_t a, int64_t b) { return at(a) < at(b); });
    std::transform(order_.begin(), order_.end(), ids_.begin(), at);
    const auto slots = static_cast<size_t>(segment_slots(static_cast<int64_t>(given.size())));
    slot_ids_.resize(slots);
    sums_.assign(slots * static_cast<size_t>(padded_columns(dimensions)), std::numeric_limits<Real>::quiet_NaN());
    scratch = {slot_ids_.data(), sums_.data(), padded_columns(dimensions)};
    rows = {ids_.data(), order_.data(), static_cast<int64_t>(given.size())};
  }

  SortedRows rows;
  SegmentScratch<Real> scratch;

 private:
  std::vector<int32_t> ids_, slot_ids_;
  std::vector<int64_t> order_;
  std::vector<Real> sums_;
};

template <class Real>
void check_close(const std::vector<Real>& found, const std::vector<double>& expected, double tolerance) {
  for (size_t i = 0; i < found.size(); ++i) CHECK(std::fabs(static_cast<double>(found[i]) - expected[i]) < tolerance);
}

// --- Rows ---

// Steps the optimiser on a table whose rows lie apart, behind a row that is none of its own. Two neighbouring entries
// share a row of the gradient.
void check_update(const RowStep& step, const std::vector<int32_t>& ids, int64_t D, std::mt19937& random) {
  constexpr int64_t V = 40, kPadding = 4;
  const int64_t stride = D + kPadding;
  const auto at = [&](int64_t row, int64_t d) { return static_cast<size_t>((1 + row) * stride + d); };
  const auto gradient = random_values<float>((ids.size() + 1) / 2 * static_cast<size_t>(D), 1, random);
  const auto factors = random_values<float>(ids.size(), 1, random);
  std::vector<int32_t> bags(ids.size());
  for (size_t i = 0; i < bags.size(); ++i) bags[i] = static_cast<int32_t>(i / 2);
  const auto before = random_values<float>(static_cast<size_t>((1 + V) * stride), 1, random);
  std::vector<double> expected(before.begin(), before.end()), sums(static_cast<size_t>(V), 0.5);
  for (int64_t row = 0; row < V; ++row) {
    if (std::find(ids.begin(), ids.end(), row) == ids.end()) continue;
    std::vector<double> sum(static_cast<size_t>(D));
    for (size_t i = 0; i < ids.size(); ++i) {
      for (size_t d = 0; ids[i] == row && d < sum.size(); ++d) {
        sum[d] += static_cast<double>(factors[i]) * gradient[i / 2 * sum.size() + d];
      }
    }
    const double norm = step.scale * std::sqrt(std::inner_product(sum.begin(), sum.end(), sum.begin(), 0.0));
    for (double& value : sum) value *= step.scale * std::min(1.0, step.clip_norm / norm);
    double rate = step.lr;
    if (step.optimizer == Optimizer::rowwise_adagrad) {
      double& squares = sums[static_cast<size_t>(row)];
      squares += std::inner_product(sum.begin(), sum.end(), sum.begin(), 0.0) / static_cast<double>(D);
      rate /= std::sqrt(squares) + step.eps;
    }
    for (int64_t d = 0; d < D; ++d) expected[at(row, d)] -= rate * sum[static_cast<size_t>(d)];
  }
  std::vector<float> first;
  for (const uint64_t seed : {0, 1, 2, 3}) {
    simt::set_seed(seed);
    std::vector<float> table = before, state(static_cast<size_t>(V), 0.5f);
    const Sorted<float> sorted(ids, D);
    TrainedRows<float> rows{table.data() + stride, stride, D};
    rows.squares = state.data();
    const EntryGradients<float> given{gradient.data(), bags.data(), factors.data()};
    check_launched(launch_update_rows(rows, sorted.rows, given, step, sorted.scratch, nullptr));
    check_close(table, expected, 1e-4);
    for (size_t row = 0; row < state.size(); ++row) CHECK(std::fabs(state[row] - sums[row]) < 1e-4 * sums[row]);
    if (seed == 0) first = table;
    CHECK(table == first);
  }
}

void test_frozen_rows_are_left_out_and_bad_ids_counted() {
  const std::vector<int64_t> ids{0, 3, 1, 4, -1, 3, int64_t{1} << 32};
  const bool frozen[] = {true, false, false, true};
  std::vector<int32_t> narrow(ids.size());
  int32_t bad = 0;
  check_launched(launch_narrow_ids(ids.data(), 7, 4, frozen, narrow.data(), &bad, nullptr));
  CHECK(bad == 3);
  CHECK(narrow[0] == -1 && narrow[1] == -1 && narrow[2] == 1 && narrow[5] == -1);
}

void test_sums_of_rows_lose_nothing_whatever_runs_first() {
  std::mt19937 random(3);
  for (const int64_t D : {1, 7, 64, 132, 300}) {
    for (const size_t count : {1, 8, 9, 31, 200, 3000}) {
      if (D > 64 && count > 200) continue;
      if (quick && (D > 7 || count > 31)) continue;
      const std::vector<int32_t> ids = random_ids(count, 40, random);
      for (const double clip_norm : {HUGE_VAL, 1.0}) {
        RowStep step{Optimizer::sgd, 0.5, 0.5, clip_norm, 1};
        check_update(step, ids, D, random);
        step.optimizer = Optimizer::rowwise_adagrad;
        step.eps = 1e-3;
        check_update(step, ids, D, random);
      }
    }
  }
}

// --- Pairs ---

struct PairCase {
  int64_t B, N, D, in_rows, out_rows;
  std::vector<int32_t> in_ids, out_ids;
  std::vector<float> in, out;

  PairCase(int64_t pairs, int64_t outputs, int64_t dimensions, bool distinct, std::mt19937& random)
      : B(pairs), N(outputs), D(dimensions), in_rows(distinct ? B : 5), out_rows(distinct ? B * N : 7) {
    in_ids = random_ids(static_cast<size_t>(B), static_cast<uint32_t>(in_rows), random);
    out_ids = random_ids(static_cast<size_t>(B * N), static_cast<uint32_t>(out_rows), random);
    if (distinct) {
      std::iota(in_ids.begin(), in_ids.end(), 0);
      std::iota(out_ids.rbegin(), out_ids.rend(), 0);
    }
    in = random_values<float>(static_cast<size_t>(in_rows * D), 1 / std::sqrt(static_cast<double>(D)), random);
    out = random_values<float>(static_cast<size_t>(out_rows * D), 1 / std::sqrt(static_cast<double>(D)), random);
  }

  PairIds pairs() const { return {in_ids.data(), out_ids.data(), B, static_cast<int>(N)}; }

  // Trains `at_once` pairs at a time in double; returns the loss.
  double expected_step(double rate, int64_t at_once, std::vector<double>& in_table,
                       std::vector<double>& out_table) const {
    double loss = 0;
    for (int64_t begin = 0; begin < B; begin += at_once) {
      const std::vector<double> in_before = in_table, out_before = out_table;
      for (int64_t b = begin; b < std::min(B, begin + at_once); ++b) {
        const int32_t* const outputs = out_ids.data() + b * N;
        for (int64_t n = 0; n < N; ++n) {
          if (n > 0 && outputs[n] == outputs[0]) continue;
          const auto in_at = static_cast<size_t>(in_ids[static_cast<size_t>(b)] * D);
          const auto out_at = static_cast<size_t>(outputs[n] * D);
          double score = 0;
          for (size_t d = 0; d < static_cast<size_t>(D); ++d) score += in_before[in_at + d] * out_before[out_at + d];
          loss += softplus(n == 0 ? -score : score);
          const double size = -rate * (sigmoid(score) - (n == 0));
          for (size_t d = 0; d < static_cast<size_t>(D); ++d) {
            in_table[in_at + d] += size * out_before[out_at + d];
            out_table[out_at + d] += size * in_before[in_at + d];
          }
        }
      }
    }
    return loss;
  }
};

constexpr double kRate = 0.05;

// Trains copies of the tables by that many warps and compares them with the loops, `at_once` pairs at a time.
void check_in_place(const PairCase& example, int64_t warps, int64_t at_once) {
  std::vector<double> in(example.in.begin(), example.in.end()), out(example.out.begin(), example.out.end());
  const double loss = example.expected_step(kRate, at_once, in, out);
  std::vector<float> in_found = example.in, out_found = example.out;
  double total[2] = {0, 0};
  const Tables<float> tables{in_found.data(), out_found.data(), example.D, example.D, example.D};
  check_launched(launch_pair_step(example.pairs(), tables, kRate, warps, nullptr, total));
  CHECK(std::fabs(total[0] - loss) < 1e-5 * loss);
  CHECK(total[1] == static_cast<double>(example.B));
  check_close(in_found, in, 1e-5);
  check_close(out_found, out, 1e-5);
}

void test_pairs_in_place_in_every_shape() {
  std::mt19937 random(4);
  for (const int64_t D : {3, 64, 100, 200, 300, 520}) {
    for (const int64_t N : {1, 6, 8, 13, 40}) {
      if (quick && (N == 40 || D > 300)) continue;
      simt::set_seed(random() % 4);
      check_in_place(PairCase(11, N, D, false, random), 1, 1);
      check_in_place(PairCase(40, N, D, true, random), 0, 40);
    }
  }
}

void test_warps_that_share_rows_race_only_where_they_say_so() {
  std::mt19937 random(5);
  for (const int64_t D : {3, 64, 300}) {
    const PairCase example(quick ? 30 : 200, 6, D, false, random);
    std::vector<float> in = example.in, out = example.out;
    double total[2] = {0, 0};
    const Tables<float> tables{in.data(), out.data(), D, D, D};
    check_launched(launch_pair_step(example.pairs(), tables, 0.01, 0, nullptr, total));
    CHECK(total[1] == static_cast<double>(example.B));
    for (const float value : in) CHECK(std::isfinite(value));
  }
}

void test_exact_steps_are_the_same_bits_whatever_runs_first() {
  std::mt19937 random(6);
  for (const int64_t D : {3, 64, 300}) {
    for (const bool one_table : {false, true}) {
      const PairCase example(quick ? 20 : 70, 6, D, false, random);
      std::vector<float> in_first, out_first;
      for (const uint64_t seed : {0, 1, 2}) {
        simt::set_seed(seed);
        std::vector<float> in = example.in, out = example.out;
        float* const out_table = one_table ? in.data() : out.data();
        const Tables<float> tables{in.data(), out_table, D, D, D};
        PairCase read = example;
        if (one_table) {
          for (int32_t& id : read.out_ids) id %= static_cast<int32_t>(example.in_rows);
        }
        const int64_t stride = padded_columns(D);
        const auto size = [](int64_t count) { return static_cast<size_t>(count); };
        std::vector<double> losses(size(read.B));
        std::vector<float> errors(size(read.B * read.N)), in_gradient(size(read.B * stride)), copies(in_gradient);
        const PairScores<float> found{losses.data(), errors.data(), in_gradient.data(),
                                      one_table ? copies.data() : nullptr, stride};
        check_launched(launch_pair_scores(read.pairs(), tables, found, nullptr));
        const Sorted<float> outputs(read.out_ids, D), inputs(read.in_ids, D);
        check_launched(launch_add_to_out_rows(read.pairs(), tables, found, outputs.rows, -kRate, tables,
                                              outputs.scratch, nullptr));
        check_launched(launch_add_to_in_rows(found, inputs.rows, -kRate, tables, inputs.scratch, nullptr));
        if (!one_table) {
          std::vector<double> in_expected(example.in.begin(), example.in.end()),
              out_expected(example.out.begin(), example.out.end());
          const double loss = read.expected_step(kRate, read.B, in_expected, out_expected);
          CHECK(std::fabs(std::accumulate(losses.begin(), losses.end(), 0.0) - loss) < 1e-5 * loss);
          check_close(in, in_expected, 1e-5);
          check_close(out, out_expected, 1e-5);
        }
        if (seed == 0) in_first = in, out_first = out;
        CHECK(in == in_first && out == out_first);
      }
    }
  }
}

}  // namespace
}  // namespace pyembed

int main(int count, char** arguments) {
  pyembed::quick = count > 1 && std::string(arguments[1]) == "quick";
  pyembed::test_frozen_rows_are_left_out_and_bad_ids_counted();
  pyembed::test_sums_of_rows_lose_nothing_whatever_runs_first();
  pyembed::test_pairs_in_place_in_every_shape();
  pyembed::test_warps_that_share_rows_race_only_where_they_say_so();
  pyembed::test_exact_steps_are_the_same_bits_whatever_runs_first();
}
