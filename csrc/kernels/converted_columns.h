// Columns of float32 rows as factors of bfloat16, by the instructions that convert to it: fewer than
// rounded_columns.h takes, and numbers halfway between two become the even one. PE_ISA names the namespace.
#pragma once

namespace pyembed::PE_ISA {

// Words 16 m to 16 m + 15 of two registers: each of the first below that of the second.
template <int m>
PE_INLINE __m512i zipped_words(__m512i first, __m512i second) {
  constexpr int64_t kOne = 16 * m | (32 + 16 * m) << 16, kTwo = kOne | (kOne + 0x00010001) << 32;
  constexpr int64_t kNext = 0x0002000200020002;
  const __m512i order = _mm512_setr_epi64(kTwo, kTwo + kNext, kTwo + 2 * kNext, kTwo + 3 * kNext, kTwo + 4 * kNext,
                                          kTwo + 5 * kNext, kTwo + 6 * kNext, kTwo + 7 * kNext);
  return _mm512_permutex2var_epi16(first, order, second);
}

template <int M>
class FactorColumns<float, M> {
 public:
  template <bool Tail>
  static PE_INLINE FactorColumns of(const float* row, int tail) {
    if constexpr (M == 2) {
      return {(__m512i)_mm512_cvtne2ps_pbh(load(row + kWidth), load(row))};
    } else {
      return {_mm512_zextsi256_si512((__m256i)_mm512_cvtneps_pbh(Tail ? load_first(row, tail) : load(row)))};
    }
  }

  // All of them, neighbours a pair.
  PE_INLINE __m512i along() const { return x_; }
  static PE_INLINE int pairs(int columns) { return (columns + 1) / 2; }

  // Those of 16 columns of this row, paired with another's.
  template <int m>
  PE_INLINE __m512i across(const FactorColumns& other) const {
    return zipped_words<m>(x_, other.x_);
  }

 private:
  PE_INLINE FactorColumns(__m512i x) : x_(x) {}
  __m512i x_;
};

}  // namespace pyembed::PE_ISA
