// Work shared by torch's own threads, which are awake where the model around it has just used them.
#pragma once

#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace pyembed {

// work(i, number of the thread) for each i below count, handed out as threads ask. work must not throw.
template <class Work>
void share(int64_t threads, int64_t count, const Work& work) {
  std::atomic<int64_t> next{0};
  torch::stable::parallel_for(0, std::min(threads, count), 1, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      for (int64_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) work(i, t);
    }
  });
}

}  // namespace pyembed
