// Batches of windows that train together: the steps of every instruction set equal a scalar twin in float64.
#include "emulated_amx.h"
#include "kernels/pair_math.h"
#include "step_case.h"

namespace pyembed {
namespace {

constexpr float kWeight = 0.625f;

// What a batch reads and changes, number by number.
using Row = std::vector<double>;

// The first `negative` of twice as many draws that are none of the centers and none before.
std::vector<int32_t> negatives_of(const Draws& draws, uint64_t position, const std::vector<int32_t>& centers) {
  Draws twice = draws;
  twice.negative *= 2;
  twice.sharing = kPerWindow;
  std::vector<int32_t> drawn(static_cast<size_t>(twice.negative)), chosen;
  negative_ids(twice, position, 0, drawn.data());
  const auto holds = [](const std::vector<int32_t>& ids, int32_t id) {
    return std::find(ids.begin(), ids.end(), id) != ids.end();
  };
  for (const int32_t id : drawn) {
    if (chosen.size() < static_cast<size_t>(draws.negative) && !holds(centers, id) && !holds(chosen, id)) {
      chosen.push_back(id);
    }
  }
  return chosen;
}

// Trains one window of a batch: reads `before`, and changes `tables`.
LossSum train_window(const TokenBlock& block, const Draws& draws, const Model& model, int64_t center,
                     const std::vector<int32_t>& negatives, double rate, const TablePair<double>& before,
                     TablePair<double>& tables) {
  const int64_t D = before.in.dimensions();
  const uint64_t position = block.first_position + static_cast<uint64_t>(center);
  const Span span = window_span(sentence_of(block, center), center, window_radius(draws, position));
  const int64_t C = span.contexts();
  if (C == 0) return {0, 0};
  const double share = model.options.mean ? 1.0 / static_cast<double>(C) : 1.0;
  const double gradient_share = model.cbow && model.options.mean && model.options.exact_gradient ? share : 1.0;
  LossSum sum{0, model.cbow ? 1 : C};
  for (int64_t input = 0; input < sum.pairs; ++input) {  // a context, or CBOW's hidden vector
    const auto id = [&](int64_t c) { return block.ids[span.context(model.cbow ? c : input, center)]; };
    const int64_t members = model.cbow ? C : 1;
    Row vector(static_cast<size_t>(D), 0.0), gradient(static_cast<size_t>(D), 0.0);
    for (int64_t c = 0; c < members; ++c) {
      for (int64_t d = 0; d < D; ++d) vector[static_cast<size_t>(d)] += before.in.at(id(c), d);
    }
    for (double& number : vector) number *= model.cbow ? share : 1.0;
    for (size_t n = 0; n <= negatives.size(); ++n) {
      const int32_t output = n == 0 ? block.ids[center] : negatives[n - 1];
      const double weight = n == 0 ? 1.0 : kWeight * draws.negative / static_cast<double>(negatives.size());
      double score = 0;
      for (int64_t d = 0; d < D; ++d) score += vector[static_cast<size_t>(d)] * before.out.at(output, d);
      const auto [loss, error] = loss_and_error(score, n == 0);
      sum.loss += weight * loss;
      for (int64_t d = 0; d < D; ++d) {
        gradient[static_cast<size_t>(d)] += weight * error * before.out.at(output, d);
        tables.out.at(output, d) -= rate * weight * error * vector[static_cast<size_t>(d)];
      }
    }
    for (int64_t c = 0; c < members; ++c) {
      for (int64_t d = 0; d < D; ++d) {
        tables.in.at(id(c), d) -= rate * gradient_share * gradient[static_cast<size_t>(d)];
      }
    }
  }
  return sum;
}

LossSum twin(const TokenBlock& block, const Draws& draws, const Model& model, TablePair<double>& tables,
             const LearningRate& rate) {
  const auto P = static_cast<uint64_t>(draws.sharing);
  const auto batch_of = [&](int64_t center) { return (block.first_position + static_cast<uint64_t>(center)) / P; };
  LossSum sum{0, 0};
  for (int64_t first = block.center_begin, past; first < block.center_end; first = past) {
    std::vector<int32_t> centers;
    for (past = first; past < block.center_end && batch_of(past) == batch_of(first); ++past) {
      centers.push_back(block.ids[past]);
    }
    const std::vector<int32_t> negatives = negatives_of(draws, P * batch_of(first), centers);
    const TablePair<double> before = tables;
    for (int64_t center = first; center < past; ++center) {
      const double lr = learning_rate(block, rate, first);
      const LossSum window = train_window(block, draws, model, center, negatives, lr, before, tables);
      sum.loss += window.loss;
      sum.pairs += window.pairs;
    }
  }
  return sum;
}

template <class Element>
LossSum step(const CpuBatchKernels& kernels, const TokenBlock& block, const Draws& draws, const Model& model,
             const Tables<Element>& tables, const LearningRate& rate, int64_t begin, int64_t end) {
  const size_t bytes = batch_scratch_bytes(draws, tables.dimensions);
  const std::unique_ptr<void, void (*)(void*)> scratch(std::aligned_alloc(64, (bytes + 63) / 64 * 64), std::free);
  std::fill_n(static_cast<unsigned char*>(scratch.get()), bytes, 0xFF);  // NaN, if read before it is written
  if constexpr (std::is_same_v<Element, float>) {
    return model.cbow ? kernels.cbow_step(block, draws, kWeight, model.options, tables, rate, begin, end, scratch.get())
                      : kernels.skipgram_step(block, draws, kWeight, tables, rate, begin, end, scratch.get());
  } else {
    return model.cbow ? kernels.cbow_step_bfloat16(block, draws, kWeight, model.options, tables, rate, begin, end,
                                                   scratch.get())
                      : kernels.skipgram_step_bfloat16(block, draws, kWeight, tables, rate, begin, end, scratch.get());
  }
}

struct Shape {
  int64_t D;
  int windows, negative, window;
  uint32_t V;
};

// Distinct contexts must equal the twin; of contexts that repeat, which are updated one after the other, small steps
// do.
void test_steps_equal_the_twin(const Shape& shape, bool distinct) {
  std::mt19937 random(static_cast<unsigned>(shape.D));
  const Corpus corpus(distinct ? cycling_ids(400, shape.V) : random_ids(400, shape.V, random), random);
  const std::vector<uint32_t> alias_table = random_alias_table(shape.V, random);
  const Draws draws{alias_table.data(), shape.V, shape.window, shape.negative, shape.windows, 3, 1};
  const TablePair<float> start = random_tables(shape.V, shape.D, 1.0f, random);
  const LearningRate rate = distinct ? LearningRate{0.05, 0.02} : LearningRate{5e-5, 5e-5};
  const TokenBlock block = corpus.block(3, 389);
  for (const Model& model : all_models()) {
    auto expected = TablePair<double>::copy(start, 0, 0);
    const LossSum expected_sum = twin(block, draws, model, expected, rate);
    for (const CpuKernels* kernels : cpu_variants()) {
      for (const int64_t cut : {block.center_end, int64_t{200}}) {  // in one piece, and in two
        auto tables = TablePair<float>::copy(start, 3, 5);
        LossSum sum = step(kernels->batches, block, draws, model, tables.view(), rate, block.center_begin, cut);
        const LossSum rest = step(kernels->batches, block, draws, model, tables.view(), rate, cut, block.center_end);
        sum.loss += rest.loss;
        CHECK(sum.pairs + rest.pairs == expected_sum.pairs);
        CHECK(std::abs(sum.loss - expected_sum.loss) < 1e-5 * expected_sum.loss);
        CHECK(largest_difference(tables, expected) < 2e-5);
        tables.in.check_padding();
        tables.out.check_padding();
      }
    }
  }
}

void test_copies_of_hot_rows_train_as_the_rows_do() {
  constexpr uint32_t V = 90;
  std::mt19937 random(8);
  const Corpus corpus(random_ids(400, V, random), random);
  const std::vector<uint32_t> alias_table = random_alias_table(V, random);
  const TokenBlock block = corpus.block(3, 389);
  for (const int64_t D : {7, 32, 100}) {
    const TablePair<float> start = random_tables(V, D, 1.0f, random);
    for (const int windows : {3, 4, 7}) {
      const Draws draws{alias_table.data(), V, 5, 8, windows, 3, 1};
      for (const Model& model : all_models()) {
        for (const CpuKernels* kernels : cpu_variants()) {
          check_copies_train_as_the_rows(start, {0, 40, {}}, {20, 64, {}}, [&](const auto& view) {
            return step(kernels->batches, block, draws, model, view, {0.05, 0.02}, 3, 389);
          });
        }
      }
    }
  }
}

void test_tables_of_bfloat16_stay_near_those_of_float32() {
  constexpr uint32_t V = 120;
  std::mt19937 random(5);
  const Corpus corpus(cycling_ids(400, V), random);
  const std::vector<uint32_t> alias_table = random_alias_table(V, random);
  const Draws draws{alias_table.data(), V, 5, 8, 4, 3, 1};
  const LearningRate rate{0.05, 0.02};
  const TokenBlock block = corpus.block(3, 389);
  for (const int64_t D : {1, 16, 33, 100}) {
    const TablePair<float> start = random_tables(V, D, 1.0f, random);
    for (const Model& model : all_models()) {
      for (const CpuKernels* kernels : cpu_variants()) {
        HalfTable in(start.in, 3), out(start.out, 5);
        auto single = TablePair<float>::copy(start, 0, 0);
        const Tables<BFloat16> half{in.elements.data(), out.elements.data(), D, in.stride, out.stride};
        const LossSum sum = step(kernels->batches, block, draws, model, half, rate, 3, 389);
        const LossSum expected = step(kernels->batches, block, draws, model, single.view(), rate, 3, 389);
        CHECK(sum.pairs == expected.pairs);
        CHECK(std::abs(sum.loss - expected.loss) < 0.02 * expected.loss);
        double size = 0;
        for (int64_t r = 0; r < V; ++r) {
          for (int64_t d = 0; d < D; ++d) size += static_cast<double>(single.in.at(r, d) * single.in.at(r, d));
        }
        CHECK(in.distance(single.in) < 0.01 * size);
        in.check_padding();
        out.check_padding();
      }
    }
  }
}

// Of a table, how far it is from another, as a part of how far that one is from the start.
double part_off(const PaddedTable<float>& found, const PaddedTable<double>& expected, const PaddedTable<float>& start) {
  double off = 0, moved = 0;
  for (int64_t r = 0; r < start.rows(); ++r) {
    for (int64_t d = 0; d < start.dimensions(); ++d) {
      const double right = expected.at(r, d);
      off += (static_cast<double>(found.at(r, d)) - right) * (static_cast<double>(found.at(r, d)) - right);
      moved += (static_cast<double>(start.at(r, d)) - right) * (static_cast<double>(start.at(r, d)) - right);
    }
  }
  return std::sqrt(off / moved);
}

// Those that this processor runs, and those for AMX on any with AVX-512.
std::vector<const CpuProductKernels*> product_variants() {
  std::vector<const CpuProductKernels*> variants;
  for (const CpuProductKernels* kernels : {amx_kernels(), avx512bf16_kernels(), emulated_amx_kernels()}) {
    if (kernels) variants.push_back(kernels);
  }
  return variants;
}

// Rounding to bfloat16 is all that products of matrices change.
void check_products_differ_by_rounding(const Shape& shape, const CpuProductKernels* kernels, const Model& model) {
  std::mt19937 random(static_cast<unsigned>(shape.D));
  const Corpus corpus(cycling_ids(400, shape.V), random);
  const std::vector<uint32_t> alias_table = random_alias_table(shape.V, random);
  const Draws draws{alias_table.data(), shape.V, shape.window, shape.negative, shape.windows, 3, 1};
  CHECK(fits_products(draws));
  const TablePair<float> start = random_tables(shape.V, shape.D, 1.0f, random);
  const LearningRate rate{0.05, 0.02};
  const TokenBlock block = corpus.block(3, 389);
  auto expected = TablePair<double>::copy(start, 0, 0);
  const LossSum expected_sum = twin(block, draws, model, expected, rate);
  auto tables = TablePair<float>::copy(start, 3, 5);
  const CpuBatchKernels steps{kernels->skipgram_step, kernels->skipgram_step_bfloat16, kernels->cbow_step,
                              kernels->cbow_step_bfloat16};
  const LossSum sum = step(steps, block, draws, model, tables.view(), rate, 3, 389);
  CHECK(sum.pairs == expected_sum.pairs);
  CHECK(std::abs(sum.loss - expected_sum.loss) < 1e-3 * expected_sum.loss);
  CHECK(part_off(tables.in, expected.in, start.in) < 0.006);
  CHECK(part_off(tables.out, expected.out, start.out) < 0.006);
  tables.in.check_padding();
  tables.out.check_padding();

  HalfTable in(start.in, 3), out(start.out, 5);
  auto single = TablePair<float>::copy(start, 0, 0);
  step(steps, block, draws, model, single.view(), rate, 3, 389);
  const Tables<BFloat16> half{in.elements.data(), out.elements.data(), shape.D, in.stride, out.stride};
  CHECK(step(steps, block, draws, model, half, rate, 3, 389).pairs == sum.pairs);
  double size = 0;
  for (int64_t r = 0; r < shape.V; ++r) {
    for (int64_t d = 0; d < shape.D; ++d) size += static_cast<double>(single.in.at(r, d) * single.in.at(r, d));
  }
  CHECK(in.distance(single.in) < 0.01 * size);
  in.check_padding();
  out.check_padding();
}

void test_products_of_bfloat16_differ_by_rounding(const Shape& shape, const CpuProductKernels* kernels) {
  for (const Model& model : all_models()) {
    if (model.cbow && (!kernels->cbow_step || shape.windows > kMostCbowWindows)) continue;
    check_products_differ_by_rounding(shape, kernels, model);
  }
}

void test_blocks_without_a_pair_change_nothing() {
  std::mt19937 random(6);
  const std::vector<uint32_t> alias_table = random_alias_table(9, random);
  const Draws draws{alias_table.data(), 9, 5, 8, 4, 3, 1};
  const TablePair<float> start = random_tables(9, 20, 1.0f, random);
  const BlocksWithoutAPair blocks(9, random);
  for (const TokenBlock& block : blocks.all()) {
    for (const CpuKernels* kernels : cpu_variants()) {
      auto tables = TablePair<float>::copy(start, 0, 0);
      const LossSum sum = step(kernels->batches, block, draws, {false, {}}, tables.view(), {0.1, 0.1},
                               block.center_begin, block.center_end);
      CHECK(sum.pairs == 0 && sum.loss == 0);
      CHECK(largest_difference(tables, start) == 0);
    }
  }
}

}  // namespace
}  // namespace pyembed

