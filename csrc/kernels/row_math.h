// The arithmetic of the optimisers that change the looked-up rows of an embedding, shared by CPU and CUDA.
// Spec: pyembed/reference.py section 10.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/bfloat16.h"
#include "kernels/float16.h"

namespace pyembed {

enum class Optimizer { sgd, momentum, rowwise_adagrad, adagrad, adamw };

// What an optimiser remembers of each element.
template <Optimizer optimizer>
constexpr bool kAverages = optimizer == Optimizer::momentum || optimizer == Optimizer::adamw;
template <Optimizer optimizer>
constexpr bool kSquares = optimizer == Optimizer::adagrad || optimizer == Optimizer::adamw;

// A step of an optimiser.
struct RowStep {
  Optimizer optimizer;
  double lr;
  double scale, clip_norm;
  int64_t step;       // 1, 2, ...
  uint64_t seed = 0;  // of the rounding to bfloat16
  double weight_decay = 0, eps = 0;
  double beta1 = 0, beta2 = 0;  // momentum's factor is beta1
  double log_decay = 0;         // adamw's, at this step
  bool nesterov = false;
};

// A table, and what its optimiser remembers of it.
template <class Element>
struct TrainedRows {
  Element* weight;  // [V, D]
  int64_t stride;
  int64_t dimensions;
  Arithmetic<Element>* average = nullptr;  // [V, D] b of momentum, m of adamw
  Arithmetic<Element>* squares = nullptr;  // [V, D] s of adagrad, v of adamw; [V] s of row-wise adagrad
  int32_t* last_step = nullptr;            // [V] of momentum and adamw
  double* last_log_decay = nullptr;        // [V] of adamw
};

// The gradients of entries: factors[i] times row bags[i] of grad; without bags row i, without factors 1 times.
template <class Element>
struct EntryGradients {
  const Element* grad;  // [*, D]
  const int32_t* bags;
  const Arithmetic<Element>* factors;
};

// What a step computes with, once for all rows.
template <class Real>
struct Coefficients {
  Optimizer optimizer;
  bool nesterov, clips;
  Real lr, weight_decay, eps, momentum;
  Real scale, clip_norm;
  Real new_share1, new_share2;             // 1 - beta
  Real bias1, bias2;                       // lr / (1 - beta1^t), 1 / sqrt(1 - beta2^t)
  double log_beta1, log_beta2, log_decay;  // of what a step without gradient multiplies by
  int64_t step;
  uint64_t seed;
};

template <class Real>
Coefficients<Real> coefficients(const RowStep& step) {
  const auto t = static_cast<double>(step.step);
  return {step.optimizer,
          step.nesterov,
          step.clip_norm < HUGE_VAL,
          static_cast<Real>(step.lr),
          static_cast<Real>(step.weight_decay),
          static_cast<Real>(step.eps),
          static_cast<Real>(step.beta1),
          static_cast<Real>(step.scale),
          static_cast<Real>(step.clip_norm),
          static_cast<Real>(1 - step.beta1),
          static_cast<Real>(1 - step.beta2),
          static_cast<Real>(step.lr / (1 - std::pow(step.beta1, t))),
          static_cast<Real>(1 / std::sqrt(1 - std::pow(step.beta2, t))),
          std::log(step.beta1),
          std::log(step.beta2),
          step.log_decay,
          step.step,
          step.seed};
}

// What the elements of one row have in common.
template <class Real>
struct RowScales {
  Real gradient;                // what the sum of gradients is multiplied by
  Real rate;                    // of sgd and row-wise adagrad
  Real squares;                 // row-wise adagrad's, new
  Real decay1, decay2, shrink;  // of momentum and adamw: the steps that were missed
};

// Before clipping and row-wise adagrad, which ask for sums over the row.
template <class Real>
PE_HD PE_INLINE RowScales<Real> scales_of_row(const Coefficients<Real>& with, const int32_t* last_step,
                                              const double* last_log_decay, int64_t row) {
  RowScales<Real> scales{with.scale, with.lr, 0, 1, 1, 1};
  if (!last_step) return scales;
  if (const int64_t steps = with.step - last_step[row]; steps != 0) {
    scales.decay1 = std::exp(static_cast<Real>(static_cast<double>(steps) * with.log_beta1));
    scales.decay2 = std::exp(static_cast<Real>(static_cast<double>(steps) * with.log_beta2));
  }
  if (last_log_decay) scales.shrink = std::exp(static_cast<Real>(with.log_decay - last_log_decay[row]));
  return scales;
}

// sum_of_squares: of the sums of the row's gradients.
template <class Real>
PE_HD PE_INLINE void clip(const Coefficients<Real>& with, Real sum_of_squares, RowScales<Real>& scales) {
  const Real share = with.clip_norm / (std::fabs(with.scale) * std::sqrt(sum_of_squares));
  if (!(share >= 1)) scales.gradient = with.scale * share;
}

// sum_of_squares: of the row's gradients, clipped and with weight decay. before: what is remembered of it.
template <class Real>
PE_HD PE_INLINE void set_rowwise_rate(const Coefficients<Real>& with, Real sum_of_squares, Real before,
                                      int64_t dimensions, RowScales<Real>& scales) {
  scales.squares = before + sum_of_squares / static_cast<Real>(dimensions);
  scales.rate = with.lr / (std::sqrt(scales.squares) + with.eps);
}

// The gradient with the weight decay that is a part of it: of all optimisers but adamw.
template <class Real>
PE_HD PE_INLINE Real decayed(const Coefficients<Real>& with, const RowScales<Real>& scales, Real sum, Real weight) {
  return scales.gradient * sum + with.weight_decay * weight;
}

// Steps one element. average, squares: what is remembered of it, where the optimiser remembers that.
template <Optimizer optimizer, class Real>
PE_HD PE_INLINE void step_element(const Coefficients<Real>& with, const RowScales<Real>& scales, Real sum, Real& weight,
                                  Real& average, Real& squares) {
  if constexpr (optimizer == Optimizer::adamw) {
    const Real g = scales.gradient * sum;
    average = scales.decay1 * average + with.new_share1 * g;
    squares = scales.decay2 * squares + with.new_share2 * g * g;
    weight = scales.shrink * weight - with.bias1 * average / (std::sqrt(squares) * with.bias2 + with.eps);
  } else {
    const Real g = decayed(with, scales, sum, weight);
    if constexpr (optimizer == Optimizer::momentum) {
      average = scales.decay1 * average + g;
      weight -= with.lr * (with.nesterov ? g + with.momentum * average : average);
    } else if constexpr (optimizer == Optimizer::adagrad) {
      squares += g * g;
      weight -= with.lr * g / (std::sqrt(squares) + with.eps);
    } else {
      weight -= scales.rate * g;
    }
  }
}

}  // namespace pyembed
