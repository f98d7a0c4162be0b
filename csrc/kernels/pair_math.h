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

}  // namespace pyembed
