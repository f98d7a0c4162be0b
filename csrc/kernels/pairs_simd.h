// Training on explicit pairs: in place one after the other, or exactly, in two halves (pairs.h).
// Implements pyembed/reference.py section 9; may differ in the order of summation. In place, an output that stands
// twice in a pair is updated one time after the other. PE_ISA names the namespace.
#pragma once

namespace pyembed::PE_ISA {

constexpr int64_t kPairsAhead = 4;     // pairs between the prefetch of their rows and their use
constexpr int64_t kUpdatesAhead = 12;  // the same for updates of single rows
template <class Real>
constexpr int64_t kLineElements = 64 / sizeof(Real);  // of a cache line
constexpr int64_t kPairsOfLoss = 256;                 // pairs whose losses add up in float lanes

template <class Real>
PE_INLINE void clear(Real* row, int64_t columns) {
  for (int64_t d = 0; d < columns; ++d) row[d] = 0;
}

// One thread's scratch.
template <class Real>
struct PairScratch {
  Real* zeros;  // [stride] stands for a negative that equals its pair's own output: it changes no other row
  Real* row;    // [stride]

  PairScratch(Real* memory, int64_t D) : zeros(memory), row(memory + pair_stride(D)) { clear(zeros, pair_stride(D)); }
};

// Step sizes of G outputs of a pair: 0 for one that stands for nothing.
template <int G, bool First, class Real, class Ahead>
PE_INLINE void group_sizes(const Real* in, Real* const* rows, int64_t D, double rate, const Real* zeros, Real* sizes,
                           PairLoss<Real>& loss, const Ahead& ahead) {
  step_sizes_of<G, First>(in, rows, D, static_cast<Real>(rate), sizes, loss, ahead);
  bool skipped = false;
  unrolled<G>([&](auto g) PE_LAMBDA { skipped |= rows[g] == zeros; });
  if (!skipped) return;
  for (int g = 0; g < G; ++g) sizes[g] = rows[g] == zeros ? Real(0) : sizes[g];
}

// Calls f(constant whether it is the first group, first output, their rows [G], their ids, rows of the pair ahead [G]).
// Returns how many outputs were zeros.
template <class Real, class F>
PE_INLINE int for_each_row_group(const PairIds& pairs, int64_t pair, int64_t ahead, Real* table, int64_t stride,
                                 Real* zeros, const F& f) {
  const int32_t* const ids = pairs.out_ids + pair * pairs.outputs;
  const int32_t* const ids_ahead = pairs.out_ids + ahead * pairs.outputs;
  int skipped = 0;
  for_each_pair_group(pairs.outputs, [&](auto group, auto first, int n) {
    constexpr int G = decltype(group)::value;
    Real *rows[G], *rows_ahead[G];
    PE_UNROLL
    for (int g = 0; g < G; ++g) {
      const bool skip = n + g > 0 && ids[n + g] == ids[0];
      skipped += skip;
      rows[g] = skip ? zeros : table + ids[n + g] * stride;
      rows_ahead[g] = table + ids_ahead[n + g] * stride;
    }
    f(group, first, ids + n, rows, rows_ahead);
  });
  return skipped;
}

template <class Real>
double train_pairs_in_turn(const PairIds& pairs, const Tables<Real>& tables, double rate, int64_t begin, int64_t end,
                           Real* memory) {
  const PairScratch<Real> scratch(memory, tables.dimensions);
  const int64_t D = tables.dimensions;
  double total = 0;
  int64_t skipped = 0;
  for (int64_t first = begin; first < end; first += kPairsOfLoss) {
    const int64_t last = end - first < kPairsOfLoss ? end : first + kPairsOfLoss;
    PairLoss<Real> loss;
    for (int64_t b = first; b < last; ++b) {
      const int64_t ahead = b + kPairsAhead < end ? b + kPairsAhead : b;
      Real* const in = tables.in + pairs.in_ids[b] * tables.in_stride;
      const Real* const in_ahead = tables.in + pairs.in_ids[ahead] * tables.in_stride;
      copy_row(in, D, scratch.row);
      const auto train = [&](auto group, auto own, const int32_t*, Real* const* rows, Real* const* rows_ahead) {
        constexpr int G = decltype(group)::value;
        Real sizes[G + kWidth];
        constexpr int H = G / 2;  // prefetches are spread over both passes
        group_sizes<G, decltype(own)::value>(
            scratch.row, rows, D, rate, scratch.zeros, sizes, loss, [&](int64_t d) PE_LAMBDA {
              if (decltype(own)::value) prefetch_to_write(in_ahead + d);
              unrolled<H>([&](auto g) PE_LAMBDA { prefetch_to_write(rows_ahead[g] + d); });
            });
        train_rows<G>(sizes, scratch.row, D, in, rows, [&](int64_t d) PE_LAMBDA {
          unrolled<G - H>([&](auto g) PE_LAMBDA { prefetch_to_write(rows_ahead[H + g] + d); });
        });
      };
      skipped += for_each_row_group(pairs, b, ahead, tables.out, tables.out_stride, scratch.zeros, train);
    }
    total += loss.take();
  }
  return total - static_cast<double>(skipped) * 0.693147180559945309;  // log 2 for each score of zeros
}

template <class Real>
double train_in_rows(const ExactPairs<Real>& batch, int64_t begin, int64_t end, uint32_t* cursor, Real* memory) {
  const Tables<Real>&read = batch.read, &write = batch.write;
  const int64_t D = read.dimensions, past_last = batch.segments[end];
  const PairScratch<Real> scratch(memory, D);
  const auto pair_at = [&](int64_t k) { return static_cast<int64_t>(batch.order[k] & 0xFFFFFFFF); };
  PairLoss<Real> loss;
  double total = 0;
  int64_t skipped = 0, pairs_of_loss = 0;
  for (int64_t u = begin; u < end; ++u) {
    const int64_t in_id = static_cast<int64_t>(batch.order[batch.segments[u]] >> 32);
    Real* const before = batch.before + u * batch.stride;
    Real* const change = batch.change ? batch.change + u * batch.stride : scratch.row;
    copy_row(read.in + in_id * read.in_stride, D, before);
    clear(change, batch.stride);
    for (int64_t k = batch.segments[u]; k < batch.segments[u + 1]; ++k) {
      const int64_t next = k + kPairsAhead < past_last ? k + kPairsAhead : k;
      const Real* const in_ahead = read.in + static_cast<int64_t>(batch.order[next] >> 32) * read.in_stride;
      const auto train = [&](auto group, auto own, const int32_t* ids, Real* const* rows, Real* const* rows_ahead) {
        constexpr int G = decltype(group)::value;
        Real sizes[G + kWidth];
        constexpr int H = G / 2;  // prefetches are spread over both passes
        group_sizes<G, decltype(own)::value>(
            before, rows, D, batch.rate, scratch.zeros, sizes, loss, [&](int64_t d) PE_LAMBDA {
              if (decltype(own)::value) prefetch_to_read(in_ahead + d);
              unrolled<H>([&](auto g) PE_LAMBDA { prefetch_to_read(rows_ahead[g] + d); });
            });
        add_rows<G>(sizes, rows, D, change, [&](int64_t d) PE_LAMBDA {
          unrolled<G - H>([&](auto g) PE_LAMBDA { prefetch_to_read(rows_ahead[H + g] + d); });
        });
        if (!write.in) return;
        PE_UNROLL
        for (int g = 0; g < G; ++g) {
          if (batch.uses.once(ids[g])) {
            add_row(sizes[g], before, D, write.out + ids[g] * write.out_stride);
            continue;
          }
          batch.updates[cursor[bucket_of(ids[g], batch.bucket_bits)]++] = {ids[g], static_cast<int32_t>(u), sizes[g]};
        }
      };
      skipped +=
          for_each_row_group(batch.pairs, pair_at(k), pair_at(next), read.out, read.out_stride, scratch.zeros, train);
      if (++pairs_of_loss % kPairsOfLoss == 0) total += loss.take();
    }
    if (write.in && !batch.change) add_row(Real(1), change, D, write.in + in_id * write.in_stride);
  }
  total += loss.take();
  return total - static_cast<double>(skipped) * 0.693147180559945309;  // log 2 for each score of zeros
}

template <class Real>
void train_out_rows(const ExactPairs<Real>& batch, int64_t begin, int64_t end) {
  const Tables<Real>& write = batch.write;
  const int64_t D = write.dimensions;
  for (int64_t i = begin; i < end; ++i) {
    const OutUpdate<Real> update = batch.updates[i],
                          ahead = batch.updates[i + kUpdatesAhead < end ? i + kUpdatesAhead : i];
    const Real* const before_ahead = batch.before + ahead.segment * batch.stride;
    const Real* const out_ahead = write.out + ahead.id * write.out_stride;
    for (int64_t d = 0; d < D; d += kLineElements<Real>) {
      prefetch_to_read(before_ahead + d);
      prefetch_to_write(out_ahead + d);
    }
    add_row(update.size, batch.before + update.segment * batch.stride, D, write.out + update.id * write.out_stride);
  }
}

template <class Real>
constexpr PairKernels<Real> pair_entries() {
  return {train_pairs_in_turn<Real>, train_in_rows<Real>, train_out_rows<Real>};
}

}  // namespace pyembed::PE_ISA
