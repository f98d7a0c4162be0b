// The CPU kernels of one instruction set, and the choice among them at run time.
#pragma once

#include "kernels/bfloat16.h"
#include "kernels/pairs.h"
#include "kernels/rows.h"
#include "kernels/training.h"

namespace pyembed {

// Those that work on rows by their ids. Compiled apart from those of windows: either takes a compiler long enough.
struct CpuRowKernels {
  PairKernels<float> pairs;
  PairKernels<double> double_pairs;

  RowKernels<float> rows;
  RowKernels<double> double_rows;
  RowKernels<Float16> float16_rows;
  RowKernels<BFloat16> bfloat16_rows;
};

constexpr int kMostWindows = 16;  // that train together

// Those that train batches of windows together, the windows of draws.sharing successive positions; draws.negative
// counts the negatives of a batch, each of this weight. Otherwise as CpuKernels' steps. A piece [begin, end) has the
// batches whose first center lies in it. scratch: batch_scratch_bytes().
struct CpuBatchKernels {
  LossSum (*skipgram_step)(const TokenBlock& block, const Draws& draws, float negative_weight,
                           const Tables<float>& tables, const LearningRate& rate, int64_t begin, int64_t end,
                           void* scratch);
  LossSum (*skipgram_step_bfloat16)(const TokenBlock& block, const Draws& draws, float negative_weight,
                                    const Tables<BFloat16>& tables, const LearningRate& rate, int64_t begin,
                                    int64_t end, void* scratch);
  LossSum (*cbow_step)(const TokenBlock& block, const Draws& draws, float negative_weight, const CbowOptions& options,
                       const Tables<float>& tables, const LearningRate& rate, int64_t begin, int64_t end,
                       void* scratch);
  LossSum (*cbow_step_bfloat16)(const TokenBlock& block, const Draws& draws, float negative_weight,
                                const CbowOptions& options, const Tables<BFloat16>& tables, const LearningRate& rate,
                                int64_t begin, int64_t end, void* scratch);
};

// The same by products of bfloat16 matrices, of at most kProductRows outputs, and as many contexts.
struct CpuProductKernels {
  const char* name;  // "amx" or "avx512_bf16"
  decltype(CpuBatchKernels::skipgram_step) skipgram_step;
  decltype(CpuBatchKernels::skipgram_step_bfloat16) skipgram_step_bfloat16;
  decltype(CpuBatchKernels::cbow_step) cbow_step;  // null: not as fast as by float32; of at most kMostCbowWindows
  decltype(CpuBatchKernels::cbow_step_bfloat16) cbow_step_bfloat16;
};

constexpr int kProductRows = 16;
constexpr int kMostCbowWindows = 6;

inline bool fits_products(const Draws& draws) {
  return draws.sharing + draws.negative <= kProductRows && 2 * draws.window + draws.sharing <= kProductRows;
}

struct CpuKernels {
  const char* name;  // "avx512", "avx2", "neon" or "plain"

  // Trains the centers [begin, end) of the block, one window after the other; several threads may train ranges of one
  // block at the same time (Hogwild). scratch: step_scratch_bytes(), aligned to 64, one for each thread.
  LossSum (*skipgram_step)(const TokenBlock& block, const Draws& draws, const Tables<float>& tables,
                           const LearningRate& rate, int64_t begin, int64_t end, void* scratch);
  LossSum (*skipgram_step_bfloat16)(const TokenBlock& block, const Draws& draws, const Tables<BFloat16>& tables,
                                    const LearningRate& rate, int64_t begin, int64_t end, void* scratch);
  LossSum (*cbow_step)(const TokenBlock& block, const Draws& draws, const CbowOptions& options,
                       const Tables<float>& tables, const LearningRate& rate, int64_t begin, int64_t end,
                       void* scratch);
  LossSum (*cbow_step_bfloat16)(const TokenBlock& block, const Draws& draws, const CbowOptions& options,
                                const Tables<BFloat16>& tables, const LearningRate& rate, int64_t begin, int64_t end,
                                void* scratch);

  // The same with the nodes of the center's path as outputs, whose table is tables.out. draws.negative: one less than
  // the longest path's nodes, for the scratch.
  LossSum (*skipgram_hs_step)(const TokenBlock& block, const Draws& draws, const Paths& paths,
                              const Tables<float>& tables, const LearningRate& rate, int64_t begin, int64_t end,
                              void* scratch);
  LossSum (*skipgram_hs_step_bfloat16)(const TokenBlock& block, const Draws& draws, const Paths& paths,
                                       const Tables<BFloat16>& tables, const LearningRate& rate, int64_t begin,
                                       int64_t end, void* scratch);
  LossSum (*cbow_hs_step)(const TokenBlock& block, const Draws& draws, const Paths& paths, const CbowOptions& options,
                          const Tables<float>& tables, const LearningRate& rate, int64_t begin, int64_t end,
                          void* scratch);
  LossSum (*cbow_hs_step_bfloat16)(const TokenBlock& block, const Draws& draws, const Paths& paths,
                                   const CbowOptions& options, const Tables<BFloat16>& tables, const LearningRate& rate,
                                   int64_t begin, int64_t end, void* scratch);

  // Draws of the centers at positions first .. first + count - 1: radius [count], outputs [count, 1 + K] (the centers'
  // ids first), repeated [count]: two of the outputs are the same row. lanes: [1 + K, 8], scratch.
  void (*draw_windows)(const Draws& draws, uint64_t first, int64_t count, const int32_t* centers, uint64_t* lanes,
                       int32_t* radius, int32_t* outputs, uint8_t* repeated);

  // Negatives of the positions first .. first + count - 1, each position's own: ids [count, K].
  void (*draw_negatives)(const Draws& draws, uint64_t first, int64_t count, int32_t* ids);

  const CpuRowKernels& by_id;
  const CpuBatchKernels& batches;
};

// The kernels of each instruction set; null where this build or this processor lacks it.
const CpuKernels* avx512_kernels();
const CpuKernels* avx2_kernels();
const CpuKernels* neon_kernels();
const CpuKernels* plain_kernels();  // never null

// Null where this build or this processor lacks AMX, or the system does not lend it.
const CpuProductKernels* amx_kernels();
// Null where they are not there, or not as fast as multiply-adds of float32.
const CpuProductKernels* avx512bf16_kernels();

// The fastest that this processor runs.
const CpuKernels& best_cpu_kernels();
const CpuProductKernels* best_product_kernels();  // null: none

size_t step_scratch_bytes(const Draws& draws, int64_t dimensions);
size_t batch_scratch_bytes(const Draws& draws, int64_t dimensions);

}  // namespace pyembed
