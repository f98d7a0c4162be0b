// What the ops of every model share: running an exact kernel for tables of either element type.
#pragma once

#include <tuple>
#include <vector>

#include "binding/checks.h"
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

// A loss is a number of the tables' type, and bfloat16 is too coarse for one.
inline void check_differentiable(const Tensor& in_vectors, const Tensor& out_vectors,
                                 const WindowArguments& arguments) {
  check_tables(in_vectors, out_vectors, arguments);
  require(
      in_vectors.scalar_type() != ScalarType::BFloat16,
      "in_vectors: expected float32 or float64 for a loss, got bfloat16; pass table.float(), which passes gradients");
}

// The loss alone, as a scalar of the tables' type.
template <class Kernel>
Tensor exact_loss(const WindowArguments& arguments, const Tensor& in_vectors, const Tensor& out_vectors,
                  const Kernel& kernel) {
  check_differentiable(in_vectors, out_vectors, arguments);
  const Tensor in = torch::stable::contiguous(in_vectors), out = torch::stable::contiguous(out_vectors);
  const auto loss_of = [&](auto element) {
    using Real = decltype(element);
    return run_exact<Real>(arguments, {0, nullptr}, tables_of<Real>(in, out), Tables<Real>{}, kernel).loss;
  };
  const bool single = in.scalar_type() == ScalarType::Float;
  const double loss = single ? loss_of(float{}) : loss_of(double{});
  return torch::stable::full({}, loss, in.scalar_type());
}

// Dense gradients of the loss, times grad.
template <class Kernel>
std::tuple<Tensor, Tensor> exact_gradient(const Tensor& grad, const WindowArguments& arguments,
                                          const Tensor& in_vectors, const Tensor& out_vectors, const Kernel& kernel) {
  check_differentiable(in_vectors, out_vectors, arguments);
  require(grad.numel() == 1 && grad.scalar_type() == in_vectors.scalar_type(),
          "grad: expected a scalar of the tables' dtype");
  const Tensor in = torch::stable::contiguous(in_vectors), out = torch::stable::contiguous(out_vectors);
  Tensor in_gradient = torch::stable::new_zeros(in, {in.size(0), in.size(1)});
  Tensor out_gradient = torch::stable::new_zeros(out, {out.size(0), out.size(1)});
  const auto run = [&](auto element) {
    using Real = decltype(element);
    const Scale scale{static_cast<double>(*grad.const_data_ptr<Real>()), nullptr};
    run_exact<Real>(arguments, scale, tables_of<Real>(in, out), tables_of<Real>(in_gradient, out_gradient), kernel);
  };
  in.scalar_type() == ScalarType::Float ? run(float{}) : run(double{});
  return {in_gradient, out_gradient};
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
