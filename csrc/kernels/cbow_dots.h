// CBOW's batches by dot products of pairs of bfloat16, see batch_dots.h: the windows' hidden vectors stand for
// contexts, each of which meets its own center and the negatives. Spec: pyembed/reference.py section 12. PE_ISA names
// the namespace.
//
// Outputs are scored along the columns, without turning them as skip-gram's batches do: windows are too few for that to
// pay. Hidden vectors sum over as many contexts as a batch may have, some of which are zeros: where a loop ends
// somewhere else in each batch, the processor guesses wrong, which takes longer than the zeros.
#pragma once

namespace pyembed::PE_ISA {

// Pairs of bfloat16, 16 columns of two rows: those of low below those of high.
PE_INLINE __m512i rounded_across(Float low, Float high) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21,
                                         5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(high, low));
}

// M registers of columns that have been computed, paired as FactorColumns<Element, M> pairs those of a table's row.
template <class Element, int M>
PE_INLINE __m512i rounded_along(const Float* x) {
  if constexpr (std::is_same_v<Element, BFloat16>) {
    return rounded_across(x[0], M == 2 ? x[M - 1] : zero());
  } else {
    return M == 2 ? (__m512i)_mm512_cvtne2ps_pbh(x[M - 1], x[0])
                  : _mm512_zextsi256_si512((__m256i)_mm512_cvtneps_pbh(x[0]));
  }
}

// T: pairs of windows; the second of the last may be missing, and its errors are then 0.
template <class Window, int T>
class CbowProducts {
 public:
  using Element = typename Window::Row;

  PE_INLINE CbowProducts(const Window& batch, int64_t D, const BatchScratch& scratch)
      : batch_(batch),
        s_(scratch.products),
        weights_(scratch.weights),
        D_(D),
        stride_(ProductScratch::columns(D)),
        updates_(scratch.step) {
    Element* const nothing = reinterpret_cast<Element*>(s_.nothing);
    for (int64_t i = 0; i < kProductRows; ++i) {
      contexts_[i] = i < batch.context_count ? batch.context_rows[i] : nothing;
      outputs_[i] = i < batch.N ? batch.output_rows[i] : nothing;
    }
  }

  PE_INLINE void score() const {
    for_each_columns<2>(D_, [&](auto registers, auto is_tail, int64_t d, int tail) PE_LAMBDA {
      sum_contexts<decltype(registers)::value, decltype(is_tail)::value>(d, tail);
    });
    for (int quad = 0; quad < kProductRows / 4; ++quad) score_quad(quad);
  }

  // Turns scores into errors, rate included.
  PE_INLINE void size_steps(int windows, WeightedLoss& loss) const {
    const Float rate = broadcast(batch_.rate);
    unrolled<T>([&](auto t) PE_LAMBDA {
      Float errors[2];
      unrolled<2>([&](auto i) PE_LAMBDA {
        const int p = 2 * t + i;
        Float quads[4];
        unrolled<4>([&](auto q) PE_LAMBDA { quads[q] = load(quads_of(q) + p * kWidth); });
        const Float weight = p < windows ? load(weights_ + p * kProductRows) : zero();
        errors[i] = rough_step_sizes(join_quads(quads), weight, rate, loss);
      });
      put(s_.errors + 2 * t * kProductRows, (__m512i)_mm512_cvtne2ps_pbh(errors[1], errors[0]));
      put(s_.turned_errors + 2 * t * kProductRows, rounded_across(errors[0], errors[1]));
    });
  }

  PE_INLINE void update() const {
    const auto coming = batch_.prefetch.with_columns_updated();
    for_each_columns<2>(D_, [&](auto registers, auto is_tail, int64_t d, int tail) PE_LAMBDA {
      constexpr int M = decltype(registers)::value;
      constexpr bool Tail = decltype(is_tail)::value;
      coming.template bring_in_columns<M>(d);
      __m512i pairs[T * M];
      sum_outputs<M>(d, pairs);
      const auto* const inside = reinterpret_cast<const int32_t*>(s_.inside);
      add_pairs<M, Tail>(contexts_, batch_.context_count, d, tail, pairs, inside, kErrorPairs, 1);
      unrolled<T * M>(
          [&](auto i) PE_LAMBDA { pairs[i] = _mm512_load_si512(s_.across_in + i / M * stride_ + d + i % M * kWidth); });
      const auto* const errors = reinterpret_cast<const int32_t*>(s_.turned_errors);
      add_pairs<M, Tail>(outputs_, batch_.N, d, tail, pairs, errors, 1, kProductRows);
    });
  }

 private:
  static constexpr int P = 2 * T;
  static constexpr int kErrorPairs = kProductRows / 2;  // in a row of errors