int main() {
  using pyembed::Shape;
  for (const int64_t D : {1, 4, 16, 31, 100, 128}) pyembed::test_steps_equal_the_twin(Shape{D, 4, 8, 5, 120}, true);
  for (const Shape& shape : {Shape{33, 1, 5, 5, 120}, Shape{20, 3, 5, 2, 90}, Shape{17, 7, 11, 12, 150},
                             Shape{48, 16, 3, 3, 120}, Shape{9, 4, 8, 5, 60}}) {
    pyembed::test_steps_equal_the_twin(shape, true);
  }
  // of so few words draws equal centers and one another, and there are fewer negatives than asked for
  for (const uint32_t V : {5u, 10u, 40u}) pyembed::test_steps_equal_the_twin(Shape{24, 4, 8, 5, V}, false);
  for (const pyembed::CpuProductKernels* kernels : pyembed::product_variants()) {
    for (const int64_t D : {1, 15, 16, 17, 31, 32, 33, 48, 100, 128}) {
      pyembed::test_products_of_bfloat16_differ_by_rounding(Shape{D, 6, 10, 5, 120}, kernels);
    }
    for (const Shape& shape : {Shape{33, 1, 5, 7, 120}, Shape{20, 14, 2, 1, 90}, Shape{47, 4, 8, 5, 150},
                               Shape{50, 2, 14, 6, 150}, Shape{100, 4, 12, 5, 150}, Shape{65, 5, 11, 3, 90}}) {
      pyembed::test_products_of_bfloat16_differ_by_rounding(shape, kernels);
    }
    std::printf("products of bfloat16: all promises hold for %s\n", kernels->name);
  }
  pyembed::test_copies_of_hot_rows_train_as_the_rows_do();
  pyembed::test_tables_of_bfloat16_stay_near_those_of_float32();
  pyembed::test_blocks_without_a_pair_change_nothing();
  pyembed::print_variants("batches of windows");
}
