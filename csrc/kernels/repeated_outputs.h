// Lets a step that needs distinct rows of outputs train a window in which an output stands twice.
// PE_ISA names the namespace.
#pragma once

namespace pyembed::PE_ISA {

// Each repeat trains a scratch row instead. A negative that equals the center takes no part: it gets a row of zeros,
// which leaves the contexts as they are. A negative drawn before gets a copy, whose change the row receives in the end.
struct RepeatedOutputs {
  float* copies;  // [N, D + kWidest] rows of the repeats
  float* before;  // [N, D + kWidest] the same before the step
  int N;
  int64_t D;

  // Before the step: ids [N], the center first; their rows [N].
  void redirect(const int32_t* ids, float** rows) const {
    for (int n = 1; n < N; ++n) {
      const int first = first_of(n, ids);
      if (first == n) continue;
      float *const copy = copies + n * (D + kWidest), *const old = before + n * (D + kWidest);
      for (int64_t d = 0; d < D; ++d) copy[d] = old[d] = first == 0 ? 0.0f : rows[first][d];
      rows[n] = copy;
    }
  }

  // After the step. Returns what each score of the window has counted too much: log 2 for every row of zeros.
  double merge(const int32_t* ids, float* const* rows) const {
    double excess = 0;
    for (int n = 1; n < N; ++n) {
      const int first = first_of(n, ids);
      if (first == 0) {
        excess += 0.693147180559945309;
      } else if (first < n) {
        const float* const old = before + n * (D + kWidest);
        for (int64_t d = 0; d < D; ++d) rows[first][d] += rows[n][d] - old[d];
      }
    }
    return excess;
  }

 private:
  static int first_of(int n, const int32_t* ids) {
    int first = 0;
    while (ids[first] != ids[n]) ++first;
    return first;
  }
};

}  // namespace pyembed::PE_ISA
