// Hierarchical softmax on the CPU: the fused training steps of skip-gram and CBOW.
#include <algorithm>

#include "binding/cpu_windows.h"
#include "binding/threads.h"
#include "kernels/cpu_kernels.h"

namespace pyembed {
namespace {

int64_t words_of_paths(const Tensor& path_starts) {
  require(path_starts.dim() == 1 && path_starts.numel() >= 2 && path_starts.numel() <= (int64_t{1} << 31),
          "path_starts: expected 2 elements or more, for 1 to 2^31 - 1 words");
  return path_starts.numel() - 1;
}

// The block of an op and the paths to its words, which were looked at: those to other words are not used.
class CpuPaths : public CpuBlock<BlockArguments> {
 public:
  CpuPaths(const Tensor& ids, const Tensor& sentence_starts, const Tensor& path_starts, const Tensor& path_nodes,
           const Tensor& path_bits, int64_t first_position, int64_t center_begin, int64_t center_end, int64_t window,
           int64_t seed, int64_t epoch, bool shrink_windows)
      : CpuBlock(words_of_paths(path_starts), ids, sentence_starts, first_position, center_begin, center_end, window,
                 seed, epoch, shrink_windows),
        starts_(dense(place, path_starts, ScalarType::Long, "path_starts", "int64[V + 1]")),
        nodes_(dense(place, path_nodes, ScalarType::Int, "path_nodes", "int32[n]")),
        bits_(dense(place, path_bits, ScalarType::Byte, "path_bits", "uint8[n]")) {
    require(nodes_.dim() == 1 && bits_.dim() == 1, "path_nodes, path_bits: expected 1 dimension");
    require(bits_.numel() == nodes_.numel(), "path_bits: expected as many as path_nodes, " +
                                                 std::to_string(nodes_.numel()) + ", got " +
                                                 std::to_string(bits_.numel()));
    paths = {starts_.const_data_ptr<int64_t>(), nodes_.const_data_ptr<int32_t>(), bits_.const_data_ptr<uint8_t>()};
    int64_t longest = 1;
    for (int64_t t = center_begin; t < block.tokens; ++t) longest = std::max(longest, checked_length(block.ids[t]));
    draws.negative = static_cast<int>(longest - 1);  // outputs but one, which scratch is measured by
  }

  Paths paths;

 private:
  int64_t checked_length(int32_t word) const {
    const int64_t start = paths.starts[word], past = paths.starts[word + 1], nodes = draws.vocabulary - int64_t{1};
    if (start < 0 || past < start || past > nodes_.numel()) refuse_starts();
    for (int64_t i = start; i < past; ++i) {
      if (paths.nodes[i] < 0 || paths.nodes[i] >= nodes) refuse_node(i);
    }
    if (past - start > nodes) refuse_length(past - start);
    return past - start;
  }

  [[noreturn]] void refuse_starts() const {
    throw std::runtime_error("pyembed: path_starts: expected to ascend from 0 to the number of path_nodes, " +
                             std::to_string(nodes_.numel()));
  }
  [[noreturn]] void refuse_node(int64_t index) const {
    throw std::runtime_error(
        "pyembed: path_nodes: expected 0 to V - 2 = " + std::to_string(draws.vocabulary - int64_t{2}) + ", got " +
        std::to_string(paths.nodes[index]) + " at index " + std::to_string(index));
  }
  [[noreturn]] void refuse_length(int64_t length) const {
    throw std::runtime_error("pyembed: path_starts: expected paths of at most V - 1 = " +
                             std::to_string(draws.vocabulary - int64_t{1}) + " nodes, got " + std::to_string(length));
  }

