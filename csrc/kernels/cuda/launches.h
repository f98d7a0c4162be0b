// The CUDA kernels as host functions: each launches on a stream and returns at once. Every pointer is to memory of the
// current device, except where a comment says otherwise. Spec: pyembed/reference.py.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/bfloat16.h"
#include "kernels/training.h"

namespace pyembed {

// How a row that a warp has changed goes back to its table.
enum class WriteBack {
  add,   // what it changed by is added atomically: nothing is lost, however many warps hold the row
  store  // the row is stored: of two warps that hold a row at the same time, the later one's change stands
};

struct LaunchOptions {
  void* stream;          // cudaStream_t
  int64_t warps;         // that train at the same time; 1: windows one after the other; 0: as many as the device holds
  WriteBack write_back;  // of the training kernels
  // Rows of in_vectors below this one are so frequent that many warps hold them at the same time: they go back and come
  // anew after every window. Held for longer, they would gather so many changes that none of these warps knows of that
  // the sum overshoots.
  int32_t frequent = 0;
};

// Training steps over a block, in place. total: [2], the sum of losses and the number of positive pairs are added to
// it. Element: float, double or BFloat16.
template <class Element>
cudaError_t launch_skipgram_step(const TokenBlock& block, const Draws& draws, const Tables<Element>& tables,
                                 const LearningRate& rate, const LaunchOptions& options, double* total);

template <class Element>
cudaError_t launch_cbow_step(const TokenBlock& block, const Draws& draws, const CbowOptions& cbow,
                             const Tables<Element>& tables, const LearningRate& rate, const LaunchOptions& options,
                             double* total);

// The same for what has no faster kernel: any type, stride and alignment of rows, any window and number of negatives.
template <class Element>
cudaError_t launch_exact_skipgram_step(const TokenBlock& block, const Draws& draws, const Tables<Element>& tables,
                                       const LearningRate& rate, const LaunchOptions& options, double* total);

template <class Element>
cudaError_t launch_exact_cbow_step(const TokenBlock& block, const Draws& draws, const CbowOptions& cbow,
                                   const Tables<Element>& tables, const LearningRate& rate,
                                   const LaunchOptions& options, double* total);

// Losses of a block and, where write.in is not null, scale * their gradient, added to `write`. Real: float or double.
template <class Real>
cudaError_t launch_skipgram_gradient(const TokenBlock& block, const Draws& draws, double scale,
                                     const Tables<Real>& read, const Tables<Real>& write, void* stream, double* total);

template <class Real>
cudaError_t launch_cbow_gradient(const TokenBlock& block, const Draws& draws, const CbowOptions& cbow, double scale,
                                 const Tables<Real>& read, const Tables<Real>& write, void* stream, double* total);

// Draws of the block's B centers: radius [B], outputs [B, 1 + K], or [B, 2W, 1 + K] where every pair has its own.
cudaError_t launch_draw_windows(const TokenBlock& block, const Draws& draws, int32_t* radius, int32_t* outputs,
                                void* stream);

// K draws for each of `count` positions: ids [count, K].
cudaError_t launch_draw_negatives(const Draws& draws, uint64_t first_position, int64_t count, int32_t* ids,
                                  void* stream);

// Looks at every index that a block holds. bad: [3], indices of the first token with an id that is not below V, of the
// first sentence start below its predecessor, and of the first alias that is not below V; -1 where there is none.
cudaError_t launch_check_block(const TokenBlock& block, const Draws& draws, int64_t* bad, void* stream);

// Tokens of the corpus that follow one another, the sentences that start among them, and what keeping them depends on.
struct RawTokens {
  const int32_t* ids;  // [tokens]
  int64_t tokens;
  uint64_t first_position;         // position of ids[0] in the corpus
  const int64_t* sentence_starts;  // [sentences], ascending positions
  int64_t sentences;
  const uint32_t* keep_threshold;  // [vocabulary]
  uint32_t vocabulary;
  uint64_t seed;
  uint32_t epoch;
};

// Elements of scratch that launch_keep_tokens needs.
int64_t keep_scratch_size(const RawTokens& tokens);

// Writes the kept ids to kept [tokens] and, for each sentence start, how many are kept before it to kept_before
// [sentences]. found: [3], how many are kept, then indices of the first token with an id that is not below V and of the
// first sentence start that is below its predecessor or not among the positions; -1 where there is none. A bad token is
// not kept, the counts of a bad start are not written.
cudaError_t launch_keep_tokens(const RawTokens& tokens, int32_t* kept, int64_t* kept_before, int64_t* scratch,
                               int64_t* found, void* stream);

}  // namespace pyembed
