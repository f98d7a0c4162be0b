// Skip-gram and CBOW on a GPU: the fused training steps, the losses and their gradients, and the draws alone.
#include <algorithm>
#include <limits>
#include <tuple>

#include "binding/cuda/checks.h"
#include "binding/dense_gradients.h"

namespace pyembed {
namespace {

// The schema's `threads` are warps here.
LaunchOptions launch_options(const DeviceWindows& arguments, int64_t warps, const std::string& write_back,
                             int64_t frequent) {
  require(warps >= 0, "threads: expected >= 0, got " + std::to_string(warps));
  require(write_back == "add" || write_back == "store", "write_back: expected add or store, got " + write_back);
  constexpr int64_t most = std::numeric_limits<int32_t>::max();
  require(frequent >= 0, "frequent: expected >= 0, got " + std::to_string(frequent));
  return {arguments.stream(), warps, write_back == "add" ? WriteBack::add : WriteBack::store,
          static_cast<int32_t>(std::min(frequent, most))};
}

// launch(tables, total) for tables of any type: what a step returns.
template <class Launch>
Tensor step(const WindowArguments& arguments, const Tensor& in_vectors, const Tensor& out_vectors,
            const Launch& launch) {
  check_tables(in_vectors, out_vectors, arguments);
  return with_dense_rows(in_vectors, out_vectors, [&](const Tensor& in, const Tensor& out) {
    Tensor total = torch::stable::new_zeros(in, {2}, ScalarType::Double);
    double* const sums = total.mutable_data_ptr<double>();
    switch (in.scalar_type()) {
      case ScalarType::Double:
        require_success(launch(tables_of<double>(in, out), sums));
        break;
      case ScalarType::BFloat16:
        require_success(launch(tables_of<BFloat16>(in, out), sums));
        break;
      default:
        require_success(launch(tables_of<float>(in, out), sums));
    }
    return total;
  });
}

// launch(scale, read tables, tables to add the gradient to, total) with nowhere to add it to.
template <class Launch>
Tensor loss(const WindowArguments& arguments, const Tensor& in_vectors, const Tensor& out_vectors,
            const Launch& launch) {
  check_differentiable(in_vectors, out_vectors, arguments);
  const Tensor in = torch::stable::contiguous(in_vectors), out = torch::stable::contiguous(out_vectors);
  Tensor total = torch::stable::new_zeros(in, {2}, ScalarType::Double);
  const auto run = [&](auto element) {
    const auto tables = tables_of<decltype(element)>(in, out);
    require_success(launch(0.0, tables, decltype(tables){}, total.mutable_data_ptr<double>()));
  };
  in.scalar_type() == ScalarType::Float ? run(float{}) : run(double{});
  return torch::stable::to(torch::stable::select(total, 0, 0), in.scalar_type());
}

template <class Launch>
std::tuple<Tensor, Tensor> gradients(const WindowArguments& arguments, const Tensor& grad, const Tensor& in_vectors,
                                     const Tensor& out_vectors, const Launch& launch) {
  check_differentiable(in_vectors, out_vectors, arguments);
  Tensor total = torch::stable::new_zeros(in_vectors, {2}, ScalarType::Double);
  return dense_gradients(grad, in_vectors, out_vectors, [&](double weight, const auto& read, const auto& write) {
    require_success(launch(weight, read, write, total.mutable_data_ptr<double>()));
  });
}

// --- Skip-gram ---

Tensor skipgram_step_(Tensor in_vectors, Tensor out_vectors, Tensor ids, Tensor sentence_starts, Tensor alias_table,
                      int64_t first_position, int64_t center_begin, int64_t center_end, int64_t window,
                      int64_t negative, int64_t sharing, int64_t seed, int64_t epoch, bool shrink_windows,
                      double lr_begin, double lr_end, int64_t threads, const std::string& write_back,
                      int64_t frequent) {
  const DeviceWindows arguments(in_vectors, "in_vectors", ids, sentence_starts, alias_table, first_position,
                                center_begin, center_end, window, negative, sharing, seed, epoch, shrink_windows);
  const LaunchOptions options = launch_options(arguments, threads, write_back, frequent);
  return step(arguments, in_vectors, out_vectors, [&](const auto& tables, double* total) {
    return launch_skipgram_step(arguments.block, arguments.draws, tables, {lr_begin, lr_end}, options, total);
  });
}

auto skipgram_gradient(const DeviceWindows& arguments) {
  return [&](double scale, const auto& read, const auto& write, double* total) {
    return launch_skipgram_gradient(arguments.block, arguments.draws, scale, read, write, arguments.stream(), total);
  };
}

Tensor skipgram_loss(Tensor in_vectors, Tensor out_vectors, Tensor ids, Tensor sentence_starts, Tensor alias_table,
                     int64_t first_position, int64_t center_begin, int64_t center_end, int64_t window, int64_t negative,
                     int64_t sharing, int64_t seed, int64_t epoch, bool shrink_windows) {
  const DeviceWindows arguments(in_vectors, "in_vectors", ids, sentence_starts, alias_table, first_position,
                                center_begin, center_end, window, negative, sharing, seed, epoch, shrink_windows);
  return loss(arguments, in_vectors, out_vectors, skipgram_gradient(arguments));
}

std::tuple<Tensor, Tensor> skipgram_loss_backward(Tensor grad, Tensor in_vectors, Tensor out_vectors, Tensor ids,
                                                  Tensor sentence_starts, Tensor alias_table, int64_t first_position,
                                                  int64_t center_begin, int64_t center_end, int64_t window,
                                                  int64_t negative, int64_t sharing, int64_t seed, int64_t epoch,
                                                  bool shrink_windows) {
  const DeviceWindows arguments(in_vectors, "in_vectors", ids, sentence_starts, alias_table, first_position,
                                center_begin, center_end, window, negative, sharing, seed, epoch, shrink_windows);
  return gradients(arguments, grad, in_vectors, out_vectors, skipgram_gradient(arguments));
}

// --- CBOW ---

Tensor cbow_step_(Tensor in_vectors, Tensor out_vectors, Tensor ids, Tensor sentence_starts, Tensor alias_table,
                  int64_t first_position, int64_t center_begin, int64_t center_end, int64_t window, int64_t negative,
                  int64_t sharing, int64_t seed, int64_t epoch, bool shrink_windows, bool mean, bool exact_gradient,
                  double lr_begin, double lr_end, int64_t threads, const std::string& write_back, int64_t frequent) {
  const DeviceWindows arguments(in_vectors, "in_vectors", ids, sentence_starts, alias_table, first_position,
                                center_begin, center_end, window, negative, one_pair_a_window(sharing), seed, epoch,
                                shrink_windows);
  const CbowOptions cbow{mean, exact_gradient};
  const LaunchOptions options = launch_options(arguments, threads, write_back, frequent);
  return step(arguments, in_vectors, out_vectors, [&](const auto& tables, double* total) {
    return launch_cbow_step(arguments.block, arguments.draws, cbow, tables, {lr_begin, lr_end}, options, total);
  });
}

auto cbow_gradient(const DeviceWindows& arguments, bool mean) {
  return [&, mean](double scale, const auto& read, const auto& write, double* total) {
    return launch_cbow_gradient(arguments.block, arguments.draws, {mean, true}, scale, read, write, arguments.stream(),
                                total);
  };
}

Tensor cbow_loss(Tensor in_vectors, Tensor out_vectors, Tensor ids, Tensor sentence_starts, Tensor alias_table,
                 int64_t first_position, int64_t center_begin, int64_t center_end, int64_t window, int64_t negative,
                 int64_t sharing, int64_t seed, int64_t epoch, bool shrink_windows, bool mean) {
  const DeviceWindows arguments(in_vectors, "in_vectors", ids, sentence_starts, alias_table, first_position,
                                center_begin, center_end, window, negative, one_pair_a_window(sharing), seed, epoch,
                                shrink_windows);
  return loss(arguments, in_vectors, out_vectors, cbow_gradient(arguments, mean));
}

std::tuple<Tensor, Tensor> cbow_loss_backward(Tensor grad, Tensor in_vectors, Tensor out_vectors, Tensor ids,
                                              Tensor sentence_starts, Tensor alias_table, int64_t first_position,
                                              int64_t center_begin, int64_t center_end, int64_t window,
                                              int64_t negative, int64_t sharing, int64_t seed, int64_t epoch,
                                              bool shrink_windows, bool mean) {
  const DeviceWindows arguments(in_vectors, "in_vectors", ids, sentence_starts, alias_table, first_position,
                                center_begin, center_end, window, negative, one_pair_a_window(sharing), seed, epoch,
                                shrink_windows);
  return gradients(arguments, grad, in_vectors, out_vectors, cbow_gradient(arguments, mean));
}

// --- Draws ---

// radius int32[B], outputs int32[B, 1 + K], or [B, 2W, 1 + K] where every pair has its own negatives
std::tuple<Tensor, Tensor> draw_windows(Tensor ids, Tensor sentence_starts, Tensor alias_table, int64_t first_position,
                                        int64_t center_begin, int64_t center_end, int64_t window, int64_t negative,
                                        int64_t sharing, int64_t seed, int64_t epoch, bool shrink_windows) {
  const DeviceWindows arguments(ids, "ids", ids, sentence_starts, alias_table, first_position, center_begin, center_end,
                                window, negative, sharing, seed, epoch, shrink_windows);
  const int64_t count = center_end - center_begin;
  Tensor radius = torch::stable::new_empty(ids, {count});
  Tensor outputs = sharing == kPerPair ? torch::stable::new_empty(ids, {count, 2 * window, 1 + negative})
                                       : torch::stable::new_empty(ids, {count, 1 + negative});
  require_success(launch_draw_windows(arguments.block, arguments.draws, radius.mutable_data_ptr<int32_t>(),
                                      outputs.mutable_data_ptr<int32_t>(), arguments.stream()));
  return {radius, outputs};
}

// int32[count, K]
Tensor draw_negatives(Tensor alias_table, int64_t first_position, int64_t count, int64_t negative, int64_t seed,
                      int64_t epoch) {
  require(count >= 0, "count: expected >= 0, got " + std::to_string(count));
  const Tensor no_ids = torch::stable::new_empty(alias_table, {0}, ScalarType::Int);
  const Tensor no_sentences = torch::stable::new_zeros(alias_table, {1}, ScalarType::Long);
  const DeviceWindows arguments(alias_table, "alias_table", no_ids, no_sentences, alias_table, first_position, 0, 0, 1,
                                negative, kPerWindow, seed, epoch, true);
  Tensor ids = torch::stable::new_empty(alias_table, {count, negative});
  require_success(launch_draw_negatives(arguments.draws, static_cast<uint64_t>(first_position), count,
                                        ids.mutable_data_ptr<int32_t>(), arguments.stream()));
  return ids;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(PE_OPS, PE_OPS_KEY, library) {
  library.impl("skipgram_step_", TORCH_BOX(&skipgram_step_));
  library.impl("skipgram_loss", TORCH_BOX(&skipgram_loss));
  library.impl("skipgram_loss_backward", TORCH_BOX(&skipgram_loss_backward));
  library.impl("cbow_step_", TORCH_BOX(&cbow_step_));
  library.impl("cbow_loss", TORCH_BOX(&cbow_loss));
  library.impl("cbow_loss_backward", TORCH_BOX(&cbow_loss_backward));
  library.impl("draw_windows", TORCH_BOX(&draw_windows));
  library.impl("draw_negatives", TORCH_BOX(&draw_negatives));
}

}  // namespace pyembed
