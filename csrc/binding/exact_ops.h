// What the ops of every model share: running an exact kernel for tables of either element type.
#pragma once

#include <tuple>
#include <vector>

#include "binding/checks.h"
#include "binding/dense_gradients.h"
#include "kernels/exact.h"

namespace pyembed {

// The memory that an exact kernel works in.
template <class Real>
struct ExactBuffers {
  explicit ExactBuffers(const Draws& draws)
      : contexts(2 * static_cast<size_t>(draws.window)),
        outputs(1 + static_cast<size_t>(draws.negative)),
        scratch(static_cast<size_t>(exact_scratch_size(draws))) {}
  WindowIds ids() { return {contexts.data(), outputs.data()}; }

  std::vector<int32_t> contexts, outputs;
  std::vector<Real> scratch;
};

// kernel(block, draws, scale, read, write, ids, scratch) for the tables' element type, on one thread.
template <class Element, class Kernel>
LossSum run_exact(const WindowArguments& arguments, const Scale& scale, const Tables<Element>& read,
                  const Tables<Element>& write, const Kernel& kernel) {
  ExactBuffers<Arithmetic<Element>> buffers(arguments.draws);
  return kernel(arguments.block, arguments.draws, scale, read, write, buffers.ids(), buffers.scratch.data());
}

// The loss alone, as a scalar of the tables' type.
template <class Kernel>
Tensor exact_loss(const WindowArguments& arguments, const Tensor& in_vectors, const Tensor& out_vectors,
                  const Kernel& kernel) {
  check_differentiable(in_vectors, out_vectors, arguments);
  return scalar_loss(in_vectors, out_vectors,
                     [&](const auto& tables) { return run_exact(arguments, {0, nullptr}, tables, {}, kernel).loss; });
}

// Dense gradients of the loss, times grad.
template <class Kernel>
std::tuple<Tensor, Tensor> exact_gradient(const Tensor& grad, const WindowArguments& arguments,
                                          const Tensor& in_vectors, const Tensor& out_vectors, const Kernel& kernel) {
  check_differentiable(in_vectors, out_vectors, arguments);
  return dense_gradients(grad, in_vectors, out_vectors, [&](double weight, const auto& read, const auto& gradients) {
    run_exact(arguments, {weight, nullptr}, read, gradients, kernel);
  });
}

// A training step, window after window, on tables of any type.
template <class Kernel>
LossSum exact_step(const WindowArguments& arguments, const LearningRate& rate, const Tensor& in, const Tensor& out,
                   const Kernel& kernel) {
  const auto step = [&](auto element) {
    const auto tables = tables_of<decltype(element)>(in, out);
    return run_exact(arguments, {0, &rate}, tables, tables, kernel);
  };
  switch (in.scalar_type()) {
    case ScalarType::Double:
      return step(double{});
    case ScalarType::BFloat16:
      return step(BFloat16{});
    default:
      return step(float{});
  }
}

}  // namespace pyembed
