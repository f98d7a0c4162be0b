// Scalar loss arithmetic, shared by every executor. Spec: pyembed/reference.py section 4.
#pragma once

#include <cmath>

#include "kernels/portable.h"

namespace pyembed {

template <class Real>
PE_HD PE_INLINE Real sigmoid(Real score) {
  const Real decay = std::exp(score < 0 ? score : -score);  // exp(-|score|) cannot overflow
  return (score < 0 ? decay : Real(1)) / (1 + decay);
}

// log(1 + exp(score))
template <class Real>
PE_HD PE_INLINE Real softplus(Real score) {
  return (score > 0 ? score : Real(0)) + std::log1p(std::exp(score < 0 ? score : -score));
}

// The loss of a score and its derivative, which share one exponential; label: 1 for the center, 0 for a negative.
template <class Real>
struct LossAndError {
  Real loss, error;
};

template <class Real>
PE_HD PE_INLINE LossAndError<Real> loss_and_error(Real score, bool label) {
  const Real decay = std::exp(score < 0 ? score : -score), wrong = label ? -score : score;
  return {(wrong > 0 ? wrong : Real(0)) + std::log1p(decay),
          (score < 0 ? decay : Real(1)) / (1 + decay) - (label ? Real(1) : Real(0))};
}

}  // namespace pyembed