  Tensor starts_, nodes_, bits_;
};

void check_tables(const Tensor& in_vectors, const Tensor& node_vectors, const CpuPaths& arguments) {
  const auto dtype = in_vectors.scalar_type();
  require(dtype == ScalarType::Float || dtype == ScalarType::BFloat16,
          "in_vectors: expected float32 or bfloat16; the PyTorch kernel trains float64, too");
  require(
      node_vectors.scalar_type() == dtype && arguments.place.holds(in_vectors) && arguments.place.holds(node_vectors),
      "node_vectors: expected the dtype and device of in_vectors");
  const int64_t V = arguments.draws.vocabulary, nodes = std::max<int64_t>(V - 1, 1);
  require(in_vectors.dim() == 2 && in_vectors.size(0) == V && in_vectors.size(1) >= 1,
          "in_vectors: expected shape [V, D] with V = " + std::to_string(V) + " rows, one for each path");
  require(node_vectors.dim() == 2 && node_vectors.size(0) == nodes && node_vectors.size(1) == in_vectors.size(1),
          "node_vectors: expected shape [max(V - 1, 1), D] = [" + std::to_string(nodes) + ", " +
              std::to_string(in_vectors.size(1)) + "]");
}

// step, step_bfloat16: kernels of the two types of elements; options: what they take after the paths.
template <class Step, class Bfloat16Step, class... Options>
Tensor train(const CpuPaths& arguments, const Tensor& in_vectors, const Tensor& node_vectors, const LearningRate& rate,
             int64_t threads, Step step, Bfloat16Step step_bfloat16, const Options&... options) {
  check_tables(in_vectors, node_vectors, arguments);
  return loss_and_pairs(with_dense_rows(in_vectors, node_vectors, [&](const Tensor& in, const Tensor& out) {
    const auto run = [&](auto element, auto kernel) {
      const auto tables = tables_of<decltype(element)>(in, out);
      const HotIds words = frequent_words(arguments.block, in.size(0), 1 + arguments.draws.negative);
      return over_centers(arguments.block, threads, step_scratch_bytes(arguments.draws, tables.dimensions), tables,
                          words, nodes_near_the_root(out.size(0)), rate,
                          [&](const auto& own, int64_t begin, int64_t end, void* scratch) {
                            return kernel(arguments.block, arguments.draws, arguments.paths, options..., own, rate,
                                          begin, end, scratch);
                          });
    };
    return in.scalar_type() == ScalarType::BFloat16 ? run(BFloat16{}, step_bfloat16) : run(float{}, step);
  }));
}

Tensor skipgram_hs_step_(Tensor in_vectors, Tensor node_vectors, Tensor ids, Tensor sentence_starts, Tensor path_starts,
                         Tensor path_nodes, Tensor path_bits, int64_t first_position, int64_t center_begin,
                         int64_t center_end, int64_t window, int64_t seed, int64_t epoch, bool shrink_windows,
                         double lr_begin, double lr_end, int64_t threads) {
  const CpuPaths arguments(ids, sentence_starts, path_starts, path_nodes, path_bits, first_position, center_begin,
                           center_end, window, seed, epoch, shrink_windows);
  const CpuKernels& kernels = best_cpu_kernels();
  return train(arguments, in_vectors, node_vectors, {lr_begin, lr_end}, threads, kernels.skipgram_hs_step,
               kernels.skipgram_hs_step_bfloat16);
}

Tensor cbow_hs_step_(Tensor in_vectors, Tensor node_vectors, Tensor ids, Tensor sentence_starts, Tensor path_starts,
                     Tensor path_nodes, Tensor path_bits, int64_t first_position, int64_t center_begin,
                     int64_t center_end, int64_t window, int64_t seed, int64_t epoch, bool shrink_windows, bool mean,
                     bool exact_gradient, double lr_begin, double lr_end, int64_t threads) {
  const CpuPaths arguments(ids, sentence_starts, path_starts, path_nodes, path_bits, first_position, center_begin,
                           center_end, window, seed, epoch, shrink_windows);
  const CpuKernels& kernels = best_cpu_kernels();
  return train(arguments, in_vectors, node_vectors, {lr_begin, lr_end}, threads, kernels.cbow_hs_step,
               kernels.cbow_hs_step_bfloat16, CbowOptions{mean, exact_gradient});
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(pyembed, CPU, library) {
  library.impl("skipgram_hs_step_", TORCH_BOX(&skipgram_hs_step_));
  library.impl("cbow_hs_step_", TORCH_BOX(&cbow_hs_step_));
}

}  // namespace pyembed
