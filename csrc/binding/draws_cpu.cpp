// draw_windows on the CPU, and the name of the instruction set in use.
#include <cstring>
#include <tuple>
#include <vector>

#include "binding/checks.h"
#include "kernels/cpu_kernels.h"

namespace pyembed {
namespace {

// radius int32[B], outputs int32[B, 1 + K]
std::tuple<Tensor, Tensor> draw_windows(Tensor ids, Tensor sentence_starts, Tensor alias_table, int64_t first_position,
                                        int64_t center_begin, int64_t center_end, int64_t window, int64_t negative,
                                        int64_t seed, int64_t epoch) {
  const WindowArguments arguments(ids, sentence_starts, alias_table, first_position, center_begin, center_end, window,
                                  negative, seed, epoch);
  const int64_t count = center_end - center_begin;
  Tensor radius = torch::stable::empty({count}, ScalarType::Int);
  Tensor outputs = torch::stable::empty({count, 1 + negative}, ScalarType::Int);
  std::vector<uint8_t> repeated(static_cast<size_t>(count));
  std::vector<uint64_t> lanes(8 * static_cast<size_t>(1 + negative));
  best_cpu_kernels().draw_windows(arguments.draws, static_cast<uint64_t>(first_position + center_begin), count,
                                  arguments.block.ids + center_begin, lanes.data(), radius.mutable_data_ptr<int32_t>(),
                                  outputs.mutable_data_ptr<int32_t>(), repeated.data());
  return {radius, outputs};
}

// The name as bytes, uint8[length]: the stable ABI passes no strings back.
Tensor simd_name(Tensor like) {
  (void)like;  // an op needs a tensor argument to find its device by
  const char* name = best_cpu_kernels().name;
  Tensor result = torch::stable::empty({static_cast<int64_t>(std::strlen(name))}, ScalarType::Byte);
  std::memcpy(result.mutable_data_ptr<uint8_t>(), name, std::strlen(name));
  return result;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(pyembed, CPU, library) {
  library.impl("draw_windows", TORCH_BOX(&draw_windows));
  library.impl("simd_name", TORCH_BOX(&simd_name));
}

}  // namespace pyembed
