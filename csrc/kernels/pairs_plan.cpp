// Sorting and dealing out the pairs of an exact step. Torch-free, allocates nothing.
#include "kernels/pairs_plan.h"

#include <algorithm>
#include <utility>

namespace pyembed {
namespace {

constexpr int64_t kPairsOfPiece = 256;     // enough to make threads' hand-overs cheap
constexpr int kMostPieces = 32;            // few enough to keep pieces * buckets counts small
constexpr int64_t kUpdatesOfBucket = 192;  // rows of out_vectors that stay in the first-level cache
constexpr int kMostBucketBits = 10;        // streams that are written at the same time
constexpr int kDigitBits = 11;             // counts of a digit stay in the first-level cache

int bits_of(uint64_t largest) {
  int bits = 0;
  while (largest >> bits) ++bits;
  return bits;
}

}  // namespace

PairPlan pair_plan(int64_t pairs, int outputs) {
  const int64_t pieces = std::min<int64_t>(kMostPieces, std::max<int64_t>(1, pairs / kPairsOfPiece));
  const auto buckets = static_cast<uint64_t>(pairs * outputs / kUpdatesOfBucket);
  const int uses_bits = std::min(31, 1 + bits_of(static_cast<uint64_t>(pairs * outputs)));  // at most half full
  return {static_cast<int>(pieces), std::min(kMostBucketBits, bits_of(buckets)), uses_bits};
}

uint64_t* sort_pairs(const PairIds& pairs, int64_t rows, uint64_t* keys, uint64_t* spare) {
  for (int64_t b = 0; b < pairs.count; ++b) {
    keys[b] = static_cast<uint64_t>(pairs.in_ids[b]) << 32 | static_cast<uint64_t>(b);
  }
  const int bits = bits_of(static_cast<uint64_t>(rows - 1));
  const int passes = (bits + kDigitBits - 1) / kDigitBits;
  for (int pass = 0; pass < passes; ++pass) {
    const int digit_bits = (bits + passes - 1) / passes, shift = 32 + pass * digit_bits;
    const uint64_t mask = (uint64_t{1} << digit_bits) - 1;
    uint32_t starts[(1 << kDigitBits) + 1] = {};
    for (int64_t b = 0; b < pairs.count; ++b) ++starts[(keys[b] >> shift & mask) + 1];
    for (uint64_t digit = 0; digit < mask; ++digit) starts[digit + 1] += starts[digit];
    for (int64_t b = 0; b < pairs.count; ++b) spare[starts[keys[b] >> shift & mask]++] = keys[b];
    std::swap(keys, spare);
  }
  return keys;
}

int64_t find_segments(const uint64_t* order, int64_t count, const PairPlan& plan, int32_t* segments,
                      int64_t* piece_starts) {
  int64_t found = 0, piece = 0;
  for (int64_t k = 0; k < count; ++k) {
    if (k > 0 && order[k] >> 32 == order[k - 1] >> 32) continue;
    while (piece < plan.pieces && piece * count <= k * plan.pieces) piece_starts[piece++] = found;
    segments[found++] = static_cast<int32_t>(k);
  }
  segments[found] = static_cast<int32_t>(count);
  while (piece <= plan.pieces) piece_starts[piece++] = found;
  return found;
}

void count_uses(const PairIds& pairs, const PairPlan& plan, uint8_t* count) {
  std::fill_n(count, int64_t{1} << plan.uses_bits, uint8_t{0});
  for (int64_t i = 0; i < pairs.count * pairs.outputs; ++i) {
    uint8_t& uses = count[bucket_of(pairs.out_ids[i], plan.uses_bits)];
    uses = static_cast<uint8_t>(uses + (uses < 2));
  }
}

void count_updates(const PairIds& pairs, const uint64_t* order, int64_t begin, int64_t end, const PairPlan& plan,
                   const OutputUses& uses, uint32_t* counts) {
  std::fill_n(counts, plan.buckets(), 0u);
  for (int64_t k = begin; k < end; ++k) {
    const int32_t* const ids = pairs.out_ids + static_cast<int64_t>(order[k] & 0xFFFFFFFF) * pairs.outputs;
    for (int n = 0; n < pairs.outputs; ++n) counts[bucket_of(ids[n], plan.bucket_bits)] += !uses.once(ids[n]);
  }
}

void place_updates(const PairPlan& plan, uint32_t* counts, uint32_t* bucket_starts) {
  const int64_t buckets = plan.buckets();
  uint32_t* const next = bucket_starts + 1;  // first where a bucket begins, and in the end where it ends
  std::fill_n(bucket_starts, buckets + 1, 0u);
  for (int piece = 0; piece < plan.pieces; ++piece) {
    for (int64_t k = 0; k < buckets; ++k) next[k] += counts[piece * buckets + k];
  }
  uint32_t total = 0;
  for (int64_t k = 0; k < buckets; ++k) total += std::exchange(next[k], total);
  for (int piece = 0; piece < plan.pieces; ++piece) {
    for (int64_t k = 0; k < buckets; ++k) next[k] += std::exchange(counts[piece * buckets + k], next[k]);
  }
}

}  // namespace pyembed
