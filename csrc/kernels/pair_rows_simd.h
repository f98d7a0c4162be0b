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

// The columns of a row of floats: in so many registers, of which the last may not be full, or with 0 in any number.
template <int Registers>
struct RowColumns {
  int64_t D;
};

// Calls f(RowColumns): of known length for vectors of common sizes (100, 128 and those near them), of which two rows
// fit into registers.
template <class Real, class F>
PE_INLINE auto with_columns(int64_t D, const F& f) {
  if constexpr (kWidth == 16 && std::is_same<Real, float>::value) {
    const int64_t registers = (D + kWidth - 1) / kWidth;
    if (registers == 7) return f(RowColumns<7>{D});
    if (registers == 8) return f(RowColumns<8>{D});
  }
  return f(RowColumns<0>{D});
}

// Calls body(register, load of a row's columns, store to a row's columns) for each register of columns; register: its
// number, a constant where their count is known.
template <int Registers, class Body>
PE_INLINE void for_each_register(RowColumns<Registers> columns, const Body& body) {
  const auto full = [&](auto i) PE_LAMBDA {
    const int64_t d = int64_t{i} * kWidth;
    body(
        i, [d](const float* row) PE_LAMBDA { return load(row + d); },
        [d](float* row, Float x) PE_LAMBDA { store(row + d, x); });
  };
  const auto last = [&](auto i) PE_LAMBDA {
    const int64_t d = int64_t{i} * kWidth;
    const int count = static_cast<int>(columns.D - d);
    body(
        i, [d, count](const float* row) PE_LAMBDA { return load_first(row + d, count); },
        [d, count](float* row, Float x) PE_LAMBDA { store_first(row + d, x, count); });
  };
  if constexpr (Registers > 0) {
    unrolled<Registers - 1>(full);
    last(std::integral_constant<int, Registers - 1>{});
  } else {
    const int64_t whole = columns.D / kWidth;
    for (int64_t i = 0; i < whole; ++i) full(i);
    if (whole * kWidth < columns.D) last(whole);
  }
}

// Calls f(column) for each cache line of a row.
template <class Real, int Registers, class F>
PE_INLINE void for_each_line(RowColumns<Registers> columns, const F& f) {
  if constexpr (Registers > 0) {  // of 16 floats, a line each
    unrolled<Registers>([&](auto i) PE_LAMBDA { f(int64_t{i} * kWidth); });
  } else {
    for (int64_t d = 0; d < columns.D; d += static_cast<int64_t>(64 / sizeof(Real))) f(d);
  }
}

// ahead(column) where the register begins a cache line.
template <class Index, class Ahead>
PE_INLINE void call_each_line(Index i, const Ahead& ahead) {
  const int64_t d = int64_t{i} * kWidth;
  if (kWidth == kPairColumns || d % kPairColumns == 0) ahead(d);
}

// A row of our own, padded with zeros to kPairColumns: in memory, or in registers where their number is known.
template <class Real, int Registers>
struct OwnRow {
  Float registers[Registers];

  PE_INLINE explicit OwnRow(const float* memory) {
    unrolled<Registers>([&](auto i) PE_LAMBDA { registers[i] = load(memory + int64_t{i} * kWidth); });
  }
  PE_INLINE void to(float* memory) const {
    unrolled<Registers>([&](auto i) PE_LAMBDA { store(memory + int64_t{i} * kWidth, registers[i]); });
  }
  template <class Index>
  PE_INLINE Float get(Index i) const {
    return registers[i];
  }
  template <class Index>
  PE_INLINE void put(Index i, Float x) {
    registers[i] = x;
  }
};

template <class Real>
struct OwnRow<Real, 0> {
  Real* memory;

  PE_INLINE explicit OwnRow(Real* row) : memory(row) {}
  PE_INLINE void to(const Real*) const {}  // that is where it is
  PE_INLINE Float get(int64_t i) const { return in_register(load(memory + i * kWidth)); }
  PE_INLINE void put(int64_t i, Float x) { store(memory + i * kWidth, x); }
};

// sizes[g] = rate * (label - sigmoid(<in, out[g]>)). Whole registers of sizes are written. ahead(column) is called once
// for each cache line of columns.
template <int G, bool First, int Registers, class Ahead>
PE_INLINE void step_sizes_of(const OwnRow<float, Registers>& in, const float* const* out, RowColumns<Registers> columns,
                             float rate, float* sizes, PairLoss<float>& loss, const Ahead& ahead) {
  constexpr int R = (G + kWidth - 1) / kWidth;
  Float dots[G], scores[R];
  unrolled<G>([&](auto g) PE_LAMBDA { dots[g] = zero(); });
  for_each_register(columns, [&](auto i, const auto& get, const auto&) PE_LAMBDA {
    call_each_line(i, ahead);
    const Float x = in.get(i);
    unrolled<G>([&](auto g) PE_LAMBDA { dots[g] = fma(x, get(out[g]), dots[g]); });
  });
  row_sums(dots, scores);
  store_step_sizes<G, G>(scores, First, rate, sizes, loss.lanes);
}

