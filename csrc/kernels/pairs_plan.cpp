// Sorting and dealing out the pairs of an exact step. Torch-free, allocates nothing.
#include "kernels/pairs_plan.h"

#include <algorithm>
#include <utility>

namespace pyembed {
namespace {

constexpr int64_t kPairsOfPiece = 256;   // enough to make threads' hand-overs cheap
constexpr int kMostPieces = 32;          // few enough to keep pieces * buckets counts small
constexpr int64_t kPairsAhead = 32;      // between the prefetch of their ids and their use
constexpr int64_t kBucketsOfThread = 4;  // so that the thread that ends last does not end late
constexpr int kMostBucketBits = 10;      // streams that are written at the same time
constexpr int kDigitBits = 11;           // counts of a digit stay in the first-level cache
constexpr int kMostPasses = 3;           // of digits, for ids below 2^31

int bits_of(uint64_t largest) {
  int bits = 0;
  while (largest >> bits) ++bits;
  return bits;
}

}  // namespace

PairPlan pair_plan(int64_t pairs, int64_t threads) {
  const int64_t pieces = std::min<int64_t>(kMostPieces, std::max<int64_t>(1, pairs / kPairsOfPiece));
  threads = std::min(threads, pieces);
  const auto buckets = static_cast<uint64_t>(threads > 1 ? threads * kBucketsOfThread : 1);
  return {static_cast<int>(pieces), std::min(kMostBucketBits, bits_of(buckets - 1))};
}

uint64_t* sort_pairs(const PairIds& pairs, int64_t rows, uint64_t* keys, uint64_t* spare) {
  const int bits = bits_of(static_cast<uint64_t>(rows - 1));
  const int passes = (bits + kDigitBits - 1) / kDigitBits, digit_bits = passes ? (bits + passes - 1) / passes : 0;
  const uint32_t mask = (uint32_t{1} << digit_bits) - 1;
  uint32_t starts[kMostPasses][(1 << kDigitBits) + 1] = {};
  for (int64_t b = 0; b < pairs.count; ++b) {
    const auto id = static_cast<uint32_t>(pairs.in_ids[b]);
    keys[b] = uint64_t{id} << 32 | static_cast<uint64_t>(b);
    for (int pass = 0; pass < passes; ++pass) ++starts[pass][(id >> pass * digit_bits & mask) + 1];
  }
  for (int pass = 0; pass < passes; ++pass) {
    const int shift = 32 + pass * digit_bits;
    uint32_t* const start = starts[pass];
    for (uint32_t digit = 0; digit < mask; ++digit) start[digit + 1] += start[digit];
    for (int64_t b = 0; b < pairs.count; ++b) spare[start[keys[b] >> shift & mask]++] = keys[b];
    std::swap(keys, spare);
  }
  return keys;
}

int64_t find_segments(const uint64_t* order, int64_t count, const PairPlan& plan, int32_t* segments,
                      int64_t* piece_starts) {
  int64_t found = 0;
  for (int64_t k = 0; k < count; ++k) {  // no branch, which nobody could guess
    segments[found] = static_cast<int32_t>(k);
    found += k == 0 || order[k] >> 32 != order[k - 1] >> 32;
  }
  segments[found] = static_cast<int32_t>(count);
  for (int piece = 0; piece <= plan.pieces; ++piece) {
    const auto first = static_cast<int32_t>((piece * count + plan.pieces - 1) / plan.pieces);
    piece_starts[piece] = std::lower_bound(segments, segments + found, first) - segments;
  }
  return found;
}

void place_updates(const PairIds& pairs, const uint64_t* order, int64_t begin, int64_t end, const PairPlan& plan,
                   uint32_t* next) {
  std::fill_n(next, plan.buckets(), 0u);
  if (plan.buckets() > 1) {
    for (int64_t k = begin; k < end; ++k) {
      const int64_t ahead = k + kPairsAhead < end ? k + kPairsAhead : k;
      prefetch_to_read(pairs.out_ids + static_cast<int64_t>(order[ahead] & 0xFFFFFFFF) * pairs.outputs);
      const int32_t* const ids = pairs.out_ids + static_cast<int64_t>(order[k] & 0xFFFFFFFF) * pairs.outputs;
      for (int n = 0; n < pairs.outputs; ++n) ++next[bucket_of(ids[n], plan.bucket_bits)];
    }
  }
  auto total = static_cast<uint32_t>(begin * pairs.outputs);
  for (int64_t k = 0; k < plan.buckets(); ++k) total += std::exchange(next[k], total);
}

}  // namespace pyembed
