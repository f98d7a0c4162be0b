// Rows of explicit pairs: the step sizes of one row of in_vectors with its outputs, and both sums of rows; float with
// SIMD, double in plain loops. Spec: pyembed/reference.py sections 4 and 9.
// Included inside PE_TARGET_BEGIN, with PE_ISA naming the namespace.
#pragma once

namespace pyembed::PE_ISA {

constexpr int kPairGroup = 6;  // outputs treated together: enough independent sums to hide the latency of fma

// Sums of losses, in the lanes of a register or as one number.
template <class Real>
struct PairLoss;

template <>
struct PairLoss<float> {
  LossLanes lanes;
  PairLoss() : lanes(no_loss()) {}  // said, because g++ compiles an implicit one for another instruction set
  double take() { return take_loss(lanes); }
};

template <>
struct PairLoss<double> {
  double sum = 0;
  double take() {
    const double taken = sum;
    sum = 0;
    return taken;
  }
};

// Calls body(column, load of a row's columns, store to a row's columns) for each register of columns.
template <class Body>
PE_INLINE void for_each_register(int64_t D, const Body& body) {
  int64_t d = 0;
  for (; d + kWidth <= D; d += kWidth) {
    body(
        d, [d](const float* row) PE_LAMBDA { return load(row + d); },
        [d](float* row, Float x) PE_LAMBDA { store(row + d, x); });
  }
  const int tail = static_cast<int>(D - d);
  if (tail == 0) return;
  body(
      d, [d, tail](const float* row) PE_LAMBDA { return load_first(row + d, tail); },
      [d, tail](float* row, Float x) PE_LAMBDA { store_first(row + d, x, tail); });
}

// sizes[g] = rate * (label - sigmoid(<in, out[g]>)). in: padded with zeros to kPairColumns; whole registers of sizes
// are written. ahead(column) is called once for each cache line of columns.
template <int G, bool First, class Ahead>
PE_INLINE void step_sizes_of(const float* in, const float* const* out, int64_t D, float rate, float* sizes,
                             PairLoss<float>& loss, const Ahead& ahead) {
  constexpr int R = (G + kWidth - 1) / kWidth;
  Float dots[G], scores[R];
  unrolled<G>([&](auto g) PE_LAMBDA { dots[g] = zero(); });
  for_each_register(D, [&](int64_t d, const auto& get, const auto&) PE_LAMBDA {
    if (kWidth == kPairColumns || d % kPairColumns == 0) ahead(d);
    const Float x = in_register(load(in + d));
    unrolled<G>([&](auto g) PE_LAMBDA { dots[g] = fma(x, get(out[g]), dots[g]); });
  });
  row_sums(dots, scores);
  store_step_sizes<G, G>(scores, First, rate, sizes, loss.lanes);
}

template <int G, bool First, class Ahead>
PE_INLINE void step_sizes_of(const double* in, const double* const* out, int64_t D, double rate, double* sizes,
                             PairLoss<double>& loss, const Ahead& ahead) {
  for (int64_t d = 0; d < D; d += 8) ahead(d);
  for (int g = 0; g < G; ++g) {
    double score = 0;
    for (int64_t d = 0; d < D; ++d) score += in[d] * out[g][d];
    const bool own = First && g == 0;
    loss.sum += softplus(own ? -score : score);
    sizes[g] = rate * ((own ? 1.0 : 0.0) - sigmoid(score));
  }
}

// change += sum of sizes[g] * out[g]. change: padded. ahead(column) is called once for each cache line of columns.
template <int G, class Ahead>
PE_INLINE void add_rows(const float* sizes, const float* const* out, int64_t D, float* change, const Ahead& ahead) {
  Float size[G];
  unrolled<G>([&](auto g) PE_LAMBDA { size[g] = in_register(broadcast(sizes[g])); });
  for_each_register(D, [&](int64_t d, const auto& get, const auto&) PE_LAMBDA {
    if (kWidth == kPairColumns || d % kPairColumns == 0) ahead(d);
    Float sum = load(change + d);
    unrolled<G>([&](auto g) PE_LAMBDA { sum = fma(size[g], get(out[g]), sum); });
    store(change + d, sum);
  });
}

template <int G, class Ahead>
PE_INLINE void add_rows(const double* sizes, const double* const* out, int64_t D, double* change, const Ahead& ahead) {
  for (int64_t d = 0; d < D; ++d) {
    if (d % 8 == 0) ahead(d);
    for (int g = 0; g < G; ++g) change[d] += sizes[g] * out[g][d];
  }
}

// padded = row. padded: to kPairColumns, with zeros.
PE_INLINE void copy_row(const float* row, int64_t D, float* padded) {
  for_each_register(D, [&](int64_t d, const auto& get, const auto&) PE_LAMBDA { store(padded + d, get(row)); });
  for (int64_t d = (D + kWidth - 1) / kWidth * kWidth; d < pair_stride(D); d += kWidth) store(padded + d, zero());
}

PE_INLINE void copy_row(const double* row, int64_t D, double* padded) {
  for (int64_t d = 0; d < pair_stride(D); ++d) padded[d] = d < D ? row[d] : 0;
}

// row += size * other. other: padded with zeros to kPairColumns.
PE_INLINE void add_row(float size, const float* other, int64_t D, float* row) {
  const Float factor = broadcast(size);
  for_each_register(D, [&](int64_t d, const auto& get, const auto& put)
                           PE_LAMBDA { put(row, fma(factor, load(other + d), get(row))); });
}

PE_INLINE void add_row(double size, const double* other, int64_t D, double* row) {
  for (int64_t d = 0; d < D; ++d) row[d] += size * other[d];
}

// Both sides at once: in += sum of sizes[g] * out[g], out[g] += sizes[g] * before. One output after the other, so that
// a row that stands twice loses no update.
template <int G, class Ahead>
PE_INLINE void train_rows(const float* sizes, const float* before, int64_t D, float* in, float* const* out,
                          const Ahead& ahead) {
  Float size[G];
  unrolled<G>([&](auto g) PE_LAMBDA { size[g] = in_register(broadcast(sizes[g])); });
  for_each_register(D, [&](int64_t d, const auto& get, const auto& put) PE_LAMBDA {
    if (kWidth == kPairColumns || d % kPairColumns == 0) ahead(d);
    const Float x = in_register(load(before + d));
    Float sum = get(in);
    unrolled<G>([&](auto g) PE_LAMBDA {
      const Float y = in_register(get(out[g]));
      sum = fma(size[g], y, sum);
      put(out[g], fma(size[g], x, y));
    });
    put(in, sum);
  });
}

template <int G, class Ahead>
PE_INLINE void train_rows(const double* sizes, const double* before, int64_t D, double* in, double* const* out,
                          const Ahead& ahead) {
  for (int64_t d = 0; d < D; ++d) {
    if (d % 8 == 0) ahead(d);
    for (int g = 0; g < G; ++g) {
      in[d] += sizes[g] * out[g][d];
      out[g][d] += sizes[g] * before[d];
    }
  }
}

// Calls f(constant G, constant whether it is the first group, first output) for groups of N outputs.
template <class F>
PE_INLINE void for_each_pair_group(int N, const F& f) {
  const auto group = [&](auto first, int n) {
    switch (N - n) {
      case 1:
        return f(std::integral_constant<int, 1>{}, first, n);
      case 2:
        return f(std::integral_constant<int, 2>{}, first, n);
      case 3:
        return f(std::integral_constant<int, 3>{}, first, n);
      case 4:
        return f(std::integral_constant<int, 4>{}, first, n);
      case 5:
        return f(std::integral_constant<int, 5>{}, first, n);
      default:
        return f(std::integral_constant<int, kPairGroup>{}, first, n);
    }
  };
  group(std::true_type{}, 0);
  for (int n = kPairGroup; n < N; n += kPairGroup) group(std::false_type{}, n);
}

}  // namespace pyembed::PE_ISA