template <int G, bool First, class Ahead>
PE_INLINE void step_sizes_of(const OwnRow<double, 0>& in, const double* const* out, RowColumns<0> columns, double rate,
                             double* sizes, PairLoss<double>& loss, const Ahead& ahead) {
  for_each_line<double>(columns, ahead);
  for (int g = 0; g < G; ++g) {
    double score = 0;
    for (int64_t d = 0; d < columns.D; ++d) score += in.memory[d] * out[g][d];
    const bool own = First && g == 0;
    loss.sum += softplus(own ? -score : score);
    sizes[g] = rate * ((own ? 1.0 : 0.0) - sigmoid(score));
  }
}

// change += sum of sizes[g] * out[g]. ahead(column) is called once for each cache line of columns.
template <int G, int Registers, class Ahead>
PE_INLINE void add_rows(const float* sizes, const float* const* out, RowColumns<Registers> columns,
                        OwnRow<float, Registers>& change, const Ahead& ahead) {
  Float size[G];
  unrolled<G>([&](auto g) PE_LAMBDA { size[g] = in_register(broadcast(sizes[g])); });
  for_each_register(columns, [&](auto i, const auto& get, const auto&) PE_LAMBDA {
    call_each_line(i, ahead);
    Float sum = change.get(i);
    unrolled<G>([&](auto g) PE_LAMBDA { sum = fma(size[g], get(out[g]), sum); });
    change.put(i, sum);
  });
}

template <int G, class Ahead>
PE_INLINE void add_rows(const double* sizes, const double* const* out, RowColumns<0> columns, OwnRow<double, 0>& change,
                        const Ahead& ahead) {
  for_each_line<double>(columns, ahead);
  for (int64_t d = 0; d < columns.D; ++d) {
    for (int g = 0; g < G; ++g) change.memory[d] += sizes[g] * out[g][d];
  }
}

// padded = row. padded: to kPairColumns, with zeros.
template <int Registers>
PE_INLINE void copy_row(const float* row, RowColumns<Registers> columns, float* padded) {
  for_each_register(
      columns, [&](auto i, const auto& get, const auto&) PE_LAMBDA { store(padded + int64_t{i} * kWidth, get(row)); });
  const int64_t D = columns.D;
  for (int64_t d = (D + kWidth - 1) / kWidth * kWidth; d < pair_stride(D); d += kWidth) store(padded + d, zero());
}

PE_INLINE void copy_row(const double* row, RowColumns<0> columns, double* padded) {
  for (int64_t d = 0; d < pair_stride(columns.D); ++d) padded[d] = d < columns.D ? row[d] : 0;
}

// row += size * other.
template <int Registers>
PE_INLINE void add_row(float size, const OwnRow<float, Registers>& other, RowColumns<Registers> columns, float* row) {
  const Float factor = broadcast(size);
  for_each_register(columns, [&](auto i, const auto& get, const auto& put)
                                 PE_LAMBDA { put(row, fma(factor, other.get(i), get(row))); });
}

PE_INLINE void add_row(double size, const OwnRow<double, 0>& other, RowColumns<0> columns, double* row) {
  for (int64_t d = 0; d < columns.D; ++d) row[d] += size * other.memory[d];
}

// Both sides at once: in += sum of sizes[g] * out[g], out[g] += sizes[g] * before. One output after the other, so that
// a row that stands twice loses no update.
template <int G, class Ahead>
PE_INLINE void train_rows(const float* sizes, const OwnRow<float, 0>& before, RowColumns<0> columns, float* in,
                          float* const* out, const Ahead& ahead) {
  Float size[G];
  unrolled<G>([&](auto g) PE_LAMBDA { size[g] = in_register(broadcast(sizes[g])); });
  for_each_register(columns, [&](auto i, const auto& get, const auto& put) PE_LAMBDA {
    call_each_line(i, ahead);
    const Float x = before.get(i);
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
PE_INLINE void train_rows(const double* sizes, const OwnRow<double, 0>& before, RowColumns<0> columns, double* in,
                          double* const* out, const Ahead& ahead) {
  for_each_line<double>(columns, ahead);
  for (int64_t d = 0; d < columns.D; ++d) {
    for (int g = 0; g < G; ++g) {
      in[d] += sizes[g] * out[g][d];
      out[g][d] += sizes[g] * before.memory[d];
    }
  }
}

// Calls f(constant G, constant whether it is the first group, first output) for groups of N outputs.
template <class F>
PE_INLINE void for_each_pair_group(int N, const F& f) {
  const auto group = [&](auto first, int n) PE_LAMBDA {
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
