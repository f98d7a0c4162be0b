// What a test of the training steps needs: a random block of tokens, tables with padded rows, and every model in two
// forms, as a SIMD step and as the exact kernel that it must equal.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <vector>

#include "check.h"
#include "cpu_variants.h"
#include "binding/hot_rows.h"
#include "kernels/exact.h"

namespace pyembed {

// Tokens in sentences of many lengths, empty ones and lonely tokens among them; owns what its TokenBlock points to.
struct Corpus {
  std::vector<int32_t> ids;
  std::vector<int64_t> sentence_starts{0};

  Corpus(std::vector<int32_t> tokens, std::mt19937& random) : ids(std::move(tokens)) {
    const auto T = static_cast<int64_t>(ids.size());
    while (sentence_starts.back() < T) {
      const int64_t lengths[] = {0, 1, 2, static_cast<int64_t>(random() % 60)};
      sentence_starts.push_back(std::min(T, sentence_starts.back() + lengths[random() % 4]));
    }
    sentence_starts.push_back(T);  // an empty sentence ends it
  }

  TokenBlock block(int64_t center_begin, int64_t center_end, uint64_t first_position = 7) const {
    return {ids.data(),
            sentence_starts.data(),
            static_cast<int64_t>(ids.size()),
            static_cast<int64_t>(sentence_starts.size()) - 1,
            first_position,
            center_begin,
            center_end};
  }
  TokenBlock whole() const { return block(0, static_cast<int64_t>(ids.size())); }
};

// No token stands twice among any `distinct` neighbors.
inline std::vector<int32_t> cycling_ids(int64_t tokens, int64_t distinct) {
  std::vector<int32_t> ids;
  for (int64_t t = 0; t < tokens; ++t) ids.push_back(static_cast<int32_t>(t % distinct));
  return ids;
}

inline std::vector<int32_t> random_ids(int64_t tokens, uint32_t below, std::mt19937& random) {
  std::vector<int32_t> ids;
  for (int64_t t = 0; t < tokens; ++t) ids.push_back(static_cast<int32_t>(random() % below));
  return ids;
}

// Blocks that train nothing: lonely tokens, no centers, no tokens.
struct BlocksWithoutAPair {
  std::vector<int32_t> ids;
  std::vector<int64_t> lonely{0, 1, 1, 2, 3, 4, 4}, empty{0, 0};

  BlocksWithoutAPair(uint32_t below, std::mt19937& random) : ids(random_ids(4, below, random)) {}

  std::vector<TokenBlock> all() const {
    return {{ids.data(), lonely.data(), 4, 6, 0, 0, 4},
            {ids.data(), lonely.data(), 4, 6, 0, 2, 2},
            {ids.data(), empty.data(), 0, 1, 0, 0, 0}};
  }
};

// One table of rows `stride` elements apart. What lies between two rows is not a number and must stay as it is; after
// the last row nothing lies, so that an address sanitizer sees who reads on.
template <class Real>
class PaddedTable {
 public:
  PaddedTable(int64_t rows, int64_t dimensions, int64_t stride)
      : rows_(rows),
        dimensions_(dimensions),
        stride_(stride),
        elements_(static_cast<size_t>((rows - 1) * stride + dimensions), std::numeric_limits<Real>::quiet_NaN()) {}

  // A table of the same numbers.
  template <class Other>
  PaddedTable(const PaddedTable<Other>& other, int64_t stride) : PaddedTable(other.rows(), other.dimensions(), stride) {
    for (int64_t r = 0; r < rows_; ++r) {
      for (int64_t d = 0; d < dimensions_; ++d) at(r, d) = static_cast<Real>(other.at(r, d));
    }
  }

  void fill_uniformly(Real largest, std::mt19937& random) {
    std::uniform_real_distribution<float> uniform(-1, 1);
    for (int64_t r = 0; r < rows_; ++r) {
      for (int64_t d = 0; d < dimensions_; ++d) at(r, d) = largest * static_cast<Real>(uniform(random));
    }
  }

  int64_t rows() const { return rows_; }
  int64_t dimensions() const { return dimensions_; }
  int64_t stride() const { return stride_; }
  Real* data() { return elements_.data(); }
  Real& at(int64_t row, int64_t column) { return elements_[static_cast<size_t>(row * stride_ + column)]; }
  Real at(int64_t row, int64_t column) const { return elements_[static_cast<size_t>(row * stride_ + column)]; }

