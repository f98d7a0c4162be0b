// The columns of rows, several registers of them at a time. PE_ISA names the namespace.
#pragma once

namespace pyembed::PE_ISA {

// Calls f(constant M or 1, constant whether a tail, first column, columns of the tail) until all D columns have passed
// by.
template <int M = kUpdateRegisters, class F>
PE_INLINE void for_each_columns(int64_t D, const F& f) {
  using One = std::integral_constant<int, 1>;
  int64_t d = 0;
  for (; d + M * kWidth <= D; d += M * kWidth) f(std::integral_constant<int, M>{}, std::false_type{}, d, 0);
  for (; d + kWidth <= D; d += kWidth) f(One{}, std::false_type{}, d, 0);
  if (d < D) f(One{}, std::true_type{}, d, static_cast<int>(D - d));
}

}  // namespace pyembed::PE_ISA
