// A thread's own copies of the nodes near the root, which every window trains: threads that wrote to the same rows
// would wait for each other's cache lines at every window. PE_ISA names the namespace.
#pragma once

namespace pyembed::PE_ISA {

// The thread trains copies for some windows; then what they changed is added to the rows, which other threads may have
// changed meanwhile.
class HotNodes {
 public:
  // memory: hot_nodes_bytes().
  HotNodes(void* memory, const Tables<float>& tables, int64_t first_hot)
      : tables_(tables),
        first_(first_hot),
        stride_((tables.dimensions + kWidest - 1) / kWidest * kWidest),
        copies_(static_cast<float*>(memory)),
        before_(copies_ + kHotNodes * stride_) {}

  // Puts copies in place of the rows of the hot nodes of a path, which come first in it.
  PE_INLINE void redirect(const int32_t* nodes, int64_t N, float** rows) {
    for (int64_t n = 0; n < N && nodes[n] >= first_; ++n) {
      const int64_t hot = nodes[n] - first_;
      used_ |= uint64_t{1} << hot;
      rows[n] = copies_ + hot * stride_;
    }
  }

  void open() {
    for_each_used([&](const float* row, float* copy, float* before) {
      for (int64_t d = 0; d < tables_.dimensions; ++d) copy[d] = before[d] = row[d];
    });
  }

  void close() {
    for_each_used([&](float* row, const float* copy, const float* before) {
      for (int64_t d = 0; d < tables_.dimensions; ++d) row[d] += copy[d] - before[d];
    });
    used_ = 0;
  }

 private:
  template <class F>
  void for_each_used(const F& f) const {
    for (uint64_t rest = used_; rest; rest &= rest - 1) {
      const int64_t hot = __builtin_ctzll(rest);
      f(tables_.out + (first_ + hot) * tables_.out_stride, copies_ + hot * stride_, before_ + hot * stride_);
    }
  }

  const Tables<float>& tables_;
  int64_t first_, stride_;
  float *copies_, *before_;  // [kHotNodes, stride_]
  uint64_t used_ = 0;        // a bit for each
};

}  // namespace pyembed::PE_ISA
