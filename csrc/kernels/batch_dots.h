// The products of a batch by dot products of pairs of bfloat16 in vector registers, where a processor takes no longer
// for them than for multiply-adds of float32. Spec: pyembed/reference.py section 12. PE_ISA names the namespace.
#pragma once

namespace pyembed::PE_ISA {

template <class Element>
using BatchRowsOfStep = ProductRows<Element>;

// sum + a * b: of 16 pairs with one that stands for all of them.
PE_INLINE Float add_dots(Float sum, __m512i pairs, const int32_t* pair) {
  return _mm512_dpbf16_ps(sum, (__m512bh)pairs, (__m512bh)_mm512_set1_epi32(*pair));
}

PE_INLINE Float add_dots(Float sum, __m512i pairs, __m512i others) {
  return _mm512_dpbf16_ps(sum, (__m512bh)pairs, (__m512bh)others);
}

// Calls f(constant count) with the count, from 1 to Most.
template <int Most, class F>
PE_INLINE void with_constant(int64_t count, const F& f) {
  if constexpr (Most == 1) {
    f(std::integral_constant<int, 1>{});
  } else {
    count == Most ? f(std::integral_constant<int, Most>{}) : with_constant<Most - 1>(count, f);
  }
}

template <class Window>
class BatchProducts : public BatchFactors<Window> {
  using Factors = BatchFactors<Window>;
  using Factors::batch_, Factors::scratch_, Factors::D_, Factors::stride_, Factors::C_;
  using typename Factors::Element;

 public:
  PE_INLINE BatchProducts(const Window& batch, int64_t D, const BatchScratch& scratch) : Factors(batch, D, scratch) {}

  PE_INLINE void score() const {
    const auto coming = batch_.prefetch.with_columns_scored();
    for (int64_t c = 0; c < C_; ++c) store(scratch_.scores + c * kProductRows, zero());
    for_each_columns<2>(D_, [&](auto registers, auto is_tail, int64_t d, int tail) PE_LAMBDA {
      coming.template bring_in_columns<decltype(registers)::value>(d);
      const int pairs = this->template put_columns<decltype(registers)::value, decltype(is_tail)::value>(d, tail);
      with_constant<kProductRows / 2>((C_ + 1) / 2,
                                      [&](auto twos) PE_LAMBDA { add_scores<2 * decltype(twos)::value>(pairs); });
    });
  }

  PE_INLINE void update() const {
    with_constant<kErrorPairs>((C_ + 1) / 2, [&](auto twos) PE_LAMBDA { update<decltype(twos)::value>(); });
  }

 private:
  static constexpr int kErrorPairs = kProductRows / 2;  // in a row of errors

  // P: pairs of contexts.
  template <int P>
  PE_INLINE void update() const {
    Element* outputs[kProductRows];
    this->turned_outputs(outputs);
    const auto* const errors = reinterpret_cast<const int32_t*>(scratch_.errors);
    const auto* const turned_errors = reinterpret_cast<const int32_t*>(scratch_.turned_errors);
    const auto coming = batch_.prefetch.with_columns_updated();
    for_each_columns<2>(D_, [&](auto registers, auto is_tail, int64_t d, int tail) PE_LAMBDA {
      constexpr int M = decltype(registers)::value;
      constexpr bool Tail = decltype(is_tail)::value;
      coming.template bring_in_columns<M>(d);
      add_products<kErrorPairs, M, Tail>(batch_.context_rows, C_, errors, scratch_.across_out + d, d, tail);
      add_products<P, M, Tail>(outputs, kProductRows, turned_errors, scratch_.across_in + d, d, tail);
    });
  }

  // Scores of C contexts with all outputs, by some pairs of columns more.
  template <int C>
  PE_INLINE void add_scores(int pairs) const {
    Float sums[C];
    unrolled<C>([&](auto c) PE_LAMBDA { sums[c] = load(scratch_.scores + c * kProductRows); });
    for (int j = 0; j < pairs; ++j) {
      const __m512i outputs = _mm512_load_si512(scratch_.turned_out + j * kProductRows);
      unrolled<C>([&](auto c)
                      PE_LAMBDA { sums[c] = add_dots(sums[c], outputs, scratch_.along_in + c * kProductRows + j); });
    }
    unrolled<C>([&](auto c) PE_LAMBDA { store(scratch_.scores + c * kProductRows, sums[c]); });
  }

  // Adds to the columns of each row the others, P pairs of them, times its errors with them. A row that stands there
  // twice takes both, one after the other.
  template <int P, int M, bool Tail>
  PE_INLINE void add_products(Element* const* rows, int64_t count, const int32_t* errors, const int32_t* others,
                              int64_t d, int tail) const {
    __m512i pairs[P * M];
    unrolled<P * M>([&](auto i) PE_LAMBDA { pairs[i] = _mm512_load_si512(others + i / M * stride_ + i % M * kWidth); });
    for (int64_t r = 0; r < count; ++r, errors += kErrorPairs) {
      this->updates_.template change<M, Tail>(rows[r], d, tail, r, [&](Float(&numbers)[M]) PE_LAMBDA {
        unrolled<P * M>([&](auto i) PE_LAMBDA { numbers[i % M] = add_dots(numbers[i % M], pairs[i], errors + i / M); });
      });
    }
  }
};

}  // namespace pyembed::PE_ISA