  // Sums over groups of four columns of the products of four outputs with the hidden vectors: [P, 16].
  float* quads_of(int quad) const { return s_.sums + quad * P * kWidth; }
  // The hidden vectors' columns from d on, in pairs: [P, 16].
  int32_t* along_of(int64_t d) const { return s_.along_hidden + d / kWidth * kMostCbowWindows * kProductRows; }

  // Puts those columns of the hidden vectors into along_of() and across_in.
  template <int M, bool Tail>
  PE_INLINE void sum_contexts(int64_t d, int tail) const {
    using Columns = FactorColumns<Element, M>;
    Float hidden[P * M];
    unrolled<P * M>([&](auto i) PE_LAMBDA { hidden[i] = zero(); });
    const int32_t* inside = s_.inside_pairs;
    for (int64_t c = 0; c < s_.most_contexts; c += 2, inside += kProductRows) {
      const auto first = Columns::template of<Tail>(contexts_[c] + d, tail);
      const auto second = Columns::template of<Tail>(contexts_[c + 1] + d, tail);
      unrolled<M>([&](auto m) PE_LAMBDA {
        const __m512i both = first.template across<decltype(m)::value>(second);
        unrolled<P>([&](auto p) PE_LAMBDA { hidden[p * M + m] = add_dots(hidden[p * M + m], both, inside + p); });
      });
    }
    unrolled<P>([&](auto p) PE_LAMBDA {
      unrolled<M>([&](auto m) PE_LAMBDA { hidden[p * M + m] = hidden[p * M + m] * broadcast(s_.shares[p]); });
      put(along_of(d) + p * kProductRows, rounded_along<Element, M>(hidden + p * M));
    });
    put_pairs<M>(hidden, s_.across_in + d);
  }

  // The products of four outputs with all hidden vectors; puts the outputs into across_out.
  PE_INLINE void score_quad(int quad) const {
    Element* const* const rows = outputs_ + 4 * quad;
    int32_t* const across = s_.across_out + 2 * quad * stride_;
    const auto coming = batch_.prefetch.with_columns_scored().share(quad, kProductRows / 4);
    Float sums[4 * P];
    unrolled<4 * P>([&](auto i) PE_LAMBDA { sums[i] = zero(); });
    for_each_columns<2>(D_, [&](auto registers, auto is_tail, int64_t d, int tail) PE_LAMBDA {
      constexpr int M = decltype(registers)::value;
      constexpr bool Tail = decltype(is_tail)::value;
      coming.template bring_in_columns<M>(d);
      const auto of = [&](int i) PE_LAMBDA { return FactorColumns<Element, M>::template of<Tail>(rows[i] + d, tail); };
      const FactorColumns<Element, M> outputs[4] = {of(0), of(1), of(2), of(3)};
      unrolled<2 * M>([&](auto j) PE_LAMBDA {
        constexpr int i = decltype(j)::value / M, m = decltype(j)::value % M;
        put(across + i * stride_ + d + m * kWidth, outputs[2 * i].template across<m>(outputs[2 * i + 1]));
      });
      unrolled<P>([&](auto p) PE_LAMBDA {
        const __m512i hidden = _mm512_load_si512(along_of(d) + p * kProductRows);
        unrolled<4>([&](auto i) PE_LAMBDA { sums[4 * p + i] = add_dots(sums[4 * p + i], hidden, outputs[i].along()); });
      });
    });
    unrolled<P>([&](auto p) PE_LAMBDA {
      store(quads_of(quad) + p * kWidth, sum_quads(sums[4 * p], sums[4 * p + 1], sums[4 * p + 2], sums[4 * p + 3]));
    });
  }

  // Puts those columns of what the outputs add to the contexts of each window into gradients().
  template <int M>
  PE_INLINE void sum_outputs(int64_t d, __m512i (&pairs)[T * M]) const {
    const auto* errors = reinterpret_cast<const int32_t*>(s_.errors);
    const int32_t* outputs = s_.across_out + d;
    Float sums[P * M];
    unrolled<P * M>([&](auto i) PE_LAMBDA { sums[i] = zero(); });
    for (int n = 0; n < kErrorPairs; ++n, ++errors, outputs += stride_) {
      unrolled<M>([&](auto m) PE_LAMBDA {
        const __m512i both = _mm512_load_si512(outputs + m * kWidth);
        unrolled<P>([&](auto p)
                        PE_LAMBDA { sums[p * M + m] = add_dots(sums[p * M + m], both, errors + p * kErrorPairs); });
      });
    }
    unrolled<P * M>([&](auto i) PE_LAMBDA { sums[i] = sums[i] * broadcast(s_.gradient_shares[i / M]); });
    unrolled<T * M>([&](auto i) PE_LAMBDA {
      constexpr int t = decltype(i)::value / M, m = decltype(i)::value % M;
      pairs[i] = rounded_across(sums[2 * t * M + m], sums[(2 * t + 1) * M + m]);
    });
  }

