// Splits the centers of a block over threads. Pieces are handed out as threads ask, so a slow core holds nobody up.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <thread>
#include <vector>

#include "kernels/training.h"

namespace pyembed {

// Memory aligned for the widest registers.
class Scratch {
 public:
  explicit Scratch(size_t bytes) : memory_(std::aligned_alloc(64, (bytes + 63) / 64 * 64)) {
    if (!memory_) throw std::bad_alloc();
  }
  void* get() const { return memory_.get(); }

 private:
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  std::unique_ptr<void, Free> memory_;
};

// Sum of work(begin, end, scratch) over pieces of the block's centers. One thread takes them in order.
template <class Work>
LossSum over_centers(const TokenBlock& block, int64_t threads, size_t scratch_bytes, const Work& work) {
  constexpr int64_t kPiece = 8192;  // windows: a few milliseconds of work
  const int64_t centers = block.center_end - block.center_begin;
  threads = std::max<int64_t>(1, std::min(threads, (centers + kPiece - 1) / kPiece));
  std::vector<Scratch> scratch;
  for (int64_t t = 0; t < threads; ++t) scratch.emplace_back(scratch_bytes);

  std::vector<LossSum> sums(static_cast<size_t>(threads), LossSum{0, 0});
  std::atomic<int64_t> next{block.center_begin};
  const auto run = [&](size_t t) {
    for (;;) {
      const int64_t begin = next.fetch_add(kPiece);
      if (begin >= block.center_end) return;
      const LossSum sum = work(begin, std::min(begin + kPiece, block.center_end), scratch[t].get());
      sums[t].loss += sum.loss;
      sums[t].pairs += sum.pairs;
    }
  };
  std::vector<std::thread> others;
  for (size_t t = 1; t < sums.size(); ++t) others.emplace_back(run, t);
  run(0);
  for (std::thread& other : others) other.join();
  LossSum total{0, 0};
  for (const LossSum& sum : sums) {
    total.loss += sum.loss;
    total.pairs += sum.pairs;
  }
  return total;
}

}  // namespace pyembed
