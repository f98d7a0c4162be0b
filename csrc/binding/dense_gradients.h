// What the differentiable losses of two tables share: running them for either element type, and their gradients.
#pragma once

#include <tuple>

#include "binding/checks.h"

namespace pyembed {

// loss_of(read tables), as a scalar of the tables' type.
template <class LossOf>
Tensor scalar_loss(const Tensor& in_vectors, const Tensor& out_vectors, const LossOf& loss_of) {
  const Tensor in = torch::stable::contiguous(in_vectors), out = torch::stable::contiguous(out_vectors);
  const bool single = in.scalar_type() == ScalarType::Float;
  const double loss = single ? loss_of(tables_of<float>(in, out)) : loss_of(tables_of<double>(in, out));
  return torch::stable::full({}, loss, in.scalar_type());
}

// What add(grad, read tables, gradients) makes of gradients of zeros.
template <class Add>
std::tuple<Tensor, Tensor> dense_gradients(const Tensor& grad, const Tensor& in_vectors, const Tensor& out_vectors,
                                           const Add& add) {
  require(grad.numel() == 1 && grad.scalar_type() == in_vectors.scalar_type(),
          "grad: expected a scalar of the tables' dtype");
  const Tensor in = torch::stable::contiguous(in_vectors), out = torch::stable::contiguous(out_vectors);
  Tensor in_gradient = torch::stable::new_zeros(in, {in.size(0), in.size(1)});
  Tensor out_gradient = torch::stable::new_zeros(out, {out.size(0), out.size(1)});
  const Tensor weight = on_host(grad);
  const auto run = [&](auto element) {
    using Real = decltype(element);
    add(static_cast<double>(*weight.const_data_ptr<Real>()), tables_of<Real>(in, out),
        tables_of<Real>(in_gradient, out_gradient));
  };
  in.scalar_type() == ScalarType::Float ? run(float{}) : run(double{});
  return {in_gradient, out_gradient};
}

}  // namespace pyembed
