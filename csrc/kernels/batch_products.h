// A batch as products of matrices, whose factors are rounded to bfloat16; their sums are float32. What all that
// multiply them have in common: factors, and errors. Spec: pyembed/reference.py section 12. PE_ISA names the namespace.
//
// A product sums over pairs of numbers, so rows are rounded twice over: along the columns, two numbers of a row beside
// each other, as scores sum; and across the rows, the numbers that two rows have in a column, as updates sum.
#pragma once

namespace pyembed::PE_ISA {

// A batch's rows, which are multiplied where they lie. Scratch of rows that are not there may be multiplied, too, but
// by 0.
template <class Element>
class ProductRows {
 public:
  using Row = Element;

  ProductRows(const BatchScratch& scratch, int64_t D) : step_(scratch.step), D_(D) {
    __builtin_memset(scratch.products.along_in, 0, scratch.products.bytes);
  }
  static int64_t columns(int64_t D) { return D; }

  void draw_keys(const Draws& draws, uint64_t first, int64_t count) {
    if constexpr (kRounds) draw_rounding_keys(draws, first, count, step_.rounding_keys);
  }
  PE_INLINE WindowRows<Element> open(const WindowRows<Element>& rows, int64_t w) const {
    if constexpr (kRounds) draw_noise_of_rows(step_, w, D_);
    return rows;
  }
  PE_INLINE void close(const WindowRows<Element>&, int64_t) const {}

 private:
  static constexpr bool kRounds = std::is_same_v<Element, BFloat16>;
  const StepScratch& step_;
  const int64_t D_;
};

PE_INLINE void put(void* to, __m512i x) { _mm512_store_si512(to, x); }

// Puts M registers of columns of `count` rows, from column d on, into scratch. along: [rows, 16]; across:
// [rows / 2, stride].
template <int M, bool Tail, class Element>
PE_INLINE void put_rows(Element* const* rows, int64_t count, const Element* nothing, int64_t d, int tail,
                        int32_t* along, int32_t* across, int64_t stride) {
  for (int64_t r = 0; r < count; r += 2, along += 2 * kProductRows, across += stride) {
    const Element* const other = r + 1 < count ? rows[r + 1] : nothing;
    const auto first = FactorColumns<Element, M>::template of<Tail>(rows[r] + d, tail);
    const auto second = FactorColumns<Element, M>::template of<Tail>(other + d, tail);
    put(along, first.along());
    put(along + kProductRows, second.along());
    unrolled<M>([&](auto m)
                    PE_LAMBDA { put(across + m * kProductRows, first.template across<decltype(m)::value>(second)); });
  }
}

// Of four registers, numbers 4L to 4L + 3 of turned[i] are number 4L + i of each.
PE_INLINE void turn_quads(const __m512i (&x)[4], __m512i (&turned)[4]) {
  const __m512i a = _mm512_unpacklo_epi32(x[0], x[1]), b = _mm512_unpackhi_epi32(x[0], x[1]);
  const __m512i c = _mm512_unpacklo_epi32(x[2], x[3]), e = _mm512_unpackhi_epi32(x[2], x[3]);
  turned[0] = _mm512_unpacklo_epi64(a, c);
  turned[1] = _mm512_unpackhi_epi64(a, c);
  turned[2] = _mm512_unpacklo_epi64(b, e);
  turned[3] = _mm512_unpackhi_epi64(b, e);
}

// turned [4, 16] from the first four of each of rows [16, 16].
PE_INLINE void turn_rows(const int32_t* rows, int32_t* turned) {
  __m512i x[4], columns[4];
  unrolled<4>([&](auto i) PE_LAMBDA {
    const auto four = [&](int L) PE_LAMBDA {
      return _mm_load_si128(reinterpret_cast<const __m128i*>(rows + (4 * L + decltype(i)::value) * kProductRows));
    };
    x[i] = _mm512_castsi128_si512(four(0));
    x[i] = _mm512_mask_broadcast_i32x4(x[i], 0x00F0, four(1));
    x[i] = _mm512_mask_broadcast_i32x4(x[i], 0x0F00, four(2));
    x[i] = _mm512_mask_broadcast_i32x4(x[i], 0xF000, four(3));
  });
  turn_quads(x, columns);
  unrolled<4>([&](auto i) PE_LAMBDA { put(turned + i * kProductRows, columns[i]); });
}

// Rows of turned errors stand in the order in which turning leaves them: in place t the output 4 (t % 4) + t / 4.
constexpr int turned_place(int t) { return 4 * (t % 4) + t / 4; }

// Errors of 8 pairs of contexts with 16 outputs: turned [16, 8] pairs.
PE_INLINE void turn_errors(const __m512i (&pairs)[8], uint16_t* turned) {
  __m512i x[4], first[4], second[4];
  unrolled<4>([&](auto i) PE_LAMBDA { x[i] = pairs[i]; });
  turn_quads(x, first);
  unrolled<4>([&](auto i) PE_LAMBDA { x[i] = pairs[4 + i]; });
  turn_quads(x, second);
  const __m512i low = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), high = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
  unrolled<4>([&](auto i) PE_LAMBDA {
    put(turned + 4 * i * kProductRows, _mm512_permutex2var_epi64(first[i], low, second[i]));
    put(turned + (4 * i + 2) * kProductRows, _mm512_permutex2var_epi64(first[i], high, second[i]));
  });
}

