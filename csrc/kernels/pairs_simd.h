// Training on explicit pairs: in place one after the other, or exactly, in two halves (pairs.h).
// Implements pyembed/reference.py section 9; may differ in the order of summation. In place, an output that stands
// twice in a pair is updated one time after the other. PE_ISA names the namespace.
#pragma once

namespace pyembed::PE_ISA {

constexpr int64_t kPairsAhead = 4;     // pairs between the prefetch of their rows and their use
constexpr int64_t kUpdatesAhead = 20;  // the same for updates of single rows
constexpr int64_t kWritesAhead = 21;   // the same for a bucket's updates as they are written: four lines
constexpr int64_t kPairsOfLoss = 256;  // pairs whose losses add up in float lanes
constexpr double kLossOfZeros = 0.693147180559945309;  // log 2, of a score of zeros

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
template <int G, bool First, class Real, int Registers, class Ahead>
PE_INLINE void group_sizes(const OwnRow<Real, Registers>& in, Real* const* rows, RowColumns<Registers> columns,
                           double rate, const Real* zeros, Real* sizes, PairLoss<Real>& loss, const Ahead& ahead) {
  step_sizes_of<G, First>(in, rows, columns, static_cast<Real>(rate), sizes, loss, ahead);
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
  for_each_pair_group(pairs.outputs, [&](auto group, auto first, int n) PE_LAMBDA {
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
  const RowColumns<0> columns{tables.dimensions};
  const PairScratch<Real> scratch(memory, columns.D);
  const OwnRow<Real, 0> before(scratch.row);
  double total = 0;
  int64_t skipped = 0;
  for (int64_t first = begin; first < end; first += kPairsOfLoss) {
    const int64_t last = end - first < kPairsOfLoss ? end : first + kPairsOfLoss;
    PairLoss<Real> loss;
    for (int64_t b = first; b < last; ++b) {
      const int64_t ahead = b + kPairsAhead < end ? b + kPairsAhead : b;
      const Real* const in_ahead = tables.in + pairs.in_ids[ahead] * tables.in_stride;
      Real* const in = tables.in + pairs.in_ids[b] * tables.in_stride;
      copy_row(in, columns, scratch.row);
      const auto train = [&](auto group, auto own, const int32_t*, Real* const* rows, Real* const* rows_ahead) {
        constexpr int G = decltype(group)::value;
        Real sizes[G + kWidth];
        constexpr int H = G / 2;  // prefetches are spread over both passes
        group_sizes<G, decltype(own)::value>(
            before, rows, columns, rate, scratch.zeros, sizes, loss, [&](int64_t d) PE_LAMBDA {
              if (decltype(own)::value) prefetch_to_write(in_ahead + d);
              unrolled<H>([&](auto g) PE_LAMBDA { prefetch_to_write(rows_ahead[g] + d); });
            });
        train_rows<G>(sizes, before, columns, in, rows, [&](int64_t d) PE_LAMBDA {
          unrolled<G - H>([&](auto g) PE_LAMBDA { prefetch_to_write(rows_ahead[H + g] + d); });
        });
      };
      skipped += for_each_row_group(pairs, b, ahead, tables.out, tables.out_stride, scratch.zeros, train);
    }
    total += loss.take();
  }
  return total - static_cast<double>(skipped) * kLossOfZeros;
}

template <class Real, int Registers>
PE_INLINE double train_segments(const ExactPairs<Real>& batch, int64_t begin, int64_t end, uint32_t* cursor,
                                Real* memory, RowColumns<Registers> columns) {
  const Tables<Real>&read = batch.read, &write = batch.write;
  const int64_t past_last = batch.segments[end];
  const PairScratch<Real> scratch(memory, columns.D);
  const auto pair_at = [&](int64_t k) PE_LAMBDA { return static_cast<int64_t>(batch.order[k] & 0xFFFFFFFF); };
  const auto in_id_at = [&](int64_t k) PE_LAMBDA { return static_cast<int64_t>(batch.order[k] >> 32); };
  PairLoss<Real> loss;
  double total = 0;
  int64_t skipped = 0, pairs_of_loss = 0;
  for (int64_t u = begin; u < end; ++u) {
    const int64_t in_id = in_id_at(batch.segments[u]);
    Real* const before = batch.before + u * batch.stride;
    copy_row(read.in + in_id * read.in_stride, columns, before);
    const OwnRow<Real, Registers> in(before);
    Real* const change_memory = batch.change ? batch.change + u * batch.stride : scratch.row;
    clear(change_memory, batch.stride);
    OwnRow<Real, Registers> change(change_memory);
    for (int64_t k = batch.segments[u]; k < batch.segments[u + 1]; ++k) {
      if (k + 2 * kPairsAhead < past_last) {  // the ids say which rows to prefetch in time
        prefetch_to_read(batch.pairs.out_ids + pair_at(k + 2 * kPairsAhead) * batch.pairs.outputs);
      }
      const int64_t ahead = k + kPairsAhead < past_last ? k + kPairsAhead : k;
      const Real* const in_ahead = read.in + in_id_at(ahead) * read.in_stride;
      const auto train = [&](auto group, auto own, const int32_t* ids, Real* const* rows,
                             Real* const* rows_ahead) PE_LAMBDA {
        constexpr int G = decltype(group)::value;
        Real sizes[G + kWidth];
        constexpr int H = G / 2;  // prefetches are spread over both passes
        group_sizes<G, decltype(own)::value>(
            in, rows, columns, batch.rate, scratch.zeros, sizes, loss, [&](int64_t d) PE_LAMBDA {
              if (decltype(own)::value) prefetch_to_read(in_ahead + d);
              unrolled<H>([&](auto g) PE_LAMBDA { prefetch_to_read(rows_ahead[g] + d); });
            });
        add_rows<G>(sizes, rows, columns, change, [&](int64_t d) PE_LAMBDA {
          unrolled<G - H>([&](auto g) PE_LAMBDA { prefetch_to_read(rows_ahead[H + g] + d); });
        });
        if (!write.in) return;
        PE_UNROLL
        for (int g = 0; g < G; ++g) {
          OutUpdate<Real>* const update = batch.updates + cursor[bucket_of(ids[g], batch.bucket_bits)]++;
          prefetch_to_write(update + kWritesAhead);
          *update = {ids[g], static_cast<int32_t>(u), sizes[g]};
        }
      };
      skipped +=
          for_each_row_group(batch.pairs, pair_at(k), pair_at(ahead), read.out, read.out_stride, scratch.zeros, train);
      if (++pairs_of_loss % kPairsOfLoss == 0) total += loss.take();
    }
    if (batch.change) {
      change.to(change_memory);
    } else if (write.in) {
      add_row(Real(1), change, columns, write.in + in_id * write.in_stride);
    }
  }
  total += loss.take();
  return total - static_cast<double>(skipped) * kLossOfZeros;
}

template <class Real>
double train_in_rows(const ExactPairs<Real>& batch, int64_t begin, int64_t end, uint32_t* cursor, Real* memory) {
  return with_columns<Real>(batch.read.dimensions, [&](auto columns) PE_LAMBDA {
    return train_segments(batch, begin, end, cursor, memory, columns);
  });
}

// The rows of in_vectors come in ascending order, each for several updates.
template <class Real, int Registers>
PE_INLINE void add_updates(const ExactPairs<Real>& batch, int64_t begin, int64_t end, RowColumns<Registers> columns) {
  const Tables<Real>& write = batch.write;
  int32_t segment_ahead = -1;
  for (int64_t i = begin; i < end; ++i) {
    if (i + kUpdatesAhead < end) {
      const OutUpdate<Real>& ahead = batch.updates[i + kUpdatesAhead];
      const Real* const out = write.out + ahead.id * write.out_stride;
      for_each_line<Real>(columns, [&](int64_t d) PE_LAMBDA { prefetch_to_write(out + d); });
      if (ahead.segment != segment_ahead) {
        segment_ahead = ahead.segment;
        const Real* const before = batch.before + segment_ahead * batch.stride;
        for_each_line<Real>(columns, [&](int64_t d) PE_LAMBDA { prefetch_to_read(before + d); });
      }
    }
    const OutUpdate<Real>& update = batch.updates[i];
    const OwnRow<Real, Registers> before(batch.before + update.segment * batch.stride);
    add_row(update.size, before, columns, write.out + update.id * write.out_stride);
  }
}

template <class Real>
void train_out_rows(const ExactPairs<Real>& batch, int64_t begin, int64_t end) {
  with_columns<Real>(batch.write.dimensions, [&](auto columns) PE_LAMBDA { add_updates(batch, begin, end, columns); });
}

template <class Real>
constexpr PairKernels<Real> pair_entries() {
  return {train_pairs_in_turn<Real>, train_in_rows<Real>, train_out_rows<Real>};
}

}  // namespace pyembed::PE_ISA
