// How rows of tables enter products and take what products give them: those of float32 are rounded to the nearest
// bfloat16 to enter; those of bfloat16 enter as they lie, and are rounded stochastically when something is added to
// them, see reference.py section 8. PE_ISA names the namespace.
#pragma once

namespace pyembed::PE_ISA {

// The upper halves of both, low's below high's.
PE_INLINE __m512i pairs_of(__m512i low, __m512i high) {
  return _mm512_mask_blend_epi16(0xAAAAAAAAu, _mm512_srli_epi32(low, 16), high);
}

// To bfloat16, which is the upper half of each number; the lower is of no use.
PE_INLINE __m512i rounded(Float x) { return _mm512_add_epi32(_mm512_castps_si512(x), _mm512_set1_epi32(0x8000)); }

// M registers of a row's columns as numbers of bfloat16: 16 M columns, or where they are its Tail, fewer than 16. Of
// those of float32 see rounded_columns.h and converted_columns.h.
template <class Element, int M>
class FactorColumns;

// Of two registers, which are read as one, the first has the even columns.
template <int M>
class FactorColumns<BFloat16, M> {
 public:
  template <bool Tail>
  static PE_INLINE FactorColumns of(const BFloat16* row, int tail) {
    if (M == 2) return {_mm512_loadu_si512(row)};
    const __m256i words = Tail ? _mm256_maskz_loadu_epi16(first_lanes(tail), row)
                               : _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row));
    return {_mm512_cvtepu16_epi32(words)};
  }

  PE_INLINE __m512i along() const { return x_; }
  static PE_INLINE int pairs(int columns) { return M == 2 ? columns / 2 : columns; }

  template <int m>
  PE_INLINE __m512i across(const FactorColumns& other) const {
    if (m == 1) return pairs_of(x_, other.x_);
    return _mm512_mask_blend_epi16(0xAAAAAAAAu, x_, _mm512_slli_epi32(other.x_, 16));
  }

 private:
  PE_INLINE FactorColumns(__m512i x) : x_(x) {}
  __m512i x_;
};

// Changes rows of tables: change(row, d, tail, number, f) calls f(numbers) with registers of the row's columns from
// column d on, as FactorColumns has them, and keeps what f makes of them. number: of the row in its batch.
template <class Element>
class RowUpdates;

template <>
class RowUpdates<float> {
 public:
  explicit RowUpdates(const StepScratch&) {}

  template <int M, bool Tail, class F>
  PE_INLINE void change(float* row, int64_t d, int tail, int64_t, const F& f) const {
    float* const columns = row + d;
    Float numbers[M];
    unrolled<M>([&](auto m) PE_LAMBDA { numbers[m] = Tail ? load_first(columns, tail) : load(columns + m * kWidth); });
    f(numbers);
    unrolled<M>([&](auto m) PE_LAMBDA {
      Tail ? store_first(columns, numbers[m], tail) : store(columns + m * kWidth, numbers[m]);
    });
  }
};

template <>
class RowUpdates<BFloat16> {
 public:
  explicit RowUpdates(const StepScratch& scratch) : noise_(scratch.noise) {}

  // Neighbouring rows are rounded with other noise.
  template <int M, bool Tail, class F>
  PE_INLINE void change(BFloat16* row, int64_t d, int tail, int64_t number, const F& f) const {
    const uint32_t* const noise = noise_ + number % kShifts * 2 * kWidth + d;
    const auto noisy = [&](Float x, int m) PE_LAMBDA {
      return _mm512_add_epi32(_mm512_castps_si512(x), _mm512_loadu_si512(noise + m * kWidth));
    };
    Float numbers[M];
    if constexpr (M == 2) {
      const __m512i words = _mm512_loadu_si512(row + d);
      numbers[0] = _mm512_castsi512_ps(_mm512_slli_epi32(words, 16));
      numbers[1] = _mm512_castsi512_ps(_mm512_and_si512(words, _mm512_set1_epi32(static_cast<int32_t>(kHighHalf))));
      f(numbers);
      _mm512_storeu_si512(row + d, pairs_of(noisy(numbers[0], 0), noisy(numbers[1], 1)));
    } else {
      const __mmask16 there = Tail ? first_lanes(tail) : first_lanes(kWidth);
      const __m512i words = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(there, row + d));
      numbers[0] = _mm512_castsi512_ps(_mm512_slli_epi32(words, 16));
      f(numbers);
      _mm256_mask_storeu_epi16(row + d, there, _mm512_cvtepi32_epi16(_mm512_srli_epi32(noisy(numbers[0], 0), 16)));
    }
  }

 private:
  const uint32_t* noise_;
};

}  // namespace pyembed::PE_ISA
