// The CPU kernels of rows, for every instruction set, against plain loops in double; memory without slack, so that a
// sanitizer sees what reaches beyond it.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <random>
#include <vector>

#include "check.h"
#include "cpu_variants.h"

namespace pyembed {
namespace {

std::vector<int32_t> random_ids(int64_t count, uint32_t rows, std::mt19937& random) {
  std::vector<int32_t> ids(static_cast<size_t>(count));
  for (int32_t& id : ids) id = static_cast<int32_t>(random() % 3 == 0 ? 0 : random() % rows);  // row 0 is everybody's
  return ids;
}

double random_value(std::mt19937& random) { return random() / 2147483648.0 - 1; }

// The groups of all parts, and the memory that they lie in.
struct Grouping {
  Grouping(const std::vector<int32_t>& ids, int part_bits) {
    const size_t n = ids.size(), padded = n + (size_t{1} << part_bits);
    for (std::vector<int32_t>* list : {&groups_, &ids_, &order_}) list->resize(n);
    for (std::vector<int32_t>* list : {&entries_, &starts_}) list->resize(padded);
    slots_.resize(4 * n);
    pieces_.resize(static_cast<size_t>(most_pieces(static_cast<int64_t>(n))));
    const GroupMemory memory{entries_.data(), groups_.data(), slots_.data(), ids_.data(),
                             starts_.data(),  order_.data(),  pieces_.data()};
    for (int part = 0; part < 1 << part_bits; ++part) {
      parts.push_back(group_rows(ids.data(), static_cast<int64_t>(n), part, part_bits, memory));
    }
  }

  std::vector<RowGroups> parts;

