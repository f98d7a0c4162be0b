// CBOW training step: sum, dot products, sigmoid and both updates of a window in one pass over its rows.
// Implements pyembed/reference.py sections 6 and 7, sequential; may differ in the order of summation.
// PE_ISA names the namespace.
#pragma once

namespace pyembed::PE_ISA {

constexpr int kCbowGroup = 8;  // outputs whose scores are formed together

// Step sizes of G outputs against the hidden vector, into errors [G] (whole registers are written).
template <int G>
PE_INLINE void score_hidden(const float* hidden, float* const* out_rows, int64_t D, const Roles<G, G>& roles, Float rate,
                            float* errors, LossLanes& loss) {
  float* hidden_row[1] = {const_cast<float*>(hidden)};
  score_contexts<1, G>(hidden_row, out_rows, D, roles, rate, errors, loss);
}

PE_INLINE void cbow_window(const StepWindow& window, int N, const CbowOptions& options, const Tables<float>& tables,
                           const StepScratch& scratch, LossLanes& loss) {
  const int64_t D = tables.dimensions, C = window.context_count;
  const float share = options.mean ? 1.0f / static_cast<float>(C) : 1.0f;
  const Float context_share = broadcast(options.mean && options.exact_gradient ? share : 1.0f);

  for (int64_t d = 0; d < D; d += kWidth) {
    const int columns = D - d < kWidth ? static_cast<int>(D - d) : kWidth;
    Float sum = zero();
    for (int64_t c = 0; c < C; ++c) sum = sum + load_first(window.context_rows[c] + d, columns);
    store(scratch.hidden + d, sum * broadcast(share));
  }
  for_each_group(N, [&](auto group, int n) {
    constexpr int G = decltype(group)::value;
    float* out_rows[G];
    set_rows(window.outputs + n, tables, out_rows);
    score_hidden<G>(scratch.hidden, out_rows, D, Roles<G, G>(n == 0), broadcast(window.rate), scratch.errors + n, loss);
    split_exponent(loss);
  });
  for (int64_t d = 0; d < D; d += kWidth) {
    const int columns = D - d < kWidth ? static_cast<int>(D - d) : kWidth;
    window.prefetch.columns(d);
    const Float hidden = load(scratch.hidden + d);
    Float change = zero();
    for (int n = 0; n < N; ++n) {
      float* out = tables.out + window.outputs[n] * tables.out_stride + d;
      const Float error = broadcast(scratch.errors[n]), before = load_first(out, columns);
      change = fma(error, before, change);
      store_first(out, fma(error, hidden, before), columns);
    }
    change = change * context_share;
    for (int64_t c = 0; c < C; ++c) {
      float* in = window.context_rows[c] + d;
      store_first(in, load_first(in, columns) + change, columns);
    }
  }
}

inline LossSum cbow_step(const TokenBlock& block, const Draws& draws, const CbowOptions& options,
                         const Tables<float>& tables, const LearningRate& rate, int64_t begin, int64_t end,
                         void* memory) {
  const StepScratch scratch = carve(draws, tables.dimensions, memory);
  LossLanes loss = no_loss();
  double exact_loss = 0;
  const auto step = [&](const StepWindow& window) {
    cbow_window(window, 1 + draws.negative, options, tables, scratch, loss);
    return int64_t{1};
  };
  const auto exact_step = [&](const ExactWindow<float>& window) {
    const LossSum sum = cbow_exact_window(window, options, tables, tables, scratch.exact);
    exact_loss += sum.loss;
    return sum.pairs;
  };
  const int64_t windows = walk_windows(block, draws, tables, rate, begin, end, scratch, step, exact_step);
  return {total_loss(loss) + exact_loss, windows};
}

}  // namespace pyembed::PE_ISA
