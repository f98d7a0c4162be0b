// The functions of RowScores, compiled once for each instruction set on top of one of kernels/simd_*.h. Included inside
// PE_TARGET_BEGIN, with PE_ISA naming the namespace.
#pragma once

namespace pyembed::PE_ISA {

// Rows and registers of queries whose sums the registers hold.
constexpr int kTileRows = 6;
constexpr int kTileRegisters = kWidth == 16 ? 4 : 2;

constexpr float kGreatest = 3.4028235e38f;  // float
constexpr float kMulEpsilon = 1e-6f;        // added to what 3CosMul divides by (Levy and Goldberg 2014, equation 4)

// Sums of lanes: lane i that of x[i].
PE_INLINE Float lane_sums(const Float (&x)[kWidth]) {
  Float sums[1];
  row_sums(x, sums);
  return sums[0];
}

// kWidth sums of products, of the rows from `first` on, or the last row where there are no more: with the query, or of
// each row with itself where Query is no pointer.
template <class Query>
PE_INLINE Float products(const RowBlock& block, int64_t first, Query query) {
  const float* row[kWidth];
  Float sums[kWidth];
  unrolled<kWidth>([&](auto i) PE_LAMBDA {
    const int64_t number = first + i < block.count ? first + i : block.count - 1;
    row[i] = block.rows + number * block.stride;
    sums[i] = zero();
  });
  const auto add = [&](int64_t d, auto load_some) PE_LAMBDA {
    Float other = zero();
    if constexpr (std::is_pointer_v<Query>) other = load_some(query + d);
    unrolled<kWidth>([&](auto i) PE_LAMBDA {
      const Float x = load_some(row[i] + d);
      sums[i] = fma(x, std::is_pointer_v<Query> ? other : x, sums[i]);
    });
  };
  int64_t d = 0;
  for (; d + kWidth <= block.dimensions; d += kWidth) add(d, [&](const float* p) PE_LAMBDA { return load(p); });
  const int rest = static_cast<int>(block.dimensions - d);
  if (rest > 0) add(d, [&](const float* p) PE_LAMBDA { return load_first(p, rest); });
  return lane_sums(sums);
}

PE_INLINE void store_some(float* to, Float x, int64_t n) {
  n < kWidth ? store_first(to, x, static_cast<int>(n)) : store(to, x);
}

// Whether squares of that length's row stay far within the range of float.
PE_INLINE bool is_usual(float inverse) { return (inverse > 0) & (inverse < 1e15f); }

// For rows of zeros, and those whose squares leave the range of float or that hold NaN or infinity.
inline float exact_inverse_length(const float* row, int64_t dimensions) {
  double squares = 0;
  for (int64_t d = 0; d < dimensions; ++d) squares += static_cast<double>(row[d]) * row[d];
  const float length = static_cast<float>(std::sqrt(squares)), inverse = 1.0f / length;
  if (length == 0) return 1.0f;
  // x - x is 0, or NaN where x is not finite.
  return (inverse < kGreatest ? inverse : kGreatest) + (length - length);
}

inline void inverse_lengths(const RowBlock& block, float* inverses) {
  for (int64_t i = 0; i < block.count; i += kWidth) {
    store_some(inverses + i, products(block, i, nullptr), block.count - i);
  }
  int32_t doubtful = 0;
  for (int64_t i = 0; i < block.count; ++i) {
    inverses[i] = 1.0f / std::sqrt(inverses[i]);
    doubtful |= !is_usual(inverses[i]);
  }
  if (!doubtful) return;
  for (int64_t i = 0; i < block.count; ++i) {
    if (!is_usual(inverses[i])) inverses[i] = exact_inverse_length(block.rows + i * block.stride, block.dimensions);
  }
}

inline void cosines(const RowBlock& block, const float* query, const float* inverses, float* cosines) {
  for (int64_t i = 0; i < block.count; i += kWidth) {
    store_some(cosines + i, products(block, i, query), block.count - i);
  }
  for (int64_t i = 0; i < block.count; ++i) cosines[i] *= inverses[i];
}

// R rows times R registers' width of queries, from a panel of `Lanes` queries.
template <int Lanes, int R, int Registers>
PE_INLINE void tile(const RowBlock& block, int64_t first, const float* panel, const float* inverses, float* cosines) {
  Float sums[R][Registers];
  unrolled<R>([&](auto r) PE_LAMBDA { unrolled<Registers>([&](auto j) PE_LAMBDA { sums[r][j] = zero(); }); });
  const float* const row = block.rows + first * block.stride;
  for (int64_t d = 0; d < block.dimensions; ++d) {
    Float query[Registers];
    unrolled<Registers>([&](auto j) PE_LAMBDA { query[j] = load(panel + d * Lanes + j * kWidth); });
    unrolled<R>([&](auto r) PE_LAMBDA {
      const Float x = broadcast(row[r * block.stride + d]);
      unrolled<Registers>([&](auto j) PE_LAMBDA { sums[r][j] = fma(x, query[j], sums[r][j]); });
    });
  }
  unrolled<R>([&](auto r) PE_LAMBDA {
    const Float inverse = broadcast(inverses[first + r]);
    unrolled<Registers>([&](auto j)
                            PE_LAMBDA { store(cosines + (first + r) * Lanes + j * kWidth, sums[r][j] * inverse); });
  });
}

template <int Lanes, int Rows, int Registers>
void tiled_cosines(const RowBlock& block, const float* panel, const float* inverses, float* cosines) {
  for (int64_t lane = 0; lane < Lanes; lane += Registers * kWidth) {
    int64_t i = 0;
    for (; i + Rows <= block.count; i += Rows) {
      tile<Lanes, Rows, Registers>(block, i, panel + lane, inverses, cosines + lane);
    }
    for (; i < block.count; ++i) tile<Lanes, 1, Registers>(block, i, panel + lane, inverses, cosines + lane);
  }
}

inline void multiply(const float* cosines, int64_t n, bool first, float* product) {
  if (first) {
    for (int64_t i = 0; i < n; ++i) product[i] = (1 + cosines[i]) * 0.5f;
  } else {
    for (int64_t i = 0; i < n; ++i) product[i] *= (1 + cosines[i]) * 0.5f;
  }
}

inline void divide(const float* above, const float* below, int64_t n, float* scores) {
  for (int64_t i = 0; i < n; ++i) scores[i] = above[i] / (below[i] + kMulEpsilon);
}

// Whether any of so many scores is above its bar.
template <int64_t Lanes>
PE_INLINE bool any_above(const float* scores, const float* bars) {
  int32_t any = 0;
  for (int64_t lane = 0; lane < Lanes; ++lane) any |= scores[lane] > bars[lane];
  return any != 0;
}

template <int64_t Lanes>
PE_INLINE int64_t places_above(const float* scores, int64_t n, const float* bars, int32_t* places) {
  int64_t found = 0;
  for (int64_t i = 0; i < n * Lanes; i += Lanes) {
    if (!any_above<Lanes>(scores + i, bars)) continue;
    for (int64_t lane = 0; lane < Lanes; ++lane) {
      if (scores[i + lane] > bars[lane]) places[found++] = static_cast<int32_t>(i + lane);
    }
  }
  return found;
}

inline int64_t above(const float* scores, int64_t n, int64_t lanes, const float* bars, int32_t* places) {
  if (lanes == kPanel) return places_above<kPanel>(scores, n, bars, places);
  if (lanes == kNarrowPanel) return places_above<kNarrowPanel>(scores, n, bars, places);
  return places_above<1>(scores, n, bars, places);
}

inline void widen(const int8_t* values, int64_t n, float* floats) {
  for (int64_t i = 0; i < n; ++i) floats[i] = values[i];
}

constexpr RowScores entries(const char* name) {
  return {name,
          inverse_lengths,
          cosines,
          tiled_cosines<kPanel, kTileRows, kTileRegisters>,
          tiled_cosines < kNarrowPanel,
          kWidth == 16 ? 12 : kTileRows,
          kWidth == 16 ? 1 : kTileRegisters >
          , multiply, divide, above, widen};
}

}  // namespace pyembed::PE_ISA
