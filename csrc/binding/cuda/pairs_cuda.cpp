// Explicit pairs on a GPU: the fused training step, the loss and its gradient.
#include <tuple>

#include "binding/cuda/row_ids.h"
#include "binding/dense_gradients.h"
#include "binding/pair_checks.h"

namespace pyembed {
namespace {

// The pairs of an op, checked, and the ids they point to.
class PairArguments {
 public:
  PairArguments(const Tensor& in_vectors, const Tensor& out_vectors, const Tensor& in_ids, const Tensor& out_ids)
      : stream_(
            (check_pairs(place_of(in_vectors, "in_vectors"), in_vectors, out_vectors, in_ids, out_ids), in_vectors)) {
    const Tensor in = torch::stable::contiguous(in_ids), out = torch::stable::contiguous(out_ids);
    const std::array<GivenIds, 2> given{{{in, in_vectors.size(0), "in_ids"}, {out, out_vectors.size(0), "out_ids"}}};
    ids_ = checked_ids(given, stream());
    pairs = {ids_[0].const_data_ptr<int32_t>(), ids_[1].const_data_ptr<int32_t>(), in.numel(),
             static_cast<int>(out.size(1))};
  }

  void* stream() const { return stream_.get(); }
  const Tensor& in_ids() const { return ids_[0]; }
  const Tensor& out_ids() const { return ids_[1]; }  // [B * N]

  PairIds pairs;

 private:
  DeviceStream stream_;
  std::array<Tensor, 2> ids_;
};

// Losses of all pairs at the old values, float64[B], and scale * their gradient, added to `write` unless its `in` is
// null. aliased: the two tables of `write` share memory with each other and with `read`.
template <class Real>
Tensor run_exact(const PairArguments& arguments, const Tensor& near, const Tables<Real>& read,
                 const Tables<Real>& write, double scale, bool aliased) {
  const PairIds& pairs = arguments.pairs;
  const int64_t B = pairs.count, N = pairs.outputs, D = read.dimensions, stride = padded_columns(D);
  Tensor losses = torch::stable::new_empty(near, {B}, ScalarType::Double);
  if (B == 0) return losses;
  PairScores<Real> found{losses.mutable_data_ptr<double>(), nullptr, nullptr, nullptr, stride};
  if (!write.in) {
    require_success(launch_pair_scores(pairs, read, found, arguments.stream()));
    return losses;
  }
  const auto rows = [&](int64_t count, int64_t columns) {
    return torch::stable::new_empty(near, {count, columns}, near.scalar_type());
  };
  Tensor errors = rows(B, N), in_gradient = rows(B, stride), in_rows = rows(aliased ? B : 0, stride);
  found.errors = errors.mutable_data_ptr<Real>();
  found.in_gradient = in_gradient.mutable_data_ptr<Real>();
  found.in_rows = aliased ? in_rows.mutable_data_ptr<Real>() : nullptr;
  require_success(launch_pair_scores(pairs, read, found, arguments.stream()));
  SegmentMemory memory(near, B * N, D, near.scalar_type());  // enough for B, too
  const SortedIds out_order(arguments.out_ids()), in_order(arguments.in_ids());
  const SegmentScratch<Real> scratch = memory.scratch<Real>();
  require_success(
      launch_add_to_out_rows(pairs, read, found, out_order.rows(), scale, write, scratch, arguments.stream()));
  require_success(launch_add_to_in_rows(found, in_order.rows(), scale, write, scratch, arguments.stream()));
  return losses;
}

// float64[2]: the sum of losses and the number of pairs.
Tensor loss_and_pairs(const Tensor& losses) {
  Tensor total = torch::stable::new_empty(losses, {2});
  Tensor loss = torch::stable::select(total, 0, 0), pairs = torch::stable::select(total, 0, 1);
  torch::stable::copy_(loss, torch::stable::sum(losses));
  torch::stable::fill_(pairs, static_cast<double>(losses.numel()));
  return total;
}

// The schema's `threads` are warps here.
template <class Real>
Tensor train_in_turn(const PairArguments& arguments, const Tensor& near, const Tables<Real>& tables, double lr,
                     int64_t warps) {
  Tensor total = torch::stable::new_zeros(near, {2}, ScalarType::Double);
  require_success(
      launch_pair_step(arguments.pairs, tables, lr, warps, arguments.stream(), total.mutable_data_ptr<double>()));
  return total;
}

Tensor pair_step_(Tensor in_vectors, Tensor out_vectors, Tensor in_ids, Tensor out_ids, double lr, bool exact,
                  int64_t threads) {
  require(threads >= 0, "threads: expected >= 0, got " + std::to_string(threads));
  const PairArguments arguments(in_vectors, out_vectors, in_ids, out_ids);
  const bool aliased = check_aliases(in_vectors, out_vectors, exact);
  return with_dense_rows(in_vectors, out_vectors, [&](const Tensor& in, const Tensor& out) {
    const auto train = [&](auto element) {
      const auto tables = tables_of<decltype(element)>(in, out);
      if (!exact) return train_in_turn(arguments, in, tables, lr, threads);
      return loss_and_pairs(run_exact(arguments, in, tables, tables, -lr, aliased));
    };
    return in.scalar_type() == ScalarType::Float ? train(float{}) : train(double{});
  });
}

Tensor pair_loss(Tensor in_vectors, Tensor out_vectors, Tensor in_ids, Tensor out_ids) {
  const PairArguments arguments(in_vectors, out_vectors, in_ids, out_ids);
  const Tensor in = torch::stable::contiguous(in_vectors), out = torch::stable::contiguous(out_vectors);
  const auto losses = [&](auto element) {
    const auto read = tables_of<decltype(element)>(in, out);
    return run_exact(arguments, in, read, decltype(read){}, 0, false);
  };
  const Tensor sum = torch::stable::sum(in.scalar_type() == ScalarType::Float ? losses(float{}) : losses(double{}));
  return torch::stable::to(sum, in.scalar_type());
}

// Dense gradients of the loss, times grad.
std::tuple<Tensor, Tensor> pair_loss_backward(Tensor grad, Tensor in_vectors, Tensor out_vectors, Tensor in_ids,
                                              Tensor out_ids) {
  const PairArguments arguments(in_vectors, out_vectors, in_ids, out_ids);
  return dense_gradients(grad, in_vectors, out_vectors, [&](double weight, const auto& read, const auto& gradients) {
    run_exact(arguments, in_vectors, read, gradients, weight, false);
  });
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(PE_OPS, PE_OPS_KEY, library) {
  library.impl("pair_step_", TORCH_BOX(&pair_step_));
  library.impl("pair_loss", TORCH_BOX(&pair_loss));
  library.impl("pair_loss_backward", TORCH_BOX(&pair_loss_backward));
}

}  // namespace pyembed
