// Rows of an embedding on a GPU: looking them up, and the optimisers' steps on the rows that were looked up.
#include <limits>
#include <vector>

#include "binding/cuda/row_ids.h"

namespace pyembed {
namespace {

std::string shape_of(const std::vector<int64_t>& sizes) {
  std::string text;
  for (const int64_t size : sizes) text += (text.empty() ? "" : ", ") + std::to_string(size);
  return "[" + text + "]";
}

std::vector<int64_t> sizes_of(const Tensor& tensor) {
  std::vector<int64_t> sizes(static_cast<size_t>(tensor.dim()));
  for (size_t dim = 0; dim < sizes.size(); ++dim) sizes[dim] = tensor.size(static_cast<int64_t>(dim));
  return sizes;
}

// The sizes of what is looked up: those of ids, and D.
std::vector<int64_t> looked_up_sizes(const Tensor& weight, const Tensor& ids) {
  std::vector<int64_t> sizes = sizes_of(ids);
  sizes.push_back(weight.size(1));
  return sizes;
}

Place check_weight(const Tensor& weight) {
  const auto dtype = weight.scalar_type();
  require(dtype == ScalarType::Double || dtype == ScalarType::Float || dtype == ScalarType::Half ||
              dtype == ScalarType::BFloat16,
          "weight: expected float64, float32, float16 or bfloat16");
  require(weight.dim() == 2 && weight.size(1) >= 1,
          "weight: expected shape [V, D] with D >= 1, got " + shape_of(sizes_of(weight)));
  require(weight.size(0) <= std::numeric_limits<int32_t>::max(), "weight: expected less than 2^31 rows");
  return place_of(weight, "weight");
}

void check_ids(const Place& place, const Tensor& ids) {
  const auto dtype = ids.scalar_type();
  require((dtype == ScalarType::Int || dtype == ScalarType::Long) && place.holds(ids),
          "ids: expected int32[...] or int64[...] on the device of weight");
}

Tensor lookup(Tensor weight, Tensor ids) {
  const Place place = check_weight(weight);
  check_ids(place, ids);
  const DeviceStream stream(weight);
  const Tensor table = rows_are_dense(weight) ? weight : torch::stable::contiguous(weight);
  const Tensor given = torch::stable::contiguous(ids);
  Tensor rows = torch::stable::new_empty(weight, looked_up_sizes(weight, ids));
  Tensor bad = torch::stable::new_zeros(given, {1}, ScalarType::Int);
  const auto bytes = static_cast<int64_t>(weight.element_size());
  const auto run = [&](auto id) {
    using Id = decltype(id);
    return launch_lookup(table.const_data_ptr(), table.size(0), table.stride(0) * bytes, table.size(1) * bytes,
                         given.const_data_ptr<Id>(), given.numel(), rows.mutable_data_ptr(),
                         bad.mutable_data_ptr<int32_t>(), stream.get());
  };
  require_success(ids.scalar_type() == ScalarType::Int ? run(int32_t{}) : run(int64_t{}));
  require_good_ids(std::array<GivenIds, 1>{{{given, weight.size(0), "ids"}}}, bad);
  return rows;
}

// What an update changes, and by what.
struct Update {
  const Tensor& weight;
  const Tensor& ids;
  const Tensor& grad;
};

// The type that is computed with.
ScalarType state_dtype(const Tensor& weight) {
  return weight.scalar_type() == ScalarType::Double ? ScalarType::Double : ScalarType::Float;
}

void check_state(const Tensor& weight, const Tensor& state, ScalarType dtype, int64_t dims, const char* name,
                 const std::string& type) {
  std::vector<int64_t> sizes = sizes_of(weight);
  sizes.resize(static_cast<size_t>(dims));
  require(state.scalar_type() == dtype && sizes_of(state) == sizes && state.device() == weight.device(),
          std::string(name) + ": expected " + type + " " + shape_of(sizes) + " on the device of weight");
  require(state.is_contiguous(), std::string(name) + ": expected a contiguous tensor");
}

void check_state(const Tensor& weight, const Tensor& state, int64_t dims, const char* name) {
  const ScalarType dtype = state_dtype(weight);
  check_state(weight, state, dtype, dims, name, dtype == ScalarType::Double ? "float64" : "float32");
}

// set_state(table) says where the optimiser's state lies.
template <class SetState>
void update(const Update& given, const RowStep& step, int64_t seed, const SetState& set_state) {
  const auto& [weight, ids, grad] = given;
  const Place place = check_weight(weight);
  const std::vector<int64_t> sizes = looked_up_sizes(weight, ids);
  require(grad.scalar_type() == weight.scalar_type() && sizes_of(grad) == sizes && place.holds(grad),
          "grad: expected " + shape_of(sizes) + " of the dtype and device of weight, got " + shape_of(sizes_of(grad)));
  require(rows_are_dense(weight), "weight: expected dense rows; pass weight.contiguous()");
  check_ids(place, ids);
  require(step.step >= 1 && step.step <= std::numeric_limits<int32_t>::max(),
          "step: expected 1 to 2^31 - 1, got " + std::to_string(step.step));
  require(seed >= 0, "seed: expected 0 to 2^63 - 1, got " + std::to_string(seed));
  const DeviceStream stream(weight);
  const Tensor given_ids = torch::stable::contiguous(ids), gradient = torch::stable::contiguous(grad);
  const auto [narrow] = checked_ids(std::array<GivenIds, 1>{{{given_ids, weight.size(0), "ids"}}}, stream.get());
  const SortedIds sorted(narrow);
  SegmentMemory memory(weight, narrow.numel(), weight.size(1), state_dtype(weight));
  const auto run = [&](auto element) {
    using Element = decltype(element);
    TrainedRows<Element> table{static_cast<Element*>(weight.mutable_data_ptr()), weight.stride(0), weight.size(1)};
    set_state(table);
    return launch_update_rows(table, sorted.rows(), static_cast<const Element*>(gradient.const_data_ptr()),
                              weight.size(1), step, memory.scratch<Arithmetic<Element>>(), stream.get());
  };
  switch (weight.scalar_type()) {
    case ScalarType::Double:
      return require_success(run(double{}));
    case ScalarType::Half:
      return require_success(run(Float16{}));
    case ScalarType::BFloat16:
      return require_success(run(BFloat16{}));
    default:
      return require_success(run(float{}));
  }
}

// Where the elements of a state lie, for a table of any type.
template <class Real>
void point_to(Real*& pointer, const Tensor& state) {
  pointer = state.mutable_data_ptr<Real>();
}

void update_rows_sgd_(Tensor weight, Tensor ids, Tensor grad, double lr, double weight_decay, int64_t step,
                      int64_t seed) {
  const RowStep row_step{Optimizer::sgd, lr, weight_decay, 0, 0, 0, step, static_cast<uint64_t>(seed)};
  update({weight, ids, grad}, row_step, seed, [](auto&) {});
}

void step_adagrad(const Update& given, const Tensor& sum_of_squares, int64_t dims, const RowStep& step, int64_t seed) {
  check_weight(given.weight);
  check_state(given.weight, sum_of_squares, dims, "sum_of_squares");
  update(given, step, seed, [&](auto& table) { point_to(table.sum, sum_of_squares); });
}

void update_rows_adagrad_(Tensor weight, Tensor sum_of_squares, Tensor ids, Tensor grad, double lr, double eps,
                          double weight_decay, int64_t step, int64_t seed) {
  const RowStep row_step{Optimizer::adagrad, lr, weight_decay, eps, 0, 0, step, static_cast<uint64_t>(seed)};
  step_adagrad({weight, ids, grad}, sum_of_squares, 2, row_step, seed);
}

void update_rows_rowwise_adagrad_(Tensor weight, Tensor sum_of_squares, Tensor ids, Tensor grad, double lr, double eps,
                                  double weight_decay, int64_t step, int64_t seed) {
  const RowStep row_step{Optimizer::rowwise_adagrad, lr, weight_decay, eps, 0, 0, step, static_cast<uint64_t>(seed)};
  step_adagrad({weight, ids, grad}, sum_of_squares, 1, row_step, seed);
}

void update_rows_adamw_(Tensor weight, Tensor exp_avg, Tensor exp_avg_sq, Tensor last_step, Tensor ids, Tensor grad,
                        double lr, double beta1, double beta2, double eps, double weight_decay, int64_t step,
                        int64_t seed) {
  check_weight(weight);
  check_state(weight, exp_avg, 2, "exp_avg");
  check_state(weight, exp_avg_sq, 2, "exp_avg_sq");
  check_state(weight, last_step, ScalarType::Int, 1, "last_step", "int32");
  const auto check_beta = [](double beta, const char* name) {
    require(0 <= beta && beta < 1,
            std::string(name) + ": expected at least 0 and below 1, got " + std::to_string(beta));
  };
  check_beta(beta1, "beta1");
  check_beta(beta2, "beta2");
  require(lr * weight_decay <= 1, "lr * weight_decay: expected at most 1, got " + std::to_string(lr * weight_decay));
  const RowStep row_step{Optimizer::adamw, lr, weight_decay, eps, beta1, beta2, step, static_cast<uint64_t>(seed)};
  update({weight, ids, grad}, row_step, seed, [&](auto& table) {
    point_to(table.exp_avg, exp_avg);
    point_to(table.exp_avg_sq, exp_avg_sq);
    point_to(table.last_step, last_step);
  });
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(PE_OPS, PE_OPS_KEY, library) {
  library.impl("lookup", TORCH_BOX(&lookup));
  library.impl("update_rows_sgd_", TORCH_BOX(&update_rows_sgd_));
  library.impl("update_rows_adagrad_", TORCH_BOX(&update_rows_adagrad_));
  library.impl("update_rows_rowwise_adagrad_", TORCH_BOX(&update_rows_rowwise_adagrad_));
  library.impl("update_rows_adamw_", TORCH_BOX(&update_rows_adamw_));
}

}  // namespace pyembed
