// Loops over a few registers, unrolled before anything else happens to them: arrays of registers indexed by their
// counters never reach memory, which no loop that the compiler unrolls later can promise. Included inside
// PE_TARGET_BEGIN, with PE_ISA naming the namespace.
#pragma once

namespace pyembed::PE_ISA {

template <class F, int... I>
PE_INLINE void for_each_of(std::integer_sequence<int, I...>, const F& f) {
  (f(std::integral_constant<int, I>{}), ...);
}

// f(constant 0), ..., f(constant N - 1). Mark f's call PE_LAMBDA.
template <int N, class F>
PE_INLINE void unrolled(const F& f) {
  for_each_of(std::make_integer_sequence<int, N>{}, f);
}

// x[I], or zeros where there are fewer.
template <int I, class Register, int M>
PE_INLINE Register row_or_zero(const Register (&x)[M]) {
  if constexpr (I < M) {
    return x[I];
  } else {
    return Register{};
  }
}

}  // namespace pyembed::PE_ISA
