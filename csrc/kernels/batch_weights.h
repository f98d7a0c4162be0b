// What each context of a batch of windows counts with each output. Spec: pyembed/reference.py section 12.
// PE_ISA names the namespace.
#pragma once

namespace pyembed::PE_ISA {

constexpr int32_t kMissing = -1;  // the id of a center that takes no part, or of a negative that was not found

// The weights of a batch's contexts with its outputs: the centers of its windows, then the negatives.
template <class Count>
class BatchWeights {
 public:
  BatchWeights(Count N, int windows, float negative_weight, const BatchScratch& scratch)
      : N_(N),
        windows_(windows),
        tabled_(windows <= kTabledWindows),
        negative_weight_(negative_weight),
        stride_(BatchScratch::pattern_stride(N)),
        pattern_rows_(scratch.pattern_rows),
        weights_(scratch.weights) {
    for (int pattern = 0; tabled_ && pattern < 1 << windows; ++pattern)
      write(pattern, pattern_rows_ + pattern * stride_);
  }

  // Weights [N] of a row that is part of the windows in the pattern; valid until the next call.
  PE_INLINE const float* of(int pattern) const {
    if (tabled_) return pattern_rows_ + pattern * stride_;
    write(pattern, pattern_rows_);
    return pattern_rows_;
  }

  // Those of R rows, in the order of a step.
  PE_INLINE void fill(const int32_t* patterns, int64_t R) const {
    for_each_group(N_, [&](auto group, int n) PE_LAMBDA {
      constexpr int G = decltype(group)::value, kRegisters = (G + kWidth - 1) / kWidth;
      float* to = weights_ + n * R;
      for (int64_t r = 0; r < R; ++r, to += G) {
        const float* const from = of(patterns[r]) + n;
        unrolled<kRegisters>([&](auto i) PE_LAMBDA { store(to + i * kWidth, load(from + i * kWidth)); });
      }
    });
  }

  // For outputs of which some are the same center, or missing. What is weighed with a later one is weighed with the
  // first instead, and what is missing has no weight, which the other negatives share. Their rows become `nothing`, a
  // row of zeros.
  template <class Element>
  void merge(const int32_t* ids, int64_t R, Element** rows, Element* nothing) const {
    for (int n = 0; n < N_; ++n) {
      int first = 0;
      while (ids[first] != ids[n]) ++first;
      const bool missing = ids[n] == kMissing;
      if (first == n && !missing) continue;
      for (int64_t r = 0; r < R; ++r) {
        float& weight = at(n, r, R);
        if (!missing) at(first, r, R) += weight;
        weight = 0;
      }
      rows[n] = nothing;
    }
    int found = N_;
    while (found > windows_ && ids[found - 1] == kMissing) --found;
    if (found == N_ || found == windows_) return;
    const float more = static_cast<float>(N_ - windows_) / static_cast<float>(found - windows_);
    for (int n = windows_; n < found; ++n) {
      for (int64_t r = 0; r < R; ++r) at(n, r, R) *= more;
    }
  }

 private:
  void write(int pattern, float* row) const {
    int count = 0;
    for (int p = 0; p < windows_; ++p) {
      row[p] = static_cast<float>(pattern >> p & 1);
      count += pattern >> p & 1;
    }
    for (int n = windows_; n < stride_; ++n) row[n] = n < N_ ? -negative_weight_ * static_cast<float>(count) : 0;
  }

  float& at(int n, int64_t r, int64_t R) const {
    if constexpr (!std::is_same_v<Count, int>) return weights_[r * N_ + n];
    const int first = n / kGroupOutputs * kGroupOutputs, width = group_width(N_ - first);
    return weights_[first * R + r * width + n - first];
  }

  Count N_;
  int windows_;
  bool tabled_;
  float negative_weight_;
  int64_t stride_;
  float* pattern_rows_;
  float* weights_;
};

}  // namespace pyembed::PE_ISA
