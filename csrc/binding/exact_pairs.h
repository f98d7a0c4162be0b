// An exact step or gradient on explicit pairs: memory, threads and the order of phases around the kernels.
#pragma once

#include <algorithm>

#include "binding/team.h"
#include "binding/workspace.h"
#include "kernels/cpu_kernels.h"
#include "kernels/pairs_plan.h"

namespace pyembed {

inline const PairKernels<float>& pair_kernels(float) { return best_cpu_kernels().by_id.pairs; }
inline const PairKernels<double>& pair_kernels(double) { return best_cpu_kernels().by_id.double_pairs; }

// Adds rate * (label - sigmoid) * row of the other side, summed over all pairs, to `write`; returns the loss. The bits
// of the result do not depend on the number of threads. aliased: the two tables of `write` share memory with each other
// and with `read`. in_rows: of the table of in_vectors.
//
// Memory: 12 bytes (16 for double) an output, 24 a pair, and a row, or two if aliased, for each distinct in_id.
template <class Real>
double run_exact_pairs(const PairIds& pairs, int64_t in_rows, const Tables<Real>& read, const Tables<Real>& write,
                       double rate, bool aliased, int64_t threads) {
  if (pairs.count == 0) return 0;
  const PairKernels<Real>& kernels = pair_kernels(Real{});
  const PairPlan plan = pair_plan(pairs.count, threads);
  threads = std::max<int64_t>(1, std::min<int64_t>(threads, plan.pieces));
  const int64_t stride = pair_stride(read.dimensions), scratch_size = pair_scratch_size(read.dimensions);
  const bool training = write.in != nullptr;

  static thread_local Workspace workspace;
  uint64_t *keys, *spare;
  int32_t* segments;
  uint32_t* cursors;
  int64_t* piece_starts;
  double* losses;
  Real *before, *change, *scratch;
  OutUpdate<Real>* updates;
  workspace.reserve([&](Workspace& memory) {
    keys = memory.room<uint64_t>(pairs.count);
    spare = memory.room<uint64_t>(pairs.count);
    segments = memory.room<int32_t>(pairs.count + 1);
    cursors = memory.room<uint32_t>(plan.pieces * plan.cursor_stride());
    piece_starts = memory.room<int64_t>(plan.pieces + 1);
    losses = memory.room<double>(plan.pieces);
    scratch = memory.room<Real>(threads * scratch_size);
    updates = memory.room<OutUpdate<Real>>(training ? pairs.count * pairs.outputs : 0);
    before = memory.room<Real>(pairs.count * stride);
    change = memory.room<Real>(aliased ? pairs.count * stride : 0);
  });

  ExactPairs<Real> batch{pairs,  keys,    segments,        read, write, rate, before, aliased ? change : nullptr,
                         stride, updates, plan.bucket_bits};
  Team::run(threads, [&](Team& team, int64_t t) {
    team.once([&] {
      batch.order = sort_pairs(pairs, in_rows, keys, spare);
      find_segments(batch.order, pairs.count, plan, segments, piece_starts);
    });
    const auto cursor = [&](int64_t piece) { return cursors + piece * plan.cursor_stride(); };
    team.share(plan.pieces, [&](int64_t piece) {
      const int64_t begin = piece_starts[piece], end = piece_starts[piece + 1];
      if (training) place_updates(pairs, batch.order, segments[begin], segments[end], plan, cursor(piece));
      losses[piece] = kernels.train_in_rows(batch, begin, end, cursor(piece), scratch + t * scratch_size);
    });
    if (!training) return;
    team.share(plan.buckets(), [&](int64_t bucket) {
      for (int64_t piece = 0; piece < plan.pieces; ++piece) {
        const uint32_t* const ends = cursor(piece);  // of buckets, by now
        const int64_t room = int64_t{segments[piece_starts[piece]]} * pairs.outputs;
        kernels.train_out_rows(batch, bucket > 0 ? ends[bucket - 1] : room, ends[bucket]);
      }
    });
    if (aliased) {
      team.share(plan.pieces, [&](int64_t piece) { add_changes(batch, piece_starts[piece], piece_starts[piece + 1]); });
    }
  });
  double loss = 0;
  for (int piece = 0; piece < plan.pieces; ++piece) loss += losses[piece];
  return loss;
}

}  // namespace pyembed
