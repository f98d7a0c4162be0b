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
// and with `read`. in_rows, out_rows: of the two tables.
//
// Memory: 16 bytes (20 for double) an output, 24 a pair, and a row, or two if aliased, for each distinct in_id.
template <class Real>
double run_exact_pairs(const PairIds& pairs, int64_t in_rows, int64_t out_rows, const Tables<Real>& read,
                       const Tables<Real>& write, double rate, bool aliased, int64_t threads) {
  if (pairs.count == 0) return 0;
  const PairKernels<Real>& kernels = pair_kernels(Real{});
  const PairPlan plan = pair_plan(pairs.count, pairs.outputs);
  threads = std::max<int64_t>(1, std::min<int64_t>(threads, plan.pieces));
  const int64_t stride = pair_stride(read.dimensions), scratch_size = pair_scratch_size(read.dimensions);
  const bool training = write.in != nullptr;
  // In a batch as large as the table, few rows are used once, and asking costs more than they save.
  const bool counts_uses = training && !aliased && pairs.count * pairs.outputs < out_rows;

  static thread_local Workspace workspace;
  uint64_t *keys, *spare;
  int32_t* segments;
  uint32_t *counts, *bucket_starts;
  int64_t* piece_starts;
  double* losses;
  Real *before, *change, *scratch;
  OutUpdate<Real>* updates;
  uint8_t* uses;
  workspace.reserve([&](Workspace& memory) {
    keys = memory.room<uint64_t>(pairs.count);
    spare = memory.room<uint64_t>(pairs.count);
    segments = memory.room<int32_t>(pairs.count + 1);
    counts = memory.room<uint32_t>(plan.pieces * plan.buckets());
    bucket_starts = memory.room<uint32_t>(plan.buckets() + 1);
    piece_starts = memory.room<int64_t>(plan.pieces + 1);
    losses = memory.room<double>(plan.pieces);
    scratch = memory.room<Real>(threads * scratch_size);
    updates = memory.room<OutUpdate<Real>>(training ? pairs.count * pairs.outputs : 0);
    uses = memory.room<uint8_t>(counts_uses ? int64_t{1} << plan.uses_bits : 0);
    before = memory.room<Real>(pairs.count * stride);
    change = memory.room<Real>(aliased ? pairs.count * stride : 0);
  });

  ExactPairs<Real> batch{pairs,  keys,    segments,         read,
                         write,  rate,    before,           aliased ? change : nullptr,
                         stride, updates, plan.bucket_bits, {counts_uses ? uses : nullptr, plan.uses_bits}};
  Team::run(threads, [&](Team& team, int64_t t) {
    team.share(2, [&](int64_t table) {
      if (table == 1) {
        if (counts_uses) count_uses(pairs, plan, uses);
        return;
      }
      batch.order = sort_pairs(pairs, in_rows, keys, spare);
      find_segments(batch.order, pairs.count, plan, segments, piece_starts);
    });
    const auto cursor = [&](int64_t piece) { return counts + piece * plan.buckets(); };
    if (training) {
      team.share(plan.pieces, [&](int64_t piece) {
        count_updates(pairs, batch.order, segments[piece_starts[piece]], segments[piece_starts[piece + 1]], plan,
                      batch.uses, cursor(piece));
      });
      team.once([&] { place_updates(plan, counts, bucket_starts); });
    }
    team.share(plan.pieces, [&](int64_t piece) {
      losses[piece] = kernels.train_in_rows(batch, piece_starts[piece], piece_starts[piece + 1], cursor(piece),
                                            scratch + t * scratch_size);
    });
    if (!training) return;
    team.share(plan.buckets(), [&](int64_t bucket) {
      kernels.train_out_rows(batch, bucket_starts[bucket], bucket_starts[bucket + 1]);
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
