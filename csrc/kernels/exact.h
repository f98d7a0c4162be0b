// Kernels for any element type, any number of negatives and rows that coincide: plain loops, every window evaluated
// as the spec says, on one thread. They compute losses and gradients, and train what has no faster kernel.
// Spec: pyembed/reference.py sections 4 to 8.
#pragma once

#include "kernels/bfloat16.h"
#include "kernels/training.h"

namespace pyembed {

// Columns treated together; bounds the scratch for vectors of any length.
constexpr int64_t kExactColumns = 16;

// Elements (of the type computed with) of scratch that an exact kernel needs.
PE_INLINE int64_t exact_scratch_size(const Draws& draws) {
  const int64_t contexts = 2 * static_cast<int64_t>(draws.window), outputs = 1 + static_cast<int64_t>(draws.negative);
  return contexts * outputs + (contexts + 2 * outputs + 2) * kExactColumns;
}

// A constant scale (gradients), or minus the learning rate (training).
struct Scale {
  double constant;
  const LearningRate* rate;  // null: the constant
};

// Buffers for the ids of one window.
struct WindowIds {
  int32_t* contexts;  // [2W]
  int32_t* outputs;   // [1 + K]
};

// All centers of the block. Rows are read from `read`, and scale * gradient is added to `write`, which may be the same
// tables, or have null pointers to compute the loss alone. Element: float, double or BFloat16.
template <class Element>
LossSum skipgram_exact(const TokenBlock& block, const Draws& draws, const Scale& scale, const Tables<Element>& read,
                       const Tables<Element>& write, const WindowIds& ids, Arithmetic<Element>* scratch);

template <class Element>
LossSum cbow_exact(const TokenBlock& block, const Draws& draws, const CbowOptions& options, const Scale& scale,
                   const Tables<Element>& read, const Tables<Element>& write, const WindowIds& ids,
                   Arithmetic<Element>* scratch);

}  // namespace pyembed
