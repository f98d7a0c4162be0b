// CBOW on the CPU: the fused training step, the loss and its gradient.
#include "binding/cpu_windows.h"
#include "binding/exact_ops.h"
#include "binding/threads.h"
#include "kernels/cpu_kernels.h"

namespace pyembed {
namespace {

auto kernel(const CbowOptions& options) {
  return [options](const TokenBlock& block, const Draws& draws, const auto&... arguments) {
    return cbow_exact(block, draws, options, arguments...);
  };
}

Tensor cbow_step_(Tensor in_vectors, Tensor out_vectors, Tensor ids, Tensor sentence_starts, Tensor alias_table,
                  int64_t first_position, int64_t center_begin, int64_t center_end, int64_t window, int64_t negative,
                  int64_t sharing, int64_t seed, int64_t epoch, bool shrink_windows, bool mean, bool exact_gradient,
                  double lr_begin, double lr_end, int64_t threads, const std::string&, int64_t) {
  const CpuWindows arguments(ids, sentence_starts, alias_table, first_position, center_begin, center_end, window,
                             negative, one_pair_a_window(sharing), seed, epoch, shrink_windows);
  check_tables(in_vectors, out_vectors, arguments);
  const LearningRate rate{lr_begin, lr_end};
  const CbowOptions options{mean, exact_gradient};
  return loss_and_pairs(with_dense_rows(in_vectors, out_vectors, [&](const Tensor& in, const Tensor& out) {
    const auto train = [&](auto element, auto step) {
      const auto tables = tables_of<decltype(element)>(in, out);
      const HotIds hot = frequent_words(arguments.block, in.size(0), 1 + arguments.draws.negative);
      return over_centers(arguments.block, threads, step_scratch_bytes(arguments.draws, tables.dimensions), tables, hot,
                          hot, rate, [&](const auto& own, int64_t begin, int64_t end, void* scratch) {
                            return step(arguments.block, arguments.draws, options, own, rate, begin, end, scratch);
                          });
    };
    if (in.scalar_type() == ScalarType::Double) return exact_step(arguments, rate, in, out, kernel(options));
    const CpuKernels& kernels = best_cpu_kernels();
    return in.scalar_type() == ScalarType::BFloat16 ? train(BFloat16{}, kernels.cbow_step_bfloat16)
                                                    : train(float{}, kernels.cbow_step);
  }));
}

Tensor cbow_loss(Tensor in_vectors, Tensor out_vectors, Tensor ids, Tensor sentence_starts, Tensor alias_table,
                 int64_t first_position, int64_t center_begin, int64_t center_end, int64_t window, int64_t negative,
                 int64_t sharing, int64_t seed, int64_t epoch, bool shrink_windows, bool mean) {
  const CpuWindows arguments(ids, sentence_starts, alias_table, first_position, center_begin, center_end, window,
                             negative, one_pair_a_window(sharing), seed, epoch, shrink_windows);
  return exact_loss(arguments, in_vectors, out_vectors, kernel({mean, true}));
}

std::tuple<Tensor, Tensor> cbow_loss_backward(Tensor grad, Tensor in_vectors, Tensor out_vectors, Tensor ids,
                                              Tensor sentence_starts, Tensor alias_table, int64_t first_position,
                                              int64_t center_begin, int64_t center_end, int64_t window,
                                              int64_t negative, int64_t sharing, int64_t seed, int64_t epoch,
                                              bool shrink_windows, bool mean) {
  const CpuWindows arguments(ids, sentence_starts, alias_table, first_position, center_begin, center_end, window,
                             negative, one_pair_a_window(sharing), seed, epoch, shrink_windows);
  return exact_gradient(grad, arguments, in_vectors, out_vectors, kernel({mean, true}));
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(pyembed, CPU, library) {
  library.impl("cbow_step_", TORCH_BOX(&cbow_step_));
  library.impl("cbow_loss", TORCH_BOX(&cbow_loss));
  library.impl("cbow_loss_backward", TORCH_BOX(&cbow_loss_backward));
}

}  // namespace pyembed
