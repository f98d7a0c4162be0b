// What every binding of the ops on rows of an embedding checks before it looks at an id.
#pragma once

#include <limits>
#include <optional>
#include <vector>

#include "binding/checks.h"
#include "kernels/row_math.h"

namespace pyembed {

inline std::string shape_of(const std::vector<int64_t>& sizes) {
  std::string text;
  for (const int64_t size : sizes) text += (text.empty() ? "" : ", ") + std::to_string(size);
  return "[" + text + "]";
}

inline std::vector<int64_t> sizes_of(const Tensor& tensor) {
  std::vector<int64_t> sizes(static_cast<size_t>(tensor.dim()));
  for (size_t dim = 0; dim < sizes.size(); ++dim) sizes[dim] = tensor.size(static_cast<int64_t>(dim));
  return sizes;
}

// The sizes of what is looked up: those of ids, and D.
inline std::vector<int64_t> looked_up_sizes(const Tensor& weight, const Tensor& ids) {
  std::vector<int64_t> sizes = sizes_of(ids);
  sizes.push_back(weight.size(1));
  return sizes;
}

inline void check_weight(const Tensor& weight) {
  const auto dtype = weight.scalar_type();
  require(dtype == ScalarType::Double || dtype == ScalarType::Float || dtype == ScalarType::Half ||
              dtype == ScalarType::BFloat16,
          "weight: expected float64, float32, float16 or bfloat16");
  require(weight.dim() == 2 && weight.size(1) >= 1,
          "weight: expected shape [V, D] with D >= 1, got " + shape_of(sizes_of(weight)));
  require(weight.size(0) <= std::numeric_limits<int32_t>::max(), "weight: expected less than 2^31 rows");
}

inline void check_ids(const Place& place, const Tensor& ids) {
  const auto dtype = ids.scalar_type();
  require((dtype == ScalarType::Int || dtype == ScalarType::Long) && place.holds(ids),
          "ids: expected int32[...] or int64[...] on the device of weight");
}

// The type that is computed with.
inline ScalarType state_dtype(const Tensor& weight) {
  return weight.scalar_type() == ScalarType::Double ? ScalarType::Double : ScalarType::Float;
}

inline const char* state_dtype_name(const Tensor& weight) {
  return state_dtype(weight) == ScalarType::Double ? "float64" : "float32";
}

// The gradient of what was looked up, as the ops take it.
struct RowGradients {
  const Tensor& ids;
  const Tensor& grad;
  const std::optional<Tensor>& bags;
  const std::optional<Tensor>& factors;
  const std::optional<Tensor>& frozen;
};

inline void check_gradients(const Place& place, const Tensor& weight, const RowGradients& given) {
  const auto& [ids, grad, bags, factors, frozen] = given;
  const std::string D = std::to_string(weight.size(1));
  require(grad.scalar_type() == weight.scalar_type() && place.holds(grad),
          "grad: expected the dtype and device of weight");
  if (bags) {
    require(grad.dim() == 2 && grad.size(1) == weight.size(1),
            "grad: expected shape [bags, " + D + "], got " + shape_of(sizes_of(grad)));
    require(grad.size(0) <= std::numeric_limits<int32_t>::max(), "grad: expected less than 2^31 bags");
    require(ids.dim() == 1 && sizes_of(*bags) == sizes_of(ids) && bags->scalar_type() == ids.scalar_type() &&
                place.holds(*bags),
            "bags: expected shape and dtype of ids, which is int[n] then");
  } else {
    const std::vector<int64_t> sizes = looked_up_sizes(weight, ids);
    require(sizes_of(grad) == sizes,
            "grad: expected " + shape_of(sizes) + ", as ids says, got " + shape_of(sizes_of(grad)));
  }
  check_ids(place, ids);
  require(ids.numel() <= std::numeric_limits<int32_t>::max(), "ids: expected less than 2^31 elements");
  require(!factors || (factors->scalar_type() == state_dtype(weight) && sizes_of(*factors) == sizes_of(ids) &&
                       place.holds(*factors)),
          std::string("factors: expected ") + state_dtype_name(weight) + " of ids' shape on the device of weight");
  require(!frozen || (frozen->scalar_type() == ScalarType::Bool && frozen->dim() == 1 &&
                      frozen->size(0) == weight.size(0) && place.holds(*frozen)),
          "frozen: expected bool[" + std::to_string(weight.size(0)) + "] on the device of weight");
}

// The rows of a gradient, side by side, in memory that a step does not change: a copy where they may be those of
// weight.
inline Tensor rows_of_gradient(const Tensor& grad, const Tensor& weight) {
  const Tensor rows = torch::stable::contiguous(grad);
  if (rows.numel() == 0 || weight.numel() == 0) return rows;
  const auto bytes = static_cast<int64_t>(weight.element_size());
  const auto address = [](const Tensor& tensor) { return reinterpret_cast<intptr_t>(tensor.const_data_ptr()); };
  const int64_t past_rows = address(rows) + rows.numel() * bytes;
  const int64_t past_weight = address(weight) + ((weight.size(0) - 1) * weight.stride(0) + weight.size(1)) * bytes;
  const bool apart = past_rows <= address(weight) || past_weight <= address(rows);
  return apart ? rows : torch::stable::clone(rows);
}

inline void check_state(const Tensor& weight, const Tensor& state, ScalarType dtype, int64_t dims, const char* name,
                        const std::string& type) {
  std::vector<int64_t> sizes = sizes_of(weight);
  sizes.resize(static_cast<size_t>(dims));
  require(state.scalar_type() == dtype && sizes_of(state) == sizes && state.device() == weight.device(),
          std::string(name) + ": expected " + type + " " + shape_of(sizes) + " on the device of weight");
  require(state.is_contiguous(), std::string(name) + ": expected a contiguous tensor");
}

// A state of the type that is computed with.
inline void check_state(const Tensor& weight, const Tensor& state, int64_t dims, const char* name) {
  check_state(weight, state, state_dtype(weight), dims, name, state_dtype_name(weight));
}

inline void check_share(double share, const char* name) {
  require(0 <= share && share < 1,
          std::string(name) + ": expected at least 0 and below 1, got " + std::to_string(share));
}

inline void check_step(const Tensor& weight, const RowStep& step, int64_t seed) {
  require(rows_are_dense(weight), "weight: expected dense rows; pass weight.contiguous()");
  require(step.clip_norm > 0, "clip_norm: expected above 0, got " + std::to_string(step.clip_norm));
  require(step.step >= 1 && step.step <= std::numeric_limits<int32_t>::max(),
          "step: expected 1 to 2^31 - 1, got " + std::to_string(step.step));
  require(seed >= 0, "seed: expected 0 to 2^63 - 1, got " + std::to_string(seed));
}

}  // namespace pyembed
