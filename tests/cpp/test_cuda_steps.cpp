// The CUDA training kernels under the execution shim, against the exact kernels of the CPU in float64: every shape of
// window, row and block. With the argument "quick", a choice of them that takes a second.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <set>
#include <vector>

#include "cuda_case.h"

namespace pyembed {
namespace {

bool quick = false;

// Rows of any length take the kernel of single elements; rows of whole packs take the fast one.
void check_both_kernels(const Model& model, const Case& example, int64_t D, std::mt19937& random) {
  const TablePair<float> tables = random_tables(example.draws.vocabulary, D, 1, random);
  const WriteBack write_back = random() % 2 ? WriteBack::add : WriteBack::store;
  simt::set_seed(random() % 4);
  const auto frequent = static_cast<int32_t>(random() % 3 * example.draws.vocabulary / 2);  // none, half of them, all
  if (!quick) check_step(model, example, tables, random() % 20, random() % 20, write_back, frequent);
  const TablePair<float> packed = with_whole_packs(tables);
  check_step(model, example, packed, 4 * (random() % 3), 4 * (random() % 3), WriteBack::add, frequent);
  check_step(model, example, packed, 4 * (random() % 3), 4 * (random() % 3), WriteBack::store, frequent);
}

void test_steps_equal_the_exact_kernel_for_every_shape() {
  std::mt19937 random(31);
  const std::vector<Shape> shapes = {{1, 1, 1},  {2, 5, 1},  {3, 2, 7},     {4, 6, kPerPair}, {5, 5, 16}, {6, 3, 2},
                                     {7, 7, 1},  {8, 20, 5}, {9, 12, 1000}, {10, 20, 1},      {5, 5, 1},  {2, 1, 3},
                                     {3, 11, 1}, {4, 17, 4}, {10, 4, 40},   {5, 12, kPerPair}};
  size_t turn = 0;
  for (const int64_t D : {1, 31, 100, 128, 300, 513}) {
    if (quick && D != 31 && D != 300) continue;
    for (size_t i = 0; i < shapes.size(); ++i, ++turn) {
      // Colliding rows, contexts that repeat within reach, and rows that are all different.
      const uint32_t vocabularies[] = {3, 12, 2000};
      const uint64_t first_positions[] = {0, (uint64_t{1} << 32) - 20, (uint64_t{1} << 40) - 20, 13};
      const int64_t tokens = D < 200 ? 75 : 30;
      Shape shape = shapes[i];
      shape.shrink_windows = turn % 5 != 2;
      const Case example(shape, vocabularies[turn % 3], tokens, static_cast<int64_t>(turn % 2) * 9,
                         first_positions[turn % 4], random);
      const std::vector<Model> models = all_models();
      if (shape.sharing == kPerPair) {
        check_both_kernels(models[0], example, D, random);
      } else if (quick) {
        check_both_kernels(models[turn % 3 == 0 ? 1 + turn % 4 % 3 : 0], example, D, random);
      } else {
        check_both_kernels(models[0], example, D, random);
        check_both_kernels(models[1 + turn % 3], example, D, random);
      }
    }
  }
}

// What the fast kernel's memory just holds, and what it no longer does.
void test_the_largest_shapes() {
  std::mt19937 random(32);
  for (const Shape& shape : std::vector<Shape>{{15, 30, 1, false}, {15, 30, 6}, {16, 5, 1}, {3, 31, 4}}) {
    for (const int64_t D : {8, 512}) {
      const Case example(shape, 100, 50, 0, 3, random);
      check_both_kernels(all_models()[0], example, D, random);
      check_both_kernels(all_models()[1], example, D, random);
    }
  }
}

void test_blocks_without_a_pair() {
  std::mt19937 random(33);
  const std::vector<uint32_t> alias_table = random_alias_table(9, random);
  const Draws draws{alias_table.data(), 9, 3, 5, kPerWindow, 1, 1};
  const BlocksWithoutAPair blocks(9, random);
  for (const int64_t D : {10, 16}) {
    const TablePair<float> tables = random_tables(9, D, 1, random);
    for (const TokenBlock& block : blocks.all()) {
      for (const Model& model : all_models()) {
        for (const int64_t warps : {kAllWarps, int64_t{1}}) {
          auto found = TablePair<float>::copy(tables, 0, 0);
          const LossSum loss = launch_step(model, block, draws, found.view(), kRate, warps, WriteBack::add);
          CHECK(loss.pairs == 0 && loss.loss == 0);
          CHECK(largest_difference(found, tables) == 0);
        }
      }
    }
  }
}

// Pairs of words that meet no other word, with negatives that nobody else draws: the order of windows is all the same.
void test_warps_on_distinct_rows_train_what_one_does() {
  std::mt19937 random(34);
  const uint32_t V = 20000;
  const int64_t T = 40;
  const std::vector<uint32_t> alias_table = random_alias_table(V, random);
  std::vector<int64_t> starts;
  for (int64_t s = 0; s <= T; s += 2) starts.push_back(s);
  std::vector<int32_t> ids(T);
  Draws draws{alias_table.data(), V, 2, 2, kPerWindow, 0, 0};
  for (std::set<int32_t> outputs; outputs.size() < 3 * T; ++draws.seed) {
    outputs.clear();
    for (int64_t t = 0; t < T; ++t) {
      outputs.insert(ids[static_cast<size_t>(t)] = static_cast<int32_t>(random() % V));
      int32_t negatives[2];
      negative_ids(draws, static_cast<uint64_t>(t), 0, negatives);
      outputs.insert({negatives[0], negatives[1]});
    }
  }
  --draws.seed;  // the one that was tried last
  const TokenBlock block{ids.data(), starts.data(), T, static_cast<int64_t>(starts.size()) - 1, 0, 0, T};
  for (const int64_t D : {5, 16}) {
    const TablePair<float> tables = random_tables(V, D, 1, random);
    for (const Model& model : all_models()) {
      auto expected = TablePair<double>::copy(tables, 0, 0);
      const LossSum loss = model.exact_step(block, draws, expected, kRate);
      for (const WriteBack write_back : {WriteBack::add, WriteBack::store}) {
        auto found = TablePair<float>::copy(tables, 0, 0);
        check_loss(launch_step(model, block, draws, found.view(), kRate, kAllWarps, write_back), loss);
        CHECK(largest_difference(found, expected) < kTolerance);
      }
    }
  }
}

// As the learning rate tends to 0, what a table changes by tends to the gradient of the block: of many warps that hold
// the same rows none loses an update. Stored rows do lose some, and all the rest of the kernel is as it was.
void test_updates_of_many_warps_add_up() {
  std::mt19937 random(35);
  constexpr double lr = 2e-5;
  int lost = 0;
  for (const int sharing : {1, 4}) {
    for (const int64_t D : {5, 16, 128}) {
      const Case example({3, 4, sharing}, 25, quick ? 150 : 300, 0, 11, random);
      const TablePair<float> tables = random_tables(25, D, 1, random);
      for (const Model& model : all_models()) {
        auto exact = TablePair<double>::copy(tables, 0, 0);
        auto expected = TablePair<double>::copy(tables, 0, 0);
        const LossSum loss = exact_gradient(model, example.block, example.draws, -lr, exact.view(), expected.view());
        const double change = largest_difference(expected, tables);
        for (const WriteBack write_back : {WriteBack::add, WriteBack::store}) {
          simt::set_seed(random());
          auto found = TablePair<float>::copy(tables, 0, 0);
          const LossSum found_loss = launch_step(model, example.block, example.draws, found.view(), {lr, lr}, kAllWarps,
                                                 write_back, static_cast<int32_t>(random() % 3) * 12);
          CHECK(found_loss.pairs == loss.pairs);
          CHECK(close(found_loss.loss, loss.loss, 1e-2));
          const double difference = largest_difference(found, expected);
          if (write_back == WriteBack::add) CHECK(difference < 0.01 * change);
          CHECK(difference < 1.01 * change);
          if (difference > 0.02 * change) ++lost;
        }
      }
    }
  }
  CHECK(lost > 0);
}

void test_a_rate_of_zero_changes_nothing_and_large_scores_have_their_loss() {
  std::mt19937 random(36);
  for (const float spread : {0.001f, 10.0f, 1000.0f}) {
    for (const int64_t D : {24, 50}) {
      const Case example({5, 5, 1}, 60, 100, 0, 1, random);
      const TablePair<float> tables = random_tables(60, D, spread, random);
      for (const Model& model : all_models()) {
        auto expected = TablePair<double>::copy(tables, 0, 0);
        const LossSum loss = model.exact_step(example.block, example.draws, expected, {0, 0});
        for (const WriteBack write_back : {WriteBack::add, WriteBack::store}) {
          auto found = TablePair<float>::copy(tables, 0, 0);
          check_loss(launch_step(model, example.block, example.draws, found.view(), {0, 0}, kAllWarps, write_back),
                     loss);
          CHECK(largest_difference(found, tables) == 0);
        }
      }
    }
  }
}

// Columns of 0 behind the vectors stay 0, and what lies between two rows stays as it is.
void test_padding_is_left_alone() {
  std::mt19937 random(37);
  const Case example({5, 5, 1}, 40, 100, 0, 1, random);
  for (const Model& model : all_models()) {
    TablePair<float> found = TablePair<float>::copy(with_whole_packs(random_tables(40, 100, 1, random)), 4, 8);
    launch_step(model, example.block, example.draws, found.view(), kRate, kAllWarps, WriteBack::add);
    found.in.check_padding();
    found.out.check_padding();
    for (int64_t r = 0; r < 40; ++r) {
      for (int64_t d = 100; d < 112; ++d) CHECK(found.in.at(r, d) == 0 && found.out.at(r, d) == 0);
    }
  }
}

// Rounding adds noise that is small beside what was learnt.
void test_bfloat16_steps_end_near_float32_ones() {
  std::mt19937 random(38);
  const uint32_t V = 40;
  size_t turn = 0;
  for (const int64_t D : {7, 31, 40, 128, 304}) {
    if (quick && D != 40) continue;
    for (const Shape& shape : std::vector<Shape>{{4, 5, 1}, {2, 9, 6}}) {
      const Case example(shape, V, D > 128 ? 80 : 200, 3, 5, random);
      const TablePair<float> tables = random_tables(V, D, 1, random);
      const bool cbow = turn % 2 == 1;
      const Model model = all_models()[cbow ? 1 : 0];
      for (const WriteBack write_back : {WriteBack::add, WriteBack::store}) {
        for (const int64_t warps : {int64_t{1}, kAllWarps}) {
          if (warps == kAllWarps && write_back == WriteBack::store) continue;  // loses updates
          simt::set_seed(++turn);
          HalfTable in(tables.in, D % 8 == 0 ? 8 : 5), out(tables.out, D % 8 == 0 ? 16 : 3);
          TablePair<float> single = TablePair<float>::copy(tables, 0, 0);
          for (int64_t r = 0; r < V; ++r) {
            for (int64_t d = 0; d < D; ++d) {
              single.in.at(r, d) = value_of(in.at(r, d));
              single.out.at(r, d) = value_of(out.at(r, d));
            }
          }
          const LossSum loss = model.exact_step(example.block, example.draws, single, kRate);
          const double change = in.distance(single.in) + out.distance(single.out);
          const Tables<BFloat16> view{in.elements.data(), out.elements.data(), D, in.stride, out.stride};
          const auto frequent = static_cast<int32_t>(turn % 2 * V / 2);
          const LossSum found =
              launch_step(model, example.block, example.draws, view, kRate, warps, write_back, frequent);
          CHECK(found.pairs == loss.pairs);
          // Many warps train in another order.
          CHECK(close(found.loss, loss.loss, warps == 1 ? 0.002 : 0.1));
          CHECK(in.distance(single.in) + out.distance(single.out) < (warps == 1 ? 0.004 : 0.15) * change);
          in.check_padding();
          out.check_padding();
        }
      }
    }
  }
}

// In float64 the order of summation is all that may differ.
void test_gradients_equal_those_of_the_exact_kernel() {
  std::mt19937 random(39);
  size_t turn = 0;
  for (const int64_t D : {1, 31, 128}) {
    for (const Shape& shape : std::vector<Shape>{{1, 1, 1}, {5, 5, 1}, {5, 5, 1, false}, {3, 4, 6}, {4, 3, kPerPair}}) {
      for (const uint32_t V : {3u, 200u}) {
        const Case example(shape, V, 60, 4, 9, random);
        const Model model = all_models()[shape.sharing == kPerPair ? 0 : turn % 4];
        simt::set_seed(turn++);
        const TablePair<float> single = random_tables(V, D, 1, random);
        auto tables = TablePair<double>::copy(single, 0, 0);
        TablePair<float> zero = single;
        zero.in.fill_uniformly(0, random);
        zero.out.fill_uniformly(0, random);
        auto expected = TablePair<double>::copy(zero, 0, 0), found = TablePair<double>::copy(zero, 2, 3);
        auto found_single = TablePair<float>::copy(zero, 0, 1);
        const LossSum loss = exact_gradient(model, example.block, example.draws, 0.7, tables.view(), expected.view());
        check_loss(launch_gradient(model, example.block, example.draws, 0.7, tables.view(), found.view()), loss);
        CHECK(largest_difference(found, expected) < 1e-12 * (1 + largest_difference(zero, expected)));
        auto single_copy = single;
        check_loss(launch_gradient(model, example.block, example.draws, 0.7, single_copy.view(), found_single.view()),
                   loss);
        CHECK(largest_difference(found_single, expected) < 1e-5 * (1 + largest_difference(zero, expected)));
        check_loss(launch_gradient(model, example.block, example.draws, 0.7, tables.view(), Tables<double>{}), loss);
      }
    }
  }
}

}  // namespace
}  // namespace pyembed

int main(int argc, char** argv) {
  using namespace pyembed;
  quick = argc == 2 && std::strcmp(argv[1], "quick") == 0;
  test_steps_equal_the_exact_kernel_for_every_shape();
  test_updates_of_many_warps_add_up();
  test_bfloat16_steps_end_near_float32_ones();
  if (!quick) test_the_largest_shapes();
  test_blocks_without_a_pair();
  test_warps_on_distinct_rows_train_what_one_does();
  test_a_rate_of_zero_changes_nothing_and_large_scores_have_their_loss();
  test_padding_is_left_alone();
  test_gradients_equal_those_of_the_exact_kernel();
  std::printf("CUDA training steps: all promises hold\n");
}