// As weighted_step_sizes(), to 13 bits: they are rounded to 8 next. 2^rest and log2 by the polynomials of degree 3 and
// 5 of least relative error, 8e-5 and 6e-5.
PE_INLINE Float rough_step_sizes(Float score, Float weight, Float rate, WeightedLoss& loss) {
  const Float factors = (Float)(((Int)weight & INT32_MIN) ^ (Int)broadcast(-kLog2e));
  const Float exponent = score * factors;
  const Float most = at_most(126.0f, exponent), clamped = at_least(-126.0f, most);
  const Float rest = _mm512_reduce_ps(clamped, _MM_FROUND_TO_NEG_INF);
  const Float power = fma(rest * rest, fma(rest, broadcast(0.07802452f), broadcast(0.22606716f)),
                          fma(rest, broadcast(0.69583354f), broadcast(0.99992522f)));
  const Float growth = _mm512_scalef_ps(power, clamped), sum = broadcast(1.0f) + growth;
  const Float t = _mm512_getmant_ps(sum, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_zero) - broadcast(1.0f), square = t * t;
  const Float high = fma(square, broadcast(0.05965144f), fma(t, broadcast(-0.22711921f), broadcast(0.44189865f)));
  const Float low = fma(t, broadcast(-0.71698737f), broadcast(1.4426132f));
  const Float powers = fma(t, fma(square, high, low), _mm512_getexp_ps(sum)) + (exponent - most);
  loss.powers = fma((Float)((Int)weight & INT32_MAX), powers, loss.powers);
  return growth * _mm512_rcp14_ps(sum) * (weight * rate);
}

// What a batch multiplies, and what its errors are.
template <class Window>
class BatchFactors {
 public:
  using Element = typename Window::Row;
  static_assert(!Window::kGradients, "contexts are rows that it adds to");

  PE_INLINE BatchFactors(const Window& batch, int64_t D, const BatchScratch& scratch)
      : batch_(batch),
        scratch_(scratch.products),
        D_(D),
        stride_((D + 2 * kProductRows - 1) / (2 * kProductRows) * 2 * kProductRows),
        C_(batch.context_count),
        N_(batch.N),
        nothing_(reinterpret_cast<Element*>(scratch.products.nothing)),
        updates_(scratch.step) {}

 protected:
  // Fills along_in, turned_out and across with the columns from d on. Returns how many pairs of columns are not all 0.
  template <int M, bool Tail>
  PE_INLINE int put_columns(int64_t d, int tail) const {
    const ProductScratch& s = scratch_;
    put_rows<M, Tail>(batch_.context_rows, C_, nothing_, d, tail, s.along_in, s.across_in + d, stride_);
    put_rows<M, Tail>(batch_.output_rows, N_, nothing_, d, tail, s.along_out, s.across_out + d, stride_);
    const int pairs = FactorColumns<Element, M>::pairs(Tail ? tail : M * kWidth);
    for (int j = 0; j < pairs; j += 4) turn_rows(s.along_out + j, s.turned_out + j * kProductRows);
    return pairs;
  }

 public:
  // Turns scores into errors, rate included.
  PE_INLINE void size_steps(const float* weights, WeightedLoss& loss) const {
    const Float rate = broadcast(batch_.rate);
    const auto errors = [&](int64_t c) PE_LAMBDA {
      if (c >= C_) return _mm512_setzero_si512();
      const int64_t place = c * kProductRows;
      return rounded(rough_step_sizes(load(scratch_.scores + place), load(weights + place), rate, loss));
    };
    const auto put_row = [&](int64_t c, __m512i numbers) PE_LAMBDA {
      _mm256_store_si256(reinterpret_cast<__m256i*>(scratch_.errors + c * kProductRows),
                         _mm512_cvtepi32_epi16(_mm512_srli_epi32(numbers, 16)));
    };
    __m512i pairs[kProductRows / 2];
    unrolled<kProductRows / 2>([&](auto i) PE_LAMBDA {
      const __m512i even = errors(2 * i), odd = errors(2 * i + 1);
      put_row(2 * i, even);
      put_row(2 * i + 1, odd);
      pairs[i] = pairs_of(even, odd);
    });
    turn_errors(pairs, scratch_.turned_errors);
  }

 protected:
  // The rows of outputs in the order of turned errors.
  PE_INLINE void turned_outputs(Element* (&outputs)[kProductRows]) const {
    unrolled<kProductRows>([&](auto t) PE_LAMBDA {
      constexpr int n = turned_place(decltype(t)::value);
      outputs[t] = n < N_ ? batch_.output_rows[n] : nothing_;
    });
  }

  const Window& batch_;
  const ProductScratch& scratch_;
  const int64_t D_, stride_, C_, N_;
  Element* const nothing_;
  const RowUpdates<Element> updates_;
};

// score() and update() by the units that the processor has.
template <class Window>
class BatchProducts;

template <class Window>
PE_INLINE void train_batch(const Window& batch, int64_t D, const BatchScratch& scratch, WeightedLoss& loss) {
  const BatchProducts<Window> step(batch, D, scratch);
  step.score();
  step.size_steps(batch.weights, loss);
  step.update();
}

}  // namespace pyembed::PE_ISA
