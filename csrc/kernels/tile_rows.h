// How rows of tables enter tiles and take what tiles give them: those of float32 are rounded to the nearest bfloat16 to
// enter; those of bfloat16 enter as they lie, and are rounded stochastically when something is added to them, see
// reference.py section 8. PE_ISA names the namespace.
#pragma once

namespace pyembed::PE_ISA {

// The upper halves of both, low's below high's.
PE_INLINE __m512i pairs_of(__m512i low, __m512i high) {
  return _mm512_mask_blend_epi16(0xAAAAAAAAu, _mm512_srli_epi32(low, 16), high);
}

// To bfloat16, which is the upper half of each number; the lower is of no use.
PE_INLINE __m512i rounded(Float x) { return _mm512_add_epi32(_mm512_castps_si512(x), _mm512_set1_epi32(0x8000)); }

// M registers of a row's columns as numbers of bfloat16: 16 M columns, or where they are its Tail, fewer than 16.
template <class Element, int M>
class TileColumns;

template <int M>
class TileColumns<float, M> {
 public:
  template <bool Tail>
  static PE_INLINE TileColumns of(const float* row, int tail) {
    TileColumns columns;
    unrolled<M>([&](auto m)
                    PE_LAMBDA { columns.x_[m] = rounded(Tail ? load_first(row, tail) : load(row + m * kWidth)); });
    return columns;
  }

  // All of them, two columns a pair, in an order that all rows share; one register's are paired with 0.
  PE_INLINE __m512i along() const { return pairs_of(x_[0], M == 2 ? x_[M - 1] : _mm512_setzero_si512()); }

  // Those of 16 columns of this row, paired with another's.
  template <int m>
  PE_INLINE __m512i across(const TileColumns& other) const {
    return pairs_of(x_[m], other.x_[m]);
  }

 private:
  __m512i x_[M];
};

// Of two registers, which are read as one, the first has the even columns.
template <int M>
class TileColumns<BFloat16, M> {
 public:
  template <bool Tail>
  static PE_INLINE TileColumns of(const BFloat16* row, int tail) {
    if (M == 2) return {_mm512_loadu_si512(row)};
    const __m256i words = Tail ? _mm256_maskz_loadu_epi16(first_lanes(tail), row)
                               : _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row));
    return {_mm512_cvtepu16_epi32(words)};
  }

  PE_INLINE __m512i along() const { return x_; }

  template <int m>
  PE_INLINE __m512i across(const TileColumns& other) const {
    if (m == 1) return pairs_of(x_, other.x_);
    return _mm512_mask_blend_epi16(0xAAAAAAAAu, x_, _mm512_slli_epi32(other.x_, 16));
  }

 private:
  PE_INLINE TileColumns(__m512i x) : x_(x) {}
  __m512i x_;
};

constexpr int64_t kSumsApart = 2 * kTileRows * kTileRows;  // from a register's sums to the next one's

// What a batch adds to rows of tables.
template <class Element>
class TileUpdates;

template <>
class TileUpdates<float> {
 public:
  explicit TileUpdates(const StepScratch&) {}

  // Adds to the columns of a row as TileColumns has them, from column d on.
  template <int M, bool Tail>
  PE_INLINE void add(float* row, int64_t d, int tail, const float* sums, int64_t) const {
    unrolled<M>([&](auto m) PE_LAMBDA {
      float* const to = row + d + m * kWidth;
      const Float sum = load(sums + m * kSumsApart);
      Tail ? store_first(to, load_first(to, tail) + sum, tail) : store(to, load(to) + sum);
    });
  }
};

template <>
class TileUpdates<BFloat16> {
 public:
  explicit TileUpdates(const StepScratch& scratch) : noise_(scratch.noise) {}

  // number: of the row in its batch, for neighbours are rounded with other noise.
  template <int M, bool Tail>
  PE_INLINE void add(BFloat16* row, int64_t d, int tail, const float* sums, int64_t number) const {
    const uint32_t* const noise = noise_ + number % kShifts * 2 * kWidth + d;
    const auto sum = [&](int m, __m512i old) PE_LAMBDA {
      const Float value = _mm512_castsi512_ps(old) + load(sums + m * kSumsApart);
      return _mm512_add_epi32(_mm512_castps_si512(value), _mm512_loadu_si512(noise + m * kWidth));
    };
    if constexpr (M == 2) {
      const __m512i words = _mm512_loadu_si512(row + d);
      const __m512i even = sum(0, _mm512_slli_epi32(words, 16));
      const __m512i odd = sum(1, _mm512_and_si512(words, _mm512_set1_epi32(static_cast<int32_t>(kHighHalf))));
      _mm512_storeu_si512(row + d, pairs_of(even, odd));
    } else {
      const __mmask16 there = Tail ? first_lanes(tail) : first_lanes(kWidth);
      const __m512i words = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(there, row + d));
      const __m512i value = _mm512_srli_epi32(sum(0, _mm512_slli_epi32(words, 16)), 16);
      _mm256_mask_storeu_epi16(row + d, there, _mm512_cvtepi32_epi16(value));
    }
  }

 private:
  const uint32_t* noise_;
};

}  // namespace pyembed::PE_ISA
