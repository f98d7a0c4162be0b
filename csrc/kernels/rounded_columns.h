// Columns of float32 rows as factors of bfloat16, rounded by AVX-512 alone. PE_ISA names the namespace.
#pragma once

namespace pyembed::PE_ISA {

template <int M>
class FactorColumns<float, M> {
 public:
  template <bool Tail>
  static PE_INLINE FactorColumns of(const float* row, int tail) {
    FactorColumns columns;
    unrolled<M>([&](auto m)
                    PE_LAMBDA { columns.x_[m] = rounded(Tail ? load_first(row, tail) : load(row + m * kWidth)); });
    return columns;
  }

  // All of them, two columns a pair, in an order that all rows share; one register's are paired with 0.
  PE_INLINE __m512i along() const { return pairs_of(x_[0], M == 2 ? x_[M - 1] : _mm512_setzero_si512()); }

  static PE_INLINE int pairs(int columns) { return M == 2 ? columns / 2 : columns; }

  // Those of 16 columns of this row, paired with another's.
  template <int m>
  PE_INLINE __m512i across(const FactorColumns& other) const {
    return pairs_of(x_[m], other.x_[m]);
  }

 private:
  __m512i x_[M];
};

}  // namespace pyembed::PE_ISA