  template <int M>
  PE_INLINE void put_pairs(const Float (&x)[P * M], int32_t* pairs) const {
    unrolled<T>([&](auto t) PE_LAMBDA {
      unrolled<M>([&](auto m) PE_LAMBDA {
        put(pairs + t * stride_ + m * kWidth, rounded_across(x[2 * t * M + m], x[(2 * t + 1) * M + m]));
      });
    });
  }

  template <int M, bool Tail>
  PE_INLINE void add_pairs(Element* const* rows, int64_t count, int64_t d, int tail, const __m512i (&pairs)[T * M],
                           const int32_t* factors, int64_t next, int64_t apart) const {
    for (int64_t r = 0; r < count; ++r, factors += next) {
      updates_.template change<M, Tail>(rows[r], d, tail, r, [&](Float(&numbers)[M]) PE_LAMBDA {
        unrolled<T * M>(
            [&](auto i) PE_LAMBDA { numbers[i % M] = add_dots(numbers[i % M], pairs[i], factors + i / M * apart); });
      });
    }
  }

  const Window& batch_;
  const ProductScratch& s_;
  const float* const weights_;
  const int64_t D_, stride_;
  const RowUpdates<Element> updates_;
  Element *contexts_[kProductRows], *outputs_[kProductRows];
};

template <class Count, class Element>
class CbowBatches {
 public:
  CbowBatches(Count N, int windows, const CbowOptions& options, const BatchWeights<Count>& weights,
              const BatchScratch& scratch, int64_t D)
      : N_(N), P_(windows), options_(options), weights_(weights), scratch_(scratch), D_(D) {}

  PE_INLINE int64_t weigh(const BatchRows<Element>& batch, const int32_t* patterns, Element* nothing) const {
    const ProductScratch& s = scratch_.products;
    int32_t meets[kMostCbowWindows] = {};
    int64_t pairs = 0;
    for (int p = 0; p < P_; ++p) s.shares[p] = 0;
    for (int64_t i = 0; i < batch.past_last - batch.first; ++i) {
      const int64_t contexts = batch.spans[i].contexts(), p = batch.first_window + i;
      if (contexts == 0) continue;
      s.shares[p] = options_.mean ? 1.0f / static_cast<float>(contexts) : 1.0f;
      s.gradient_shares[p] = options_.exact_gradient ? s.shares[p] : 1.0f;
      meets[p] = 1 << p;
      ++pairs;
    }
    put_inside(patterns);
    weights_.fill(meets, P_);
    if (batch.uneven) weights_.merge(batch.output_ids, P_, batch.outputs, nothing);
    return pairs;
  }

  PE_INLINE void train(const BatchRows<Element>& batch, const WindowRows<Element>& rows, WeightedLoss& loss) const {
    const StepBatch<Count, Element, Element, false> window{
        {batch.coming}, rows.contexts, batch.C, rows.outputs, batch.rate, N_, scratch_.weights};
    with_constant<kMostCbowWindows / 2>((P_ + 1) / 2, [&](auto twos) PE_LAMBDA {
      const CbowProducts<std::remove_const_t<decltype(window)>, decltype(twos)::value> step(window, D_, scratch_);
      step.score();
      step.size_steps(P_, loss);
      step.update();
    });
  }

 private:
  // Ones where contexts are part of windows; those that are not there are part of none.
  PE_INLINE void put_inside(const int32_t* patterns) const {
    constexpr int16_t kOne = 0x3F80;
    int32_t* pairs = scratch_.products.inside_pairs;
    uint16_t* inside = scratch_.products.inside;
    for (int64_t c = 0; c < scratch_.products.most_contexts;
         c += 2, pairs += kProductRows, inside += 2 * kProductRows) {
      const auto first = static_cast<__mmask16>(patterns[c]), second = static_cast<__mmask16>(patterns[c + 1]);
      put(pairs, _mm512_or_si512(_mm512_maskz_set1_epi32(first, kOne), _mm512_maskz_set1_epi32(second, kOne << 16)));
      put(inside, _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_maskz_set1_epi16(first, kOne)),
                                     _mm256_maskz_set1_epi16(second, kOne), 1));
    }
  }

  const Count N_;
  const int P_;
  const CbowOptions& options_;
  const BatchWeights<Count>& weights_;
  const BatchScratch& scratch_;
  const int64_t D_;
};

}  // namespace pyembed::PE_ISA