  void check_padding() const {
    for (int64_t r = 0; r + 1 < rows_; ++r) {
      for (int64_t d = dimensions_; d < stride_; ++d) CHECK(std::isnan(at(r, d)));
    }
  }

 private:
  int64_t rows_, dimensions_, stride_;
  std::vector<Real> elements_;
};

template <class Real>
struct TablePair {
  PaddedTable<Real> in, out;

  template <class Other>
  static TablePair copy(const TablePair<Other>& other, int64_t in_padding, int64_t out_padding) {
    const int64_t D = other.in.dimensions();
    return {PaddedTable<Real>(other.in, D + in_padding), PaddedTable<Real>(other.out, D + out_padding)};
  }
  Tables<Real> view() { return {in.data(), out.data(), in.dimensions(), in.stride(), out.stride()}; }
};

// Random tables whose scores have a standard deviation of about `spread`.
inline TablePair<float> random_tables(int64_t V, int64_t D, float spread, std::mt19937& random) {
  TablePair<float> tables{PaddedTable<float>(V, D, D), PaddedTable<float>(V, D, D)};
  const float largest = std::sqrt(3 * spread / std::sqrt(static_cast<float>(D)));
  tables.in.fill_uniformly(largest, random);
  tables.out.fill_uniformly(largest, random);
  return tables;
}

template <class A, class B>
double largest_difference(const PaddedTable<A>& a, const PaddedTable<B>& b) {
  double largest = 0;
  for (int64_t r = 0; r < a.rows(); ++r) {
    for (int64_t d = 0; d < a.dimensions(); ++d) {
      const double difference = std::abs(static_cast<double>(a.at(r, d)) - static_cast<double>(b.at(r, d)));
      if (!(difference <= largest)) largest = difference;  // a NaN stays
    }
  }
  return largest;
}

template <class A, class B>
double largest_difference(const TablePair<A>& a, const TablePair<B>& b) {
  return std::max(largest_difference(a.in, b.in), largest_difference(a.out, b.out));
}

// A bfloat16 table of the upper halves of float32 ones; what lies between two rows must stay as it is.
struct HalfTable {
  static constexpr uint16_t kPadding = 0x7FC1;  // not a number
  int64_t rows, dimensions, stride;
  std::vector<BFloat16> elements;

  HalfTable(const PaddedTable<float>& table, int64_t padding)
      : rows(table.rows()), dimensions(table.dimensions()), stride(dimensions + padding) {
    elements.assign(static_cast<size_t>((rows - 1) * stride + dimensions), BFloat16{kPadding});
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t d = 0; d < dimensions; ++d) at(r, d) = round_stochastically(table.at(r, d), 0);
    }
  }

  BFloat16& at(int64_t row, int64_t column) { return elements[static_cast<size_t>(row * stride + column)]; }
  bool operator==(const HalfTable& other) const {
    return std::memcmp(elements.data(), other.elements.data(), elements.size() * sizeof(BFloat16)) == 0;
  }

  // Sum of squares of the differences to a table.
  double distance(const PaddedTable<float>& table) {
    double sum = 0;
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t d = 0; d < dimensions; ++d) {
        const double difference = static_cast<double>(value_of(at(r, d)) - table.at(r, d));
        sum += difference * difference;
      }
    }
    return sum;
  }

  void check_padding() {
    for (int64_t r = 0; r + 1 < rows; ++r) {
      for (int64_t d = dimensions; d < stride; ++d) CHECK(at(r, d).bits == kPadding);
    }
  }
};

// The tables that a thread sees which has copies of their hot rows.
template <class Element>
class WithCopies {
 public:
  WithCopies(const Tables<Element>& tables, const HotIds& hot_in, const HotIds& hot_out)
      : tables_(tables),
        shared_in_(tables.in, tables.in_stride, tables.dimensions, hot_in),
        shared_out_(tables.out, tables.out_stride, tables.dimensions, hot_out),
        in_(shared_in_, 0, 1),
        out_(shared_out_, 0, 1) {
    in_.open();
    out_.open();
    tables_.hot_in = in_.rows();
    tables_.hot_out = out_.rows();
  }
  const Tables<Element>& view() const { return tables_; }
  void merge() {
    in_.merge({0, shared_in_.ids().count, 1});
    out_.merge({0, shared_out_.ids().count, 1});
  }