 private:
  std::vector<int32_t> entries_, groups_, slots_, ids_, starts_, order_;
  std::vector<RowPiece> pieces_;
};

void test_groups_hold_each_entry_once_in_order() {
  std::mt19937 random(1);
  for (const int64_t count : {0, 1, 2, 63, 5000}) {
    for (const uint32_t rows : {1u, 7u, 1u << 30}) {
      for (int part_bits = 0; part_bits <= kMostPartBits; ++part_bits) {
        const std::vector<int32_t> ids = random_ids(count, rows, random);
        std::map<int32_t, std::vector<int32_t>> expected, found;
        for (int32_t i = 0; i < count; ++i) expected[ids[static_cast<size_t>(i)]].push_back(i);
        const Grouping grouping(ids, part_bits);
        for (const RowGroups& part : grouping.parts) {
          int64_t pieces = 0;
          for (int64_t g = 0; g < part.count; ++g) {
            const int32_t *const first = part.order + part.starts[g], *const last = part.order + part.starts[g + 1];
            CHECK(found.emplace(part.ids[g], std::vector<int32_t>(first, last)).second);
            for (int32_t at = part.starts[g]; last - first > kEntriesOfPiece && at < part.starts[g + 1];
                 at += static_cast<int32_t>(kEntriesOfPiece)) {
              CHECK(part.pieces[pieces++].begin == at);
            }
          }
          CHECK(pieces == part.pieces_end - part.pieces_begin);
        }
        CHECK(found == expected);
      }
    }
  }
}

// --- Steps ---

void store(double& element, double value) { element = value; }
void store(float& element, double value) { element = static_cast<float>(value); }
void store(Float16& element, double value) { element = nearest_float16(static_cast<float>(value)); }
void store(BFloat16& element, double value) { element = round_stochastically(static_cast<float>(value), 0); }

const RowKernels<double>& kernels_of(const CpuKernels& kernels, double) { return kernels.by_id.double_rows; }
const RowKernels<float>& kernels_of(const CpuKernels& kernels, float) { return kernels.by_id.rows; }
const RowKernels<Float16>& kernels_of(const CpuKernels& kernels, Float16) { return kernels.by_id.float16_rows; }
const RowKernels<BFloat16>& kernels_of(const CpuKernels& kernels, BFloat16) { return kernels.by_id.bfloat16_rows; }

double tolerance_of(double) { return 1e-10; }
double tolerance_of(float) { return 1e-4; }
double tolerance_of(Float16) { return 0.01; }
double tolerance_of(BFloat16) { return 0.08; }

template <class Element>
std::vector<Element> random_elements(int64_t count, std::mt19937& random) {
  std::vector<Element> elements(static_cast<size_t>(count));
  for (Element& element : elements) store(element, random_value(random));
  return elements;
}

// Steps SGD, clipped and with a frozen row, on a table whose rows lie apart.
template <class Element>
void check_step(int64_t count, int64_t D, std::mt19937& random) {
  using Real = Arithmetic<Element>;
  constexpr int64_t V = 20, kPadding = 3;
  constexpr double kRate = 0.5, kClip = 2, kDecay = 0.1;
  const int64_t stride = D + kPadding;
  const std::vector<int32_t> ids = random_ids(count, V, random);
  std::vector<int32_t> bags(ids.size());
  for (size_t i = 0; i < bags.size(); ++i) bags[i] = static_cast<int32_t>(i / 2);
  const std::vector<Element> grad = random_elements<Element>((count + 1) / 2 * D, random);
  const std::vector<Element> before = random_elements<Element>((V - 1) * stride + D, random);
  const std::vector<Real> factors = random_elements<Real>(count, random);
  bool frozen[V] = {};
  frozen[7] = true;

  std::vector<double> expected;
  for (const Element element : before) expected.push_back(static_cast<double>(value_of(element)));
  for (int64_t row = 0; row < V; ++row) {
    if (row == 7 || std::find(ids.begin(), ids.end(), row) == ids.end()) continue;
    std::vector<double> sum(static_cast<size_t>(D));
    double squares = 0;
    for (size_t d = 0; d < sum.size(); ++d) {
      for (size_t i = 0; i < ids.size(); ++i) {
        if (ids[i] != row) continue;
        sum[d] += static_cast<double>(factors[i]) * static_cast<double>(value_of(grad[i / 2 * sum.size() + d]));
      }
      squares += sum[d] * sum[d];
    }
    for (size_t d = 0; d < sum.size(); ++d) {
      double& w = expected[static_cast<size_t>(row * stride) + d];
      w -= kRate * (std::min(1.0, kClip / std::sqrt(squares)) * sum[d] + kDecay * w);
    }
  }

  RowStep step{Optimizer::sgd, kRate, 1, kClip, 3};
  step.weight_decay = kDecay;
  for (const CpuKernels* variant : cpu_variants()) {
    const RowKernels<Element>& kernels = kernels_of(*variant, Element{});
    std::vector<std::vector<Element>> tables;
    for (int part_bits = 0; part_bits <= kMostPartBits; ++part_bits) {
      std::vector<Element> table = before;
      const Grouping grouping(ids, part_bits);
      std::vector<Real> partial(static_cast<size_t>(most_pieces(count) * D));
      std::vector<char> scratch(static_cast<size_t>(row_scratch_bytes<Element>(D)));
      const RowBatch<Element> batch{{table.data(), stride, D},
                                    {grad.data(), bags.data(), factors.data()},
                                    frozen,
                                    coefficients<Real>(step),
                                    partial.data()};
      for (const RowGroups& part : grouping.parts) {
        for (int64_t piece = part.pieces_begin; piece < part.pieces_end; ++piece) kernels.sum_piece(batch, part, piece);
        const int64_t middle = part.count / 2;
        kernels.step(batch, part, 0, middle, scratch.data());
        kernels.step(batch, part, middle, part.count, scratch.data());
      }
      for (size_t i = 0; i < table.size(); ++i) {
        CHECK(std::fabs(static_cast<double>(value_of(table[i])) - expected[i]) < tolerance_of(Element{}));
      }
      tables.push_back(table);
      const size_t bytes = table.size() * sizeof(Element);
      CHECK(std::memcmp(table.data(), tables[0].data(), bytes) == 0);  // whatever the number of parts
    }
  }
}

void test_steps_equal_plain_loops_whatever_the_parts() {
  std::mt19937 random(2);
  for (const int64_t D : {1, 5, 16, 33, 132}) {
    for (const int64_t count : {0, 1, 9, 200, 3500}) {
      if (D > 16 && count > 200) continue;
      check_step<double>(count, D, random);
      check_step<float>(count, D, random);
      check_step<Float16>(count, D, random);
      check_step<BFloat16>(count, D, random);
    }
  }
}

void test_lookups_copy_rows_and_refuse_bad_ids() {
  std::mt19937 random(3);
  for (const int64_t bytes : {2, 8, 30, 400, 5000}) {
    const std::vector<int32_t> table = random_ids(10 * bytes, 1u << 30, random);  // 4 * bytes, and as much between
    const TableRows rows{table.data(), 8 * bytes, 4 * bytes};
    const std::vector<int32_t> ids{4, 0, 4, 2, 1};
    std::vector<char> found(static_cast<size_t>(20 * bytes));
    CHECK(lookup_rows(rows, 5, ids.data(), 0, 2, found.data()) && lookup_rows(rows, 5, ids.data(), 2, 5, found.data()));
    for (int64_t i = 0; i < 5; ++i) {
      CHECK(std::memcmp(found.data() + i * 4 * bytes, rows.row(ids[static_cast<size_t>(i)]),
                        static_cast<size_t>(4 * bytes)) == 0);
    }
    for (const int64_t bad : {int64_t{5}, int64_t{-1}, int64_t{1} << 32}) {
      const std::vector<int64_t> wide{1, bad};
      CHECK(!lookup_rows(rows, 5, wide.data(), 0, 2, found.data()));
    }
  }
}

}  // namespace
}  // namespace pyembed

int main() {
  pyembed::test_groups_hold_each_entry_once_in_order();
  pyembed::test_steps_equal_plain_loops_whatever_the_parts();
  pyembed::test_lookups_copy_rows_and_refuse_bad_ids();
  pyembed::print_variants("rows");
}
