// Windows trained together on the CPU: the fused training steps of skip-gram and CBOW.
#include <cmath>
#include <string>

#include "binding/cpu_windows.h"
#include "binding/threads.h"
#include "kernels/cpu_kernels.h"

namespace pyembed {
namespace {

// step, step_bfloat16: kernels of the two types of elements; options: what they take after the weight.
template <class Step, class Bfloat16Step, class... Options>
Tensor train(const CpuWindows& arguments, const Tensor& in_vectors, const Tensor& out_vectors, double negative_weight,
             const LearningRate& rate, int64_t threads, Step step, Bfloat16Step step_bfloat16,
             const Options&... options) {
  check_tables(in_vectors, out_vectors, arguments);
  require(in_vectors.scalar_type() != ScalarType::Double,
          "in_vectors: expected float32 or bfloat16; the PyTorch kernel trains float64, too");
  const Draws& draws = arguments.draws;
  require(draws.sharing >= 1 && draws.sharing <= kMostWindows,
          "sharing: expected 1 to 16 windows that train together, got " + std::to_string(draws.sharing));
  require(std::isfinite(negative_weight) && negative_weight > 0,
          "negative_weight: expected a finite number > 0, got " + std::to_string(negative_weight));
  const float weight = static_cast<float>(negative_weight);
  return loss_and_pairs(with_dense_rows(in_vectors, out_vectors, [&](const Tensor& in, const Tensor& out) {
    const auto run = [&](auto element, auto kernel) {
      const auto tables = tables_of<decltype(element)>(in, out);
      const HotIds hot = frequent_words(arguments.block, in.size(0), 1 + draws.negative * negative_weight);
      return over_centers(arguments.block, threads, batch_scratch_bytes(draws, tables.dimensions), tables, hot, hot,
                          rate, [&](const auto& own, int64_t begin, int64_t end, void* scratch) {
                            return kernel(arguments.block, draws, weight, options..., own, rate, begin, end, scratch);
                          });
    };
    return in.scalar_type() == ScalarType::BFloat16 ? run(BFloat16{}, step_bfloat16) : run(float{}, step);
  }));
}

// The kernels by products of bfloat16 for such batches, or null.
const CpuProductKernels* skipgram_products(const Draws& draws) {
  return fits_products(draws) ? best_product_kernels() : nullptr;
}

const CpuProductKernels* cbow_products(const Draws& draws) {
  const CpuProductKernels* const products = skipgram_products(draws);
  return products && products->cbow_step && draws.sharing <= kMostCbowWindows ? products : nullptr;
}

Tensor skipgram_batch_step_(Tensor in_vectors, Tensor out_vectors, Tensor ids, Tensor sentence_starts,
                            Tensor alias_table, int64_t first_position, int64_t center_begin, int64_t center_end,
                            int64_t window, int64_t negative, int64_t sharing, int64_t seed, int64_t epoch,
                            bool shrink_windows, double negative_weight, bool bfloat16_products, double lr_begin,
                            double lr_end, int64_t threads) {
  const CpuWindows arguments(ids, sentence_starts, alias_table, first_position, center_begin, center_end, window,
                             negative, sharing, seed, epoch, shrink_windows);
  const auto train_by = [&](const auto& kernels) {
    return train(arguments, in_vectors, out_vectors, negative_weight, {lr_begin, lr_end}, threads,
                 kernels.skipgram_step, kernels.skipgram_step_bfloat16);
  };
  const CpuProductKernels* const products = bfloat16_products ? skipgram_products(arguments.draws) : nullptr;
  return products ? train_by(*products) : train_by(best_cpu_kernels().batches);
}

Tensor cbow_batch_step_(Tensor in_vectors, Tensor out_vectors, Tensor ids, Tensor sentence_starts, Tensor alias_table,
                        int64_t first_position, int64_t center_begin, int64_t center_end, int64_t window,
                        int64_t negative, int64_t sharing, int64_t seed, int64_t epoch, bool shrink_windows,
                        double negative_weight, bool bfloat16_products, bool mean, bool exact_gradient, double lr_begin,
                        double lr_end, int64_t threads) {
  const CpuWindows arguments(ids, sentence_starts, alias_table, first_position, center_begin, center_end, window,
                             negative, sharing, seed, epoch, shrink_windows);
  const auto train_by = [&](const auto& kernels) {
    return train(arguments, in_vectors, out_vectors, negative_weight, {lr_begin, lr_end}, threads, kernels.cbow_step,
                 kernels.cbow_step_bfloat16, CbowOptions{mean, exact_gradient});
  };
  const CpuProductKernels* const products = bfloat16_products ? cbow_products(arguments.draws) : nullptr;
  return products ? train_by(*products) : train_by(best_cpu_kernels().batches);
}

// Of such batches, whether the processor has products of bfloat16 for them.
Tensor has_bfloat16_products(Tensor, const std::string& model, int64_t window, int64_t negative, int64_t sharing) {
  require(model == "skipgram" || model == "cbow", "model: expected skipgram or cbow, got " + model);
  Draws draws{};
  draws.window = static_cast<int>(window);
  draws.negative = static_cast<int>(negative);
  draws.sharing = static_cast<int>(sharing);
  Tensor result = torch::stable::empty({1}, ScalarType::Bool);
  *result.mutable_data_ptr<bool>() = (model == "cbow" ? cbow_products(draws) : skipgram_products(draws)) != nullptr;
  return result;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(pyembed, CPU, library) {
  library.impl("skipgram_batch_step_", TORCH_BOX(&skipgram_batch_step_));
  library.impl("has_bfloat16_products", TORCH_BOX(&has_bfloat16_products));
  library.impl("cbow_batch_step_", TORCH_BOX(&cbow_batch_step_));
}

}  // namespace pyembed