 private:
  Tables<Element> tables_;
  SharedRows<Element> shared_in_, shared_out_;
  HotCopies<Element> in_, out_;
};

// A step on copies of hot rows changes no row of theirs, and they become what the rows become of a step on these, to
// the bit, in float32 and bfloat16. train(tables): the step.
template <class Train>
void check_copies_train_as_the_rows(const TablePair<float>& start, const HotIds& hot_in, const HotIds& hot_out,
                                    const Train& train) {
  auto expected = TablePair<float>::copy(start, 3, 5), found = TablePair<float>::copy(start, 3, 5);
  const LossSum sum = train(expected.view());
  WithCopies<float> copies(found.view(), hot_in, hot_out);
  const LossSum found_sum = train(copies.view());
  CHECK(found_sum.pairs == sum.pairs && found_sum.loss == sum.loss);
  const auto check_untouched = [](const PaddedTable<float>& now, const PaddedTable<float>& then, const HotIds& hot) {
    for (int64_t r = hot.first; r < hot.first + hot.count; ++r) {
      for (int64_t d = 0; d < now.dimensions(); ++d) CHECK(now.at(r, d) == then.at(r, d));
    }
  };
  check_untouched(found.in, start.in, hot_in);
  check_untouched(found.out, start.out, hot_out);
  copies.merge();
  CHECK(largest_difference(found.in, expected.in) == 0);
  CHECK(largest_difference(found.out, expected.out) == 0);

  HalfTable in(start.in, 3), out(start.out, 5), found_in = in, found_out = out;
  const auto view = [](HalfTable& i, HalfTable& o) {
    return Tables<BFloat16>{i.elements.data(), o.elements.data(), i.dimensions, i.stride, o.stride};
  };
  const LossSum half_sum = train(view(in, out));
  WithCopies<BFloat16> half_copies(view(found_in, found_out), hot_in, hot_out);
  CHECK(train(half_copies.view()).loss == half_sum.loss);
  half_copies.merge();
  CHECK(found_in == in);
  CHECK(found_out == out);
}

// A model with its options.
struct Model {
  bool cbow;
  CbowOptions options;

  LossSum step(const CpuKernels& kernels, const TokenBlock& block, const Draws& draws, TablePair<float>& tables,
               const LearningRate& rate, int64_t begin, int64_t end) const {
    const size_t bytes = step_scratch_bytes(draws, tables.in.dimensions());
    const std::unique_ptr<void, void (*)(void*)> scratch(std::aligned_alloc(64, bytes), std::free);
    std::fill_n(static_cast<unsigned char*>(scratch.get()), bytes, 0xFF);  // NaN, if read before it is written
    return cbow ? kernels.cbow_step(block, draws, options, tables.view(), rate, begin, end, scratch.get())
                : kernels.skipgram_step(block, draws, tables.view(), rate, begin, end, scratch.get());
  }

  LossSum step(const CpuKernels& kernels, const TokenBlock& block, const Draws& draws, TablePair<float>& tables,
               const LearningRate& rate) const {
    return step(kernels, block, draws, tables, rate, block.center_begin, block.center_end);
  }

  template <class Real>
  LossSum exact_step(const TokenBlock& block, const Draws& draws, TablePair<Real>& tables,
                     const LearningRate& rate) const {
    std::vector<int32_t> contexts(2 * static_cast<size_t>(draws.window)),
        outputs(1 + static_cast<size_t>(draws.negative));
    std::vector<Real> scratch(static_cast<size_t>(exact_scratch_size(draws)));
    const Tables<Real> view = tables.view();
    const Scale scale{0, &rate};
    const WindowIds ids{contexts.data(), outputs.data()};
    return cbow ? cbow_exact(block, draws, options, scale, view, view, ids, scratch.data())
                : skipgram_exact(block, draws, scale, view, view, ids, scratch.data());
  }
};

inline std::vector<Model> all_models() {
  return {{false, {}}, {true, {true, false}}, {true, {true, true}}, {true, {false, false}}};
}

}  // namespace pyembed
