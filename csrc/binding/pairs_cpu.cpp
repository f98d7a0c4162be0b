// Explicit pairs on the CPU: the fused training step, the loss and its gradient.
#include <algorithm>
#include <cstdint>
#include <tuple>
#include <vector>

#include "binding/cpu_windows.h"
#include "binding/dense_gradients.h"
#include "binding/exact_pairs.h"
#include "binding/pair_checks.h"
#include "binding/row_ids.h"

namespace pyembed {
namespace {

// The pairs of an op, and the ids they point to.
class PairArguments {
 public:
  PairArguments(const Tensor& in_vectors, const Tensor& out_vectors, const Tensor& in_ids, const Tensor& out_ids)
      : in_ids_((check_pairs(on_cpu(), in_vectors, out_vectors, in_ids, out_ids), in_ids), in_vectors, "in_ids"),
        out_ids_(out_ids, out_vectors, "out_ids"),
        pairs{in_ids_.values, out_ids_.values, in_ids.numel(), static_cast<int>(out_ids.size(1))} {}

 private:
  RowIds in_ids_, out_ids_;

 public:
  const PairIds pairs;
};

// Pairs one after the other; several threads take pieces at the same time.
template <class Real>
double train_in_turn(const PairIds& pairs, const Tables<Real>& tables, double lr, int64_t threads) {
  constexpr int64_t kPiece = 1024;  // pairs: a tenth of a millisecond
  const int64_t pieces = (pairs.count + kPiece - 1) / kPiece, scratch_size = pair_scratch_size(tables.dimensions);
  threads = std::max<int64_t>(1, std::min(threads, pieces));
  const Scratch scratch(static_cast<size_t>(threads * scratch_size) * sizeof(Real));
  std::vector<double> losses(static_cast<size_t>(pieces));
  Team::run(threads, [&](Team& team, int64_t t) {
    team.share(pieces, [&](int64_t piece) {
      losses[static_cast<size_t>(piece)] = pair_kernels(Real{}).train_in_turn(
          pairs, tables, lr, piece * kPiece, std::min(pairs.count, (piece + 1) * kPiece),
          static_cast<Real*>(scratch.get()) + t * scratch_size);
    });
  });
  double loss = 0;
  for (const double part : losses) loss += part;
  return loss;
}

Tensor pair_step_(Tensor in_vectors, Tensor out_vectors, Tensor in_ids, Tensor out_ids, double lr, bool exact,
                  int64_t threads) {
  const PairArguments arguments(in_vectors, out_vectors, in_ids, out_ids);
  const bool aliased = check_aliases(in_vectors, out_vectors, exact);
  return loss_and_pairs(with_dense_rows(in_vectors, out_vectors, [&](const Tensor& in, const Tensor& out) {
    const auto train = [&](auto element) {
      const auto tables = tables_of<decltype(element)>(in, out);
      return exact ? run_exact_pairs(arguments.pairs, in.size(0), tables, tables, lr, aliased, threads)
                   : train_in_turn(arguments.pairs, tables, lr, threads);
    };
    const double loss = in.scalar_type() == ScalarType::Float ? train(float{}) : train(double{});
    return LossSum{loss, arguments.pairs.count};
  }));
}

Tensor pair_loss(Tensor in_vectors, Tensor out_vectors, Tensor in_ids, Tensor out_ids) {
  const PairArguments arguments(in_vectors, out_vectors, in_ids, out_ids);
  return scalar_loss(in_vectors, out_vectors, [&](const auto& tables) {
    return run_exact_pairs(arguments.pairs, in_vectors.size(0), tables, {}, 0.0, false,
                           torch::stable::get_num_threads());
  });
}

// Dense gradients of the loss, times grad.
std::tuple<Tensor, Tensor> pair_loss_backward(Tensor grad, Tensor in_vectors, Tensor out_vectors, Tensor in_ids,
                                              Tensor out_ids) {
  const PairArguments arguments(in_vectors, out_vectors, in_ids, out_ids);
  return dense_gradients(grad, in_vectors, out_vectors, [&](double weight, const auto& read, const auto& gradients) {
    run_exact_pairs(arguments.pairs, in_vectors.size(0), read, gradients, -weight, false,
                    torch::stable::get_num_threads());
  });
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(pyembed, CPU, library) {
  library.impl("pair_step_", TORCH_BOX(&pair_step_));
  library.impl("pair_loss", TORCH_BOX(&pair_loss));
  library.impl("pair_loss_backward", TORCH_BOX(&pair_loss_backward));
}

}  // namespace pyembed
