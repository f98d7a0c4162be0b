// The optimisers' ops on rows, as every device has them: arguments checked, then handed on as what kernels take.
#pragma once

#include "binding/row_checks.h"

namespace pyembed {

// A table, and what its optimiser remembers of it: as TrainedRows, null where it remembers nothing.
struct RowState {
  const Tensor& weight;
  const Tensor* average = nullptr;
  const Tensor* squares = nullptr;
  const Tensor* last_step = nullptr;
  const Tensor* last_log_decay = nullptr;

  template <class Element>
  TrainedRows<Element> rows() const {
    using Real = Arithmetic<Element>;
    TrainedRows<Element> rows{static_cast<Element*>(weight.mutable_data_ptr()), weight.stride(0), weight.size(1)};
    if (average) rows.average = average->mutable_data_ptr<Real>();
    if (squares) rows.squares = squares->mutable_data_ptr<Real>();
    if (last_step) rows.last_step = last_step->mutable_data_ptr<int32_t>();
    if (last_log_decay) rows.last_log_decay = last_log_decay->mutable_data_ptr<double>();
    return rows;
  }
};

// work(an element of the table's type)
template <class Work>
auto for_element_of(const Tensor& weight, const Work& work) {
  switch (weight.scalar_type()) {
    case ScalarType::Double:
      return work(double{});
    case ScalarType::Half:
      return work(Float16{});
    case ScalarType::BFloat16:
      return work(BFloat16{});
    default:
      return work(float{});
  }
}

// Device::place_of(weight): where its tensors lie. Device::update(state, gradients, step): changes the rows.
template <class Device>
class RowOps {
 public:
  using Maybe = std::optional<Tensor>;

  static void sgd(Tensor weight, Tensor ids, Tensor grad, Maybe bags, Maybe factors, Maybe frozen, double scale,
                  double clip_norm, double lr, double weight_decay, int64_t step, int64_t seed) {
    check_weight(weight);
    const RowGradients given{ids, grad, bags, factors, frozen};
    RowStep row_step{Optimizer::sgd, lr, scale, clip_norm, step};
    row_step.weight_decay = weight_decay;
    update({weight}, given, row_step, seed);
  }

  static void momentum(Tensor weight, Tensor momentum_buffer, Tensor last_step, Tensor ids, Tensor grad, Maybe bags,
                       Maybe factors, Maybe frozen, double scale, double clip_norm, double lr, double momentum,
                       bool nesterov, double weight_decay, int64_t step, int64_t seed) {
    check_weight(weight);
    check_state(weight, momentum_buffer, 2, "momentum_buffer");
    check_last_step(weight, last_step);
    check_share(momentum, "momentum");
    const RowGradients given{ids, grad, bags, factors, frozen};
    RowStep row_step{Optimizer::momentum, lr, scale, clip_norm, step};
    row_step.weight_decay = weight_decay;
    row_step.beta1 = momentum;
    row_step.nesterov = nesterov;
    RowState state{weight, &momentum_buffer};
    state.last_step = &last_step;
    update(state, given, row_step, seed);
  }

  static void adagrad(Tensor weight, Tensor sum_of_squares, Tensor ids, Tensor grad, Maybe bags, Maybe factors,
                      Maybe frozen, double scale, double clip_norm, double lr, double eps, double weight_decay,
                      int64_t step, int64_t seed) {
    const RowGradients given{ids, grad, bags, factors, frozen};
    RowStep row_step{Optimizer::adagrad, lr, scale, clip_norm, step};
    update_adagrad(weight, sum_of_squares, 2, given, row_step, eps, weight_decay, seed);
  }

  static void rowwise_adagrad(Tensor weight, Tensor sum_of_squares, Tensor ids, Tensor grad, Maybe bags, Maybe factors,
                              Maybe frozen, double scale, double clip_norm, double lr, double eps, double weight_decay,
                              int64_t step, int64_t seed) {
    const RowGradients given{ids, grad, bags, factors, frozen};
    RowStep row_step{Optimizer::rowwise_adagrad, lr, scale, clip_norm, step};
    update_adagrad(weight, sum_of_squares, 1, given, row_step, eps, weight_decay, seed);
  }

  static void adamw(Tensor weight, Tensor exp_avg, Tensor exp_avg_sq, Tensor last_step, Tensor last_log_decay,
                    Tensor ids, Tensor grad, Maybe bags, Maybe factors, Maybe frozen, double scale, double clip_norm,
                    double lr, double beta1, double beta2, double eps, double log_decay, int64_t step, int64_t seed) {
    check_weight(weight);
    check_state(weight, exp_avg, 2, "exp_avg");
    check_state(weight, exp_avg_sq, 2, "exp_avg_sq");
    check_last_step(weight, last_step);
    check_state(weight, last_log_decay, ScalarType::Double, 1, "last_log_decay", "float64");
    check_share(beta1, "beta1");
    check_share(beta2, "beta2");
    require(log_decay <= 0, "log_decay: expected at most 0, got " + std::to_string(log_decay));
    const RowGradients given{ids, grad, bags, factors, frozen};
    RowStep row_step{Optimizer::adamw, lr, scale, clip_norm, step};
    row_step.eps = eps;
    row_step.beta1 = beta1;
    row_step.beta2 = beta2;
    row_step.log_decay = log_decay;
    update({weight, &exp_avg, &exp_avg_sq, &last_step, &last_log_decay}, given, row_step, seed);
  }

 private:
  static void check_last_step(const Tensor& weight, const Tensor& last_step) {
    check_state(weight, last_step, ScalarType::Int, 1, "last_step", "int32");
  }

  static void update_adagrad(const Tensor& weight, const Tensor& sum_of_squares, int64_t dims,
                             const RowGradients& given, RowStep& step, double eps, double weight_decay, int64_t seed) {
    check_weight(weight);
    check_state(weight, sum_of_squares, dims, "sum_of_squares");
    step.eps = eps;
    step.weight_decay = weight_decay;
    RowState state{weight};
    state.squares = &sum_of_squares;
    update(state, given, step, seed);
  }

  static void update(const RowState& state, const RowGradients& given, RowStep& step, int64_t seed) {
    check_gradients(Device::place_of(state.weight), state.weight, given);
    check_step(state.weight, step, seed);
    step.seed = static_cast<uint64_t>(seed);
    Device::update(state, given, step);
  }
};

}  // namespace pyembed

// Registers the ops of a device with a library.
#define PE_REGISTER_ROW_OPS(library, Device)                                                 \
  library.impl("update_rows_sgd_", TORCH_BOX(&RowOps<Device>::sgd));                         \
  library.impl("update_rows_momentum_", TORCH_BOX(&RowOps<Device>::momentum));               \
  library.impl("update_rows_adagrad_", TORCH_BOX(&RowOps<Device>::adagrad));                 \
  library.impl("update_rows_rowwise_adagrad_", TORCH_BOX(&RowOps<Device>::rowwise_adagrad)); \
  library.impl("update_rows_adamw_", TORCH_BOX(&RowOps<Device>::adamw))
