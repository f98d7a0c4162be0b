// Training steps: every instruction set against the exact kernels, for every shape of window, row and block.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include "check.h"
#include "cpu_variants.h"
#include "step_case.h"

namespace pyembed {
namespace {

constexpr LearningRate kRate{0.05, 0.03};
constexpr double kTolerance = 1e-5;  // of elements whose magnitude is about 1

bool near(double found, double expected, double relative) {
  return std::abs(found - expected) <= relative * std::abs(expected);
}

void check_loss(const LossSum& found, const LossSum& expected) {
  CHECK(found.pairs == expected.pairs);
  CHECK(near(found.loss, expected.loss, 1e-5));
}

// The step on tables of either type.
template <class Element>
LossSum step(const CpuKernels& kernels, const TokenBlock& block, const Draws& draws, const Model& model,
             const Tables<Element>& tables) {
  const size_t bytes = step_scratch_bytes(draws, tables.dimensions);
  const std::unique_ptr<void, void (*)(void*)> scratch(std::aligned_alloc(64, bytes), std::free);
  std::fill_n(static_cast<unsigned char*>(scratch.get()), bytes, 0xFF);  // NaN, if read before it is written
  const auto train = [&](auto skipgram, auto cbow) {
    return model.cbow
               ? cbow(block, draws, model.options, tables, kRate, block.center_begin, block.center_end, scratch.get())
               : skipgram(block, draws, tables, kRate, block.center_begin, block.center_end, scratch.get());
  };
  if constexpr (std::is_same_v<Element, float>) {
    return train(kernels.skipgram_step, kernels.cbow_step);
  } else {
    return train(kernels.skipgram_step_bfloat16, kernels.cbow_step_bfloat16);
  }
}

// One block trained by the exact kernel in float64, in float32, and by each instruction set.
void check_steps_agree(const Model& model, const TokenBlock& block, const Draws& draws, const TablePair<float>& tables,
                       std::mt19937& random) {
  auto expected = TablePair<double>::copy(tables, 1, 2);
  const LossSum loss = model.exact_step(block, draws, expected, kRate);
  auto single = TablePair<float>::copy(tables, 3, 0);
  check_loss(model.exact_step(block, draws, single, kRate), loss);
  CHECK(largest_difference(single, expected) < kTolerance);
  for (const CpuKernels* kernels : cpu_variants()) {
    auto found = TablePair<float>::copy(tables, random() % 20, random() % 20);
    check_loss(model.step(*kernels, block, draws, found, kRate), loss);
    CHECK(largest_difference(found, expected) < kTolerance);
    found.in.check_padding();
    found.out.check_padding();
  }
}

void test_steps_equal_the_exact_kernel_for_every_shape() {
  std::mt19937 random(21);
  size_t turn = 0;
  const std::vector<Model> models = all_models();
  for (const int64_t D : {1, 7, 16, 31, 100, 112, 128, 300, 513}) {
    for (const int K : {1, 2, 3, 4, 5, 6, 7, 12, 20}) {
      const int window = 1 + static_cast<int>(turn % 10);
      const uint32_t V = 2 * static_cast<uint32_t>(window) + 1 + static_cast<uint32_t>(random() % 400);
      const Corpus corpus(cycling_ids(120, V), random);
      const std::vector<uint32_t> alias_table = random_alias_table(V, random);
      const Draws draws{alias_table.data(), V, window, K, kPerWindow, random(), static_cast<uint32_t>(random()),
                        turn % 4 != 0};
      const int64_t margin = static_cast<int64_t>(turn % 3) * 9;  // tokens that are contexts only
      const uint64_t first_positions[] = {0, (uint64_t{1} << 32) - 50, (uint64_t{1} << 40) - 50};
      const TokenBlock block = corpus.block(margin, 120 - margin, first_positions[turn % 3]);
      const TablePair<float> tables = random_tables(V, D, 1, random);
      check_steps_agree(models[0], block, draws, tables, random);
      check_steps_agree(models[1 + turn % (models.size() - 1)], block, draws, tables, random);
      ++turn;
    }
  }
}

// Where outputs repeat in most windows.
void test_tiny_vocabularies() {
  std::mt19937 random(22);
  for (const Model& model : all_models()) {
    for (uint32_t V = 1; V <= 9; ++V) {
      const int window = V < 3 ? 1 : static_cast<int>(V - 1) / 2;
      const Corpus corpus(cycling_ids(100, V), random);
      const std::vector<uint32_t> alias_table = random_alias_table(V, random);
      for (const int K : {1, 2, 5, 7}) {
        if (V < 3 && !model.cbow) continue;  // no window of distinct contexts is left: see the next test
        const Draws draws{alias_table.data(), V, window, K, kPerWindow, random(), 0};
        check_steps_agree(model, corpus.whole(), draws, random_tables(V, 20, 1, random), random);
      }
    }
  }
}

// A context that stands twice is updated one time after the other: no update is lost, and the difference to the exact
// kernel, which evaluates the window as it was before, is of second order in the learning rate.
void test_repeated_contexts_lose_no_update() {
  std::mt19937 random(23);
  const uint32_t V = 500;
  const std::vector<uint32_t> alias_table = random_alias_table(V, random);
  for (const Model& model : all_models()) {
    for (const uint32_t different : {1u, 2u, 4u}) {
      for (const int K : {3, 5, 8}) {
        const Corpus corpus(random_ids(100, different, random), random);
        const Draws draws{alias_table.data(), V, 5, K, kPerWindow, random(), 0};
        const TablePair<float> tables = random_tables(V, 40, 1, random);
        for (const CpuKernels* kernels : cpu_variants()) {
          for (const double lr : {1e-3, 4e-3}) {
            auto expected = TablePair<double>::copy(tables, 0, 0);
            auto found = TablePair<float>::copy(tables, 5, 3);
            const LossSum loss = model.exact_step(corpus.whole(), draws, expected, {lr, lr});
            const LossSum found_loss = model.step(*kernels, corpus.whole(), draws, found, {lr, lr});
            CHECK(found_loss.pairs == loss.pairs);
            CHECK(near(found_loss.loss, loss.loss, 3 * lr));
            const double change = largest_difference(tables, expected);
            CHECK(change > lr);
            CHECK(largest_difference(found, expected) <= 3 * lr * change + kTolerance);
          }
        }
      }
    }
  }
}

// Hogwild threads train ranges of a block; how it is cut changes no bit on one thread.
void test_ranges_train_what_the_block_trains() {
  std::mt19937 random(24);
  const uint32_t V = 900;
  const int64_t T = 1500;
  const std::vector<uint32_t> alias_table = random_alias_table(V, random);
  const Corpus corpus(random_ids(T, V, random), random);
  const TokenBlock block = corpus.block(5, T - 5);
  for (const Model& model : all_models()) {
    for (const int K : {5, 9}) {
      const Draws draws{alias_table.data(), V, 4, K, kPerWindow, 77, 2};
      const TablePair<float> tables = random_tables(V, 37, 1, random);
      for (const CpuKernels* kernels : cpu_variants()) {
        auto whole = TablePair<float>::copy(tables, 0, 0);
        const LossSum loss = model.step(*kernels, block, draws, whole, kRate);
        auto cut = TablePair<float>::copy(tables, 0, 0);
        LossSum sum{0, 0};
        int64_t begin = block.center_begin;
        for (const int64_t end : {5, 6, 7, 40, 261, 262, 517, 900, 900, 1495}) {
          const LossSum piece = model.step(*kernels, block, draws, cut, kRate, begin, end);
          sum.loss += piece.loss;
          sum.pairs += piece.pairs;
          begin = end;
        }
        check_loss(sum, loss);
        CHECK(largest_difference(cut, whole) == 0);
      }
    }
  }
}

void test_losses_of_large_scores_stay_right_and_a_rate_of_zero_changes_nothing() {
  std::mt19937 random(25);
  const uint32_t V = 200;
  const std::vector<uint32_t> alias_table = random_alias_table(V, random);
  const Corpus corpus(random_ids(300, V, random), random);
  const Draws draws{alias_table.data(), V, 5, 5, kPerWindow, 1, 1};
  for (const float spread : {0.001f, 10.0f, 100.0f, 1000.0f}) {
    const TablePair<float> tables = random_tables(V, 50, spread, random);
    for (const Model& model : all_models()) {
      auto expected = TablePair<double>::copy(tables, 0, 0);
      const LossSum loss = model.exact_step(corpus.whole(), draws, expected, {0, 0});
      for (const CpuKernels* kernels : cpu_variants()) {
        auto found = TablePair<float>::copy(tables, 0, 0);
        check_loss(model.step(*kernels, corpus.whole(), draws, found, {0, 0}), loss);
        CHECK(largest_difference(found, tables) == 0);
      }
    }
  }
}

void test_blocks_without_a_pair() {
  std::mt19937 random(26);
  const std::vector<uint32_t> alias_table = random_alias_table(9, random);
  const Draws draws{alias_table.data(), 9, 3, 5, kPerWindow, 1, 1};
  const BlocksWithoutAPair blocks(9, random);
  const TablePair<float> tables = random_tables(9, 10, 1, random);
  for (const TokenBlock& block : blocks.all()) {
    for (const Model& model : all_models()) {
      for (const CpuKernels* kernels : cpu_variants()) {
        auto found = TablePair<float>::copy(tables, 0, 0);
        const LossSum loss = model.step(*kernels, block, draws, found, kRate);
        CHECK(loss.pairs == 0 && loss.loss == 0);
        CHECK(largest_difference(found, tables) == 0);
      }
    }
  }
}

void test_copies_of_hot_rows_train_as_the_rows_do() {
  std::mt19937 random(28);
  const uint32_t V = 90;
  const std::vector<uint32_t> alias_table = random_alias_table(V, random);
  const Corpus corpus(random_ids(300, V, random), random);
  const TokenBlock block = corpus.block(3, 290);
  for (const int64_t D : {7, 32, 100}) {
    const TablePair<float> start = random_tables(V, D, 1, random);
    for (const int sharing : {kPerPair, kPerWindow, 6}) {
      for (const Model& model : all_models()) {
        if (sharing == kPerPair && model.cbow) continue;  // a window is one pair
        const Draws draws{alias_table.data(), V, 4, 5, sharing, 77, 2};
        for (const CpuKernels* kernels : cpu_variants()) {
          check_copies_train_as_the_rows(start, {0, 40, {}}, {20, 64, {}},
                                         [&](const auto& view) { return step(*kernels, block, draws, model, view); });
        }
      }
    }
  }
}

// Rounding adds noise that is small beside what was learnt; how a block is cut changes no bit.
void test_bfloat16_steps_end_near_float32_ones() {
  std::mt19937 random(27);
  const uint32_t V = 40;
  const std::vector<uint32_t> alias_table = random_alias_table(V, random);
  for (const int64_t D : {1, 7, 16, 31, 40, 100, 112, 300}) {
    for (const int K : {1, 5, 9}) {
      const Corpus corpus(random_ids(200, V, random), random);
      const Draws draws{alias_table.data(), V, 4, K, kPerWindow, random(), 3};
      const TokenBlock block = corpus.block(3, 197);
      const TablePair<float> tables = random_tables(V, D, 1, random);
      for (const CpuKernels* kernels : cpu_variants()) {
        HalfTable in(tables.in, 5), out(tables.out, 3);
        HalfTable in_cut = in, out_cut = out;
        TablePair<float> single = TablePair<float>::copy(tables, 0, 0);
        for (int64_t r = 0; r < V; ++r) {
          for (int64_t d = 0; d < D; ++d) {
            single.in.at(r, d) = value_of(in.at(r, d));
            single.out.at(r, d) = value_of(out.at(r, d));
          }
        }
        const LossSum loss = all_models()[0].step(*kernels, block, draws, single, kRate);
        const double change = in.distance(single.in) + out.distance(single.out);
        const size_t bytes = step_scratch_bytes(draws, D);
        const std::unique_ptr<void, void (*)(void*)> scratch(std::aligned_alloc(64, bytes), std::free);
        const auto step = [&](HalfTable& contexts, HalfTable& outputs, int64_t begin, int64_t end) {
          std::fill_n(static_cast<unsigned char*>(scratch.get()), bytes, 0xFF);
          const Tables<BFloat16> view{contexts.elements.data(), outputs.elements.data(), D, contexts.stride,
                                      outputs.stride};
          return kernels->skipgram_step_bfloat16(block, draws, view, kRate, begin, end, scratch.get());
        };
        const LossSum found = step(in, out, 3, 197);
        CHECK(found.pairs == loss.pairs);
        CHECK(near(found.loss, loss.loss, 0.02));
        step(in_cut, out_cut, 3, 80);
        step(in_cut, out_cut, 80, 197);
        CHECK(in_cut == in);
        CHECK(out_cut == out);
        CHECK(in.distance(single.in) + out.distance(single.out) < 0.04 * change);
        in.check_padding();
        out.check_padding();
      }
    }
  }
}

}  // namespace
}  // namespace pyembed

int main() {
  pyembed::test_steps_equal_the_exact_kernel_for_every_shape();
  pyembed::test_tiny_vocabularies();
  pyembed::test_repeated_contexts_lose_no_update();
  pyembed::test_ranges_train_what_the_block_trains();
  pyembed::test_losses_of_large_scores_stay_right_and_a_rate_of_zero_changes_nothing();
  pyembed::test_blocks_without_a_pair();
  pyembed::test_copies_of_hot_rows_train_as_the_rows_do();
  pyembed::test_bfloat16_steps_end_near_float32_ones();
  pyembed::print_variants("training steps");
}
