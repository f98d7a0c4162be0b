// CBOW's batches in vector registers, all of it float32. Spec: pyembed/reference.py section 12. PE_ISA names the
// namespace.
#pragma once

namespace pyembed::PE_ISA {

// The model CBOW: the windows' hidden vectors stand for contexts, each of which meets its own center and the negatives.
template <class Count, class Element>
class CbowBatches {
 public:
  CbowBatches(Count N, int windows, const CbowOptions& options, const BatchWeights<Count>& weights,
              const BatchScratch& scratch, int64_t D)
      : N_(N), P_(windows), options_(options), weights_(weights), scratch_(scratch), D_(D) {
    for (int p = 0; p < P_; ++p) scratch_.hidden_rows[p] = scratch_.hidden + p * scratch_.hidden_stride;
  }

  PE_INLINE int64_t weigh(const BatchRows<Element>& batch, const int32_t* patterns, Element* nothing) const {
    float share[kMostWindows + kWidest] = {}, gradient_share[kMostWindows + kWidest] = {};
    int32_t meets[kMostWindows] = {};
    int64_t pairs = 0;
    for (int64_t i = 0; i < batch.past_last - batch.first; ++i) {
      const int64_t contexts = batch.spans[i].contexts(), p = batch.first_window + i;
      if (contexts == 0) continue;
      share[p] = options_.mean ? 1.0f / static_cast<float>(contexts) : 1.0f;
      gradient_share[p] = options_.exact_gradient ? share[p] : 1.0f;
      meets[p] = 1 << p;
      ++pairs;
    }
    const Float all = load(share), all_gradient = load(gradient_share);
    for (int64_t c = 0; c < batch.C; ++c) {  // whole registers: what they write beyond P is written over, or never read
      const float* const inside = weights_.of(patterns[c]);
      for (int p = 0; p < P_; p += kWidth) {
        const Float here = load(inside + p);
        store(scratch_.shares + c * P_ + p, here * (p == 0 ? all : load(share + p)));
        store(scratch_.gradient_shares + c * P_ + p, here * (p == 0 ? all_gradient : load(gradient_share + p)));
      }
    }
    weights_.fill(meets, P_);
    if (batch.uneven) weights_.merge(batch.output_ids, P_, batch.outputs, nothing);
    return pairs;
  }

  PE_INLINE void train(const BatchRows<Element>& batch, const WindowRows<float>& rows, WeightedLoss& loss) const {
    const int64_t third = batch.coming.count / 3;
    const auto coming = [&](int64_t from, int64_t to) { return batch.coming.part(from, to); };
    for_each_few_windows([&](auto few, int p)
                             PE_LAMBDA { sum_contexts<decltype(few)::value>(rows, p, coming(0, p == 0 ? third : 0)); });
    const StepBatch<Count, Element, float, true> window{
        {coming(third, 2 * third)}, scratch_.hidden_rows, P_, rows.outputs, batch.rate, N_, scratch_.weights};
    train_batch(window, D_, scratch_, loss);
    for_each_few_windows([&](auto few, int p) PE_LAMBDA {
      add_gradients<decltype(few)::value>(rows, p, coming(p == 0 ? 2 * third : batch.coming.count, batch.coming.count));
    });
  }

 private:
  static constexpr int kFew = 4;

  // Calls f(constant kFew or 1, first window) until all windows have passed by.
  template <class F>
  PE_INLINE void for_each_few_windows(const F& f) const {
    int p = 0;
    for (; p + kFew <= P_; p += kFew) f(std::integral_constant<int, kFew>{}, p);
    for (; p < P_; ++p) f(std::integral_constant<int, 1>{}, p);
  }

  // The hidden vectors of F windows from number p on.
  template <int F>
  PE_INLINE void sum_contexts(const WindowRows<float>& rows, int p, const ComingRows<Element>& coming) const {
    for_each_columns(D_, [&](auto registers, auto is_tail, int64_t d, int tail) PE_LAMBDA {
      constexpr int M = decltype(registers)::value;
      constexpr bool Tail = decltype(is_tail)::value;
      for (int m = 0; m < M; ++m) coming.while_updating(d + m * kWidth);
      Float sums[F * M];
      unrolled<F * M>([&](auto i) PE_LAMBDA { sums[i] = zero(); });
      const float* shares = scratch_.shares + p;
      for (int64_t c = 0; c < rows.context_count; ++c, shares += P_) {
        const float* const row = rows.contexts[c] + d;
        unrolled<M>([&](auto m) PE_LAMBDA {
          const Float in = in_register(Tail ? load_first(row, tail) : load(row + m * kWidth));
          unrolled<F>([&](auto f) PE_LAMBDA { sums[f * M + m] = fma(broadcast(shares[f]), in, sums[f * M + m]); });
        });
      }
      unrolled<F>([&](auto f) PE_LAMBDA {
        unrolled<M>([&](auto m) PE_LAMBDA { store(scratch_.hidden_rows[p + f] + d + m * kWidth, sums[f * M + m]); });
      });
    });
  }

  // Adds their gradients, which have taken their place, to the contexts.
  template <int F>
  PE_INLINE void add_gradients(const WindowRows<float>& rows, int p, const ComingRows<Element>& coming) const {
    for_each_columns(D_, [&](auto registers, auto is_tail, int64_t d, int tail) PE_LAMBDA {
      constexpr int M = decltype(registers)::value;
      constexpr bool Tail = decltype(is_tail)::value;
      for (int m = 0; m < M; ++m) coming.while_updating(d + m * kWidth);
      Float gradients[F * M];
      unrolled<F * M>([&](auto i)
                          PE_LAMBDA { gradients[i] = load(scratch_.hidden_rows[p + i / M] + d + i % M * kWidth); });
      const float* shares = scratch_.gradient_shares + p;
      for (int64_t c = 0; c < rows.context_count; ++c, shares += P_) {
        float* const row = rows.contexts[c] + d;
        unrolled<M>([&](auto m) PE_LAMBDA {
          Float in = Tail ? load_first(row, tail) : load(row + m * kWidth);
          unrolled<F>([&](auto f) PE_LAMBDA { in = fma(broadcast(shares[f]), gradients[f * M + m], in); });
          Tail ? store_first(row, in, tail) : store(row + m * kWidth, in);
        });
      }
    });
  }

  const Count N_;
  const int P_;
  const CbowOptions& options_;
  const BatchWeights<Count>& weights_;
  const BatchScratch& scratch_;
  const int64_t D_;
};

}  // namespace pyembed::PE_ISA
