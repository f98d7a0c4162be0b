// What a test of the CUDA training kernels needs: a random case, and the step of a model as a launch of its kernel.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "check.h"
#include "kernels/cuda/launches.h"
#include "step_case.h"

namespace pyembed {

inline void check_launched(cudaError_t error) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "%s\n", cudaGetErrorString(error));
  std::exit(1);
}

constexpr int64_t kAllWarps = 0;

// Runs the model's kernel over the block; frequent: as in LaunchOptions.
template <class Element>
LossSum launch_step(const Model& model, const TokenBlock& block, const Draws& draws, const Tables<Element>& tables,
                    const LearningRate& rate, int64_t warps, WriteBack write_back, int32_t frequent = 0) {
  double total[2] = {0, 0};
  const LaunchOptions options{nullptr, warps, write_back, frequent};
  check_launched(model.cbow ? launch_cbow_step(block, draws, model.options, tables, rate, options, total)
                            : launch_skipgram_step(block, draws, tables, rate, options, total));
  return {total[0], static_cast<int64_t>(total[1])};
}

// Losses of the block and scale * their gradient, which is added to `gradient`.
template <class Real>
LossSum launch_gradient(const Model& model, const TokenBlock& block, const Draws& draws, double scale,
                        const Tables<Real>& tables, const Tables<Real>& gradient) {
  double total[2] = {0, 0};
  check_launched(model.cbow ? launch_cbow_gradient(block, draws, model.options, scale, tables, gradient, nullptr, total)
                            : launch_skipgram_gradient(block, draws, scale, tables, gradient, nullptr, total));
  return {total[0], static_cast<int64_t>(total[1])};
}

// The same by the exact kernel of the CPU.
inline LossSum exact_gradient(const Model& model, const TokenBlock& block, const Draws& draws, double scale,
                              const Tables<double>& tables, const Tables<double>& gradient) {
  std::vector<int32_t> contexts(2 * static_cast<size_t>(draws.window)),
      outputs(1 + static_cast<size_t>(draws.negative));
  std::vector<double> scratch(static_cast<size_t>(exact_scratch_size(draws)));
  const Scale constant{scale, nullptr};
  const WindowIds ids{contexts.data(), outputs.data()};
  return model.cbow ? cbow_exact(block, draws, model.options, constant, tables, gradient, ids, scratch.data())
                    : skipgram_exact(block, draws, constant, tables, gradient, ids, scratch.data());
}

// The same vectors with columns of 0 behind them, up to a multiple of 16: what the kernel for whole packs trains.
inline TablePair<float> with_whole_packs(const TablePair<float>& tables) {
  const int64_t V = tables.in.rows(), D = tables.in.dimensions(), columns = (D + 15) / 16 * 16;
  TablePair<float> padded{PaddedTable<float>(V, columns, columns), PaddedTable<float>(V, columns, columns)};
  for (int64_t r = 0; r < V; ++r) {
    for (int64_t d = 0; d < columns; ++d) {
      padded.in.at(r, d) = d < D ? tables.in.at(r, d) : 0;
      padded.out.at(r, d) = d < D ? tables.out.at(r, d) : 0;
    }
  }
  return padded;
}

inline bool close(double found, double expected, double relative) {
  return std::abs(found - expected) <= relative * std::abs(expected);
}

inline void check_loss(const LossSum& found, const LossSum& expected) {
  CHECK(found.pairs == expected.pairs);
  CHECK(close(found.loss, expected.loss, 1e-5));
}

// What a kernel may be asked to draw.
struct Shape {
  int window, negative, sharing;
  bool shrink_windows = true;
};

// A block of random tokens with its noise table.
struct Case {
  std::vector<uint32_t> alias_table;
  Corpus corpus;
  Draws draws;
  TokenBlock block;

  Case(const Shape& shape, uint32_t V, int64_t tokens, int64_t margin, uint64_t first_position, std::mt19937& random)
      : alias_table(random_alias_table(V, random)),
        corpus(random_ids(tokens, V, random), random),
        draws{alias_table.data(),
              V,
              shape.window,
              shape.negative,
              shape.sharing,
              random(),
              static_cast<uint32_t>(random() % 100),
              shape.shrink_windows},
        block(corpus.block(margin, tokens - margin, first_position)) {}
};

constexpr LearningRate kRate{0.05, 0.03};
constexpr double kTolerance = 1e-5;  // of elements whose magnitude is about 1

// Where few rows take part in a window many times, a large rate makes rounding errors grow without bound.
inline LearningRate rate_for(const Draws& draws) {
  const double scale = draws.vocabulary < 20 ? 0.02 : 1;
  return {scale * kRate.begin, scale * kRate.end};
}

// Trains a copy of the tables by one warp and compares it with the exact step. Paddings: elements between two rows.
inline void check_step(const Model& model, const Case& example, const TablePair<float>& tables, int64_t in_padding,
                       int64_t out_padding, WriteBack write_back, int32_t frequent) {
  auto expected = TablePair<double>::copy(tables, 0, 0);
  const LearningRate rate = rate_for(example.draws);
  const LossSum loss = model.exact_step(example.block, example.draws, expected, rate);
  auto found = TablePair<float>::copy(tables, in_padding, out_padding);
  check_loss(launch_step(model, example.block, example.draws, found.view(), rate, 1, write_back, frequent), loss);
  CHECK(largest_difference(found, expected) < kTolerance);
  found.in.check_padding();
  found.out.check_padding();
}

}  // namespace pyembed
