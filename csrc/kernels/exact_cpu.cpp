// The exact kernels. Implements pyembed/reference.py sections 4 to 8; may differ from it in the order of summation
// only.
#include "kernels/exact.h"

#include <algorithm>

#include "kernels/pair_math.h"

namespace pyembed {
namespace {

// One window: contexts [C], outputs [N], the center first.
template <class Real>
struct ExactWindow {
  const int32_t* contexts;
  int64_t context_count;
  const int32_t* outputs;
  int64_t output_count;
  Real scale;
  RoundingBits* rounding;
};

// Errors replace scores: scores[n] becomes scale * (sigmoid - label), or 0 for a negative that equals the center.
template <class Real>
double errors_and_loss(const ExactWindow<Real>& window, Real* scores) {
  double loss = 0;
  for (int64_t n = 0; n < window.output_count; ++n) {
    if (n > 0 && window.outputs[n] == window.outputs[0]) {
      scores[n] = 0;
      continue;
    }
    const Real label = n == 0 ? 1 : 0;
    loss += static_cast<double>(softplus(n == 0 ? -scores[n] : scores[n]));
    scores[n] = window.scale * (sigmoid(scores[n]) - label);
  }
  return loss;
}

// Copies `width` columns from `column` of the given rows into old [count, kExactColumns].
template <class Element, class Real>
void copy_columns(const Element* table, int64_t stride, const int32_t* rows, int64_t count, int64_t column,
                  int64_t width, Real* old) {
  for (int64_t r = 0; r < count; ++r) {
    const Element* row = table + rows[r] * stride + column;
    for (int64_t d = 0; d < width; ++d) old[r * kExactColumns + d] = value_of(row[d]);
  }
}

int64_t columns_from(int64_t column, int64_t dimensions) {
  return dimensions - column < kExactColumns ? dimensions - column : kExactColumns;
}

// Calls window_step for each center that has contexts, or for each pair where every pair has its own negatives.
template <class Real, class WindowStep>
LossSum for_each_window(const TokenBlock& block, const Draws& draws, const Scale& scale, const WindowIds& ids,
                        const WindowStep& window_step) {
  LossSum total{0, 0};
  if (block.center_begin >= block.center_end) return total;
  SentenceCursor cursor = sentence_of(block, block.center_begin);
  for (int64_t center = block.center_begin; center < block.center_end; ++center) {
    cursor.advance_to(center);
    const uint64_t position = block.first_position + static_cast<uint64_t>(center);
    const Span span = window_span(cursor, center, window_radius(draws, position));
    if (span.contexts() == 0) continue;
    for (int64_t c = 0; c < span.contexts(); ++c) ids.contexts[c] = block.ids[span.context(c, center)];
    ids.outputs[0] = block.ids[center];
    const double factor = scale.rate ? -learning_rate(block, *scale.rate, center) : scale.constant;
    RoundingBits rounding(draws, position);
    const int64_t at_once = draws.sharing == kPerPair ? 1 : span.contexts();
    for (int64_t c = 0; c < span.contexts(); c += at_once) {
      negative_ids(draws, position, c, ids.outputs + 1);
      const LossSum window = window_step(ExactWindow<Real>{ids.contexts + c, at_once, ids.outputs, 1 + draws.negative,
                                                           static_cast<Real>(factor), &rounding});
      total.loss += window.loss;
      total.pairs += window.pairs;
    }
  }
  return total;
}

// Adds `width` columns to those of a row.
template <class Element, class Real>
void add_columns(Element* row, const Real* delta, int64_t width, RoundingBits& rounding) {
  for (int64_t d = 0; d < width; ++d) add_to(row[d], delta[d], rounding);
}

template <class Element, class Real>
LossSum skipgram_exact_window(const ExactWindow<Real>& window, const Tables<Element>& read,
                              const Tables<Element>& write, Real* scratch) {
  const int64_t C = window.context_count, N = window.output_count;
  Real* scores = scratch;  // [C, N]
  Real* old_in = scores + C * N;
  Real* old_out = old_in + C * kExactColumns;
  Real* out_delta = old_out + N * kExactColumns;
  Real* in_delta = out_delta + N * kExactColumns;
  double loss = 0;
  for (int64_t c = 0; c < C; ++c) {
    const Element* in = read.in + window.contexts[c] * read.in_stride;
    for (int64_t n = 0; n < N; ++n) {
      const Element* out = read.out + window.outputs[n] * read.out_stride;
      Real score = 0;
      for (int64_t d = 0; d < read.dimensions; ++d) score += value_of(in[d]) * value_of(out[d]);
      scores[c * N + n] = score;
    }
    loss += errors_and_loss(window, scores + c * N);
  }
  for (int64_t column = 0; write.in && column < read.dimensions; column += kExactColumns) {
    const int64_t width = columns_from(column, read.dimensions);
    copy_columns(read.in, read.in_stride, window.contexts, C, column, width, old_in);
    copy_columns(read.out, read.out_stride, window.outputs, N, column, width, old_out);
    std::fill_n(out_delta, N * kExactColumns, Real(0));
    for (int64_t c = 0; c < C; ++c) {
      std::fill_n(in_delta, kExactColumns, Real(0));
      for (int64_t n = 0; n < N; ++n) {
        const Real error = scores[c * N + n];
        for (int64_t d = 0; d < width; ++d) {
          in_delta[d] += error * old_out[n * kExactColumns + d];
          out_delta[n * kExactColumns + d] += error * old_in[c * kExactColumns + d];
        }
      }
      add_columns(write.in + window.contexts[c] * write.in_stride + column, in_delta, width, *window.rounding);
    }
    for (int64_t n = 0; n < N; ++n) {
      Element* out = write.out + window.outputs[n] * write.out_stride + column;
      add_columns(out, out_delta + n * kExactColumns, width, *window.rounding);
    }
  }
  return {loss, C};
}

template <class Element, class Real>
LossSum cbow_exact_window(const ExactWindow<Real>& window, const CbowOptions& options, const Tables<Element>& read,
                          const Tables<Element>& write, Real* scratch) {
  const int64_t C = window.context_count, N = window.output_count;
  const Real share = options.mean ? Real(1) / static_cast<Real>(C) : Real(1);
  const Real context_share = options.mean && options.exact_gradient ? share : Real(1);
  Real* scores = scratch;  // [N]
  Real* hidden = scores + N;
  Real* hidden_gradient = hidden + kExactColumns;

  const auto sum_contexts = [&](int64_t column, int64_t width) {
    for (int64_t d = 0; d < width; ++d) hidden[d] = 0;
    for (int64_t c = 0; c < C; ++c) {
      const Element* in = read.in + window.contexts[c] * read.in_stride + column;
      for (int64_t d = 0; d < width; ++d) hidden[d] += value_of(in[d]);
    }
    for (int64_t d = 0; d < width; ++d) hidden[d] *= share;
  };

  for (int64_t n = 0; n < N; ++n) scores[n] = 0;
  for (int64_t column = 0; column < read.dimensions; column += kExactColumns) {
    const int64_t width = columns_from(column, read.dimensions);
    sum_contexts(column, width);
    for (int64_t n = 0; n < N; ++n) {
      const Element* out = read.out + window.outputs[n] * read.out_stride + column;
      for (int64_t d = 0; d < width; ++d) scores[n] += hidden[d] * value_of(out[d]);
    }
  }
  const double loss = errors_and_loss(window, scores);
  for (int64_t column = 0; write.in && column < read.dimensions; column += kExactColumns) {
    const int64_t width = columns_from(column, read.dimensions);
    sum_contexts(column, width);
    for (int64_t d = 0; d < width; ++d) hidden_gradient[d] = 0;
    for (int64_t n = 0; n < N; ++n) {
      const Element* out = read.out + window.outputs[n] * read.out_stride + column;
      for (int64_t d = 0; d < width; ++d) hidden_gradient[d] += scores[n] * value_of(out[d]);
    }
    for (int64_t d = 0; d < width; ++d) hidden_gradient[d] *= context_share;
    for (int64_t n = 0; n < N; ++n) {
      Element* out = write.out + window.outputs[n] * write.out_stride + column;
      for (int64_t d = 0; d < width; ++d) add_to(out[d], scores[n] * hidden[d], *window.rounding);
    }
    for (int64_t c = 0; c < C; ++c) {
      add_columns(write.in + window.contexts[c] * write.in_stride + column, hidden_gradient, width, *window.rounding);
    }
  }
  return {loss, 1};
}

}  // namespace

template <class Element>
LossSum skipgram_exact(const TokenBlock& block, const Draws& draws, const Scale& scale, const Tables<Element>& read,
                       const Tables<Element>& write, const WindowIds& ids, Arithmetic<Element>* scratch) {
  return for_each_window<Arithmetic<Element>>(block, draws, scale, ids, [&](const auto& window) {
    return skipgram_exact_window(window, read, write, scratch);
  });
}

template <class Element>
LossSum cbow_exact(const TokenBlock& block, const Draws& draws, const CbowOptions& options, const Scale& scale,
                   const Tables<Element>& read, const Tables<Element>& write, const WindowIds& ids,
                   Arithmetic<Element>* scratch) {
  return for_each_window<Arithmetic<Element>>(block, draws, scale, ids, [&](const auto& window) {
    return cbow_exact_window(window, options, read, write, scratch);
  });
}

#define PE_INSTANTIATE(Element)                                                                                   \
  template LossSum skipgram_exact<Element>(const TokenBlock&, const Draws&, const Scale&, const Tables<Element>&, \
                                           const Tables<Element>&, const WindowIds&, Arithmetic<Element>*);       \
  template LossSum cbow_exact<Element>(const TokenBlock&, const Draws&, const CbowOptions&, const Scale&,         \
                                       const Tables<Element>&, const Tables<Element>&, const WindowIds&,          \
                                       Arithmetic<Element>*);
PE_INSTANTIATE(float)
PE_INSTANTIATE(double)
PE_INSTANTIATE(BFloat16)
#undef PE_INSTANTIATE

}  // namespace pyembed
