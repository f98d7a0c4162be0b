// Rows of an embedding on a GPU: looking them up, and the optimisers' steps on the rows that were looked up.
#include "binding/cuda/row_ids.h"
#include "binding/row_ops.h"

namespace pyembed {
namespace {

Tensor lookup(Tensor weight, Tensor ids) {
  check_weight(weight);
  check_ids(place_of(weight, "weight"), ids);
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

struct OnGpu {
  static Place place_of(const Tensor& weight) { return pyembed::place_of(weight, "weight"); }

  static void update(const RowState& state, const RowGradients& given, const RowStep& step) {
    const Tensor& weight = state.weight;
    const DeviceStream stream(weight);
    const auto dense = [](const std::optional<Tensor>& tensor) {
      return tensor ? std::optional<Tensor>(torch::stable::contiguous(*tensor)) : std::nullopt;
    };
    const Tensor ids = torch::stable::contiguous(given.ids), grad = rows_of_gradient(given.grad, weight);
    const std::optional<Tensor> bags = dense(given.bags), factors = dense(given.factors), frozen = dense(given.frozen);
    const GivenIds rows{ids, weight.size(0), "ids", frozen ? frozen->const_data_ptr<bool>() : nullptr};
    Tensor rows_of_table, rows_of_grad;
    if (bags) {
      const GivenIds sources{*bags, grad.size(0), "bags"};
      auto narrow = checked_ids(std::array<GivenIds, 2>{{rows, sources}}, stream.get());
      rows_of_table = narrow[0];
      rows_of_grad = narrow[1];
    } else {
      rows_of_table = checked_ids(std::array<GivenIds, 1>{{rows}}, stream.get())[0];
    }
    const SortedIds sorted(rows_of_table);
    SegmentMemory memory(weight, ids.numel(), weight.size(1), state_dtype(weight));
    for_element_of(weight, [&](auto element) {
      using Element = decltype(element);
      using Real = Arithmetic<Element>;
      const EntryGradients<Element> entries{static_cast<const Element*>(grad.const_data_ptr()),
                                            bags ? rows_of_grad.const_data_ptr<int32_t>() : nullptr,
                                            factors ? factors->const_data_ptr<Real>() : nullptr};
      require_success(launch_update_rows(state.rows<Element>(), sorted.rows(), entries, step, memory.scratch<Real>(),
                                         stream.get()));
    });
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(PE_OPS, PE_OPS_KEY, library) {
  library.impl("lookup", TORCH_BOX(&lookup));
  PE_REGISTER_ROW_OPS(library, OnGpu);
}

}  // namespace pyembed
