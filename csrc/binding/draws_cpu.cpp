// draw_windows and draw_negatives on the CPU, and the name of the instruction set in use.
#include <cstring>
#include <tuple>
#include <vector>

#include "binding/cpu_windows.h"
#include "kernels/cpu_kernels.h"

namespace pyembed {
namespace {

// The windows' outputs, one row after another: each center, and the negatives of each context where they differ.
void draw_rows(const TokenBlock& block, const Draws& draws, int32_t* radius, int32_t* outputs) {
  const int64_t rows = draws.sharing == kPerPair ? 2 * draws.window : 1;
  for (int64_t center = block.center_begin; center < block.center_end; ++center) {
    const uint64_t position = block.first_position + static_cast<uint64_t>(center);
    *radius++ = window_radius(draws, position);
    for (int64_t c = 0; c < rows; ++c, outputs += 1 + draws.negative) {
      outputs[0] = block.ids[center];
      negative_ids(draws, position, c, outputs + 1);
    }
  }
}

// radius int32[B], outputs int32[B, 1 + K], or [B, 2W, 1 + K] where every pair has its own negatives
std::tuple<Tensor, Tensor> draw_windows(Tensor ids, Tensor sentence_starts, Tensor alias_table, int64_t first_position,
                                        int64_t center_begin, int64_t center_end, int64_t window, int64_t negative,
                                        int64_t sharing, int64_t seed, int64_t epoch, bool shrink_windows) {
  const CpuWindows arguments(ids, sentence_starts, alias_table, first_position, center_begin, center_end, window,
                             negative, sharing, seed, epoch, shrink_windows);
  const int64_t count = center_end - center_begin;
  Tensor radius = torch::stable::empty({count}, ScalarType::Int);
  const bool per_pair = sharing == kPerPair;
  Tensor outputs = per_pair ? torch::stable::empty({count, 2 * window, 1 + negative}, ScalarType::Int)
                            : torch::stable::empty({count, 1 + negative}, ScalarType::Int);
  if (sharing != kPerWindow) {
    draw_rows(arguments.block, arguments.draws, radius.mutable_data_ptr<int32_t>(),
              outputs.mutable_data_ptr<int32_t>());
    return {radius, outputs};
  }
  std::vector<uint8_t> repeated(static_cast<size_t>(count));
  std::vector<uint64_t> lanes(8 * static_cast<size_t>(1 + negative));
  best_cpu_kernels().draw_windows(arguments.draws, static_cast<uint64_t>(first_position + center_begin), count,
                                  arguments.block.ids + center_begin, lanes.data(), radius.mutable_data_ptr<int32_t>(),
                                  outputs.mutable_data_ptr<int32_t>(), repeated.data());
  return {radius, outputs};
}

// int32[count, K]
Tensor draw_negatives(Tensor alias_table, int64_t first_position, int64_t count, int64_t negative, int64_t seed,
                      int64_t epoch) {
  require(count >= 0, "count: expected >= 0, got " + std::to_string(count));
  const Tensor no_ids = torch::stable::empty({0}, ScalarType::Int);
  const Tensor no_sentences = torch::stable::full({1}, 0, ScalarType::Long);
  const CpuWindows arguments(no_ids, no_sentences, alias_table, first_position, 0, 0, 1, negative, kPerWindow, seed,
                             epoch, true);
  Tensor ids = torch::stable::empty({count, negative}, ScalarType::Int);
  best_cpu_kernels().draw_negatives(arguments.draws, static_cast<uint64_t>(first_position), count,
                                    ids.mutable_data_ptr<int32_t>());
  return ids;
}

// As bytes, uint8[length]: the stable ABI passes no strings back.
Tensor bytes_of(const char* name) {
  Tensor result = torch::stable::empty({static_cast<int64_t>(std::strlen(name))}, ScalarType::Byte);
  std::memcpy(result.mutable_data_ptr<uint8_t>(), name, std::strlen(name));
  return result;
}

// An op needs a tensor argument to find its device by.
Tensor simd_name(Tensor) { return bytes_of(best_cpu_kernels().name); }

Tensor bfloat16_products_name(Tensor) {
  const CpuProductKernels* const kernels = best_product_kernels();
  return bytes_of(kernels ? kernels->name : "none");
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(pyembed, CPU, library) {
  library.impl("draw_windows", TORCH_BOX(&draw_windows));
  library.impl("draw_negatives", TORCH_BOX(&draw_negatives));
  library.impl("simd_name", TORCH_BOX(&simd_name));
  library.impl("bfloat16_products_name", TORCH_BOX(&bfloat16_products_name));
}

}  // namespace pyembed
