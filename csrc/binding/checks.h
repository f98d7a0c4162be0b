// Turns the arguments of an op into what kernels take, after checking them: expected, got, remedy.
#pragma once

#include <torch/csrc/stable/device.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/Exception.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

#include "kernels/training.h"

namespace pyembed {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

inline void require(bool condition, const std::string& message) {
  if (!condition) throw std::runtime_error("pyembed: " + message);
}

// Where all tensors of an op must lie.
struct Place {
  torch::stable::Device device;
  const char* words;  // that say so in a message

  bool holds(const Tensor& tensor) const { return tensor.device() == device; }
};

// A contiguous tensor of the given type, copied only where it is not contiguous.
inline Tensor dense(const Place& place, const Tensor& tensor, ScalarType dtype, const char* name,
                    const char* expected) {
  require(place.holds(tensor) && tensor.scalar_type() == dtype,
          std::string(name) + ": expected " + expected + " " + place.words);
  return torch::stable::contiguous(tensor);
}

// A copy on the CPU, after all work of the stream that made it; the tensor itself where it lies there.
inline Tensor on_host(const Tensor& tensor) {
  return torch::stable::to(tensor, torch::stable::Device(torch::headeronly::DeviceType::CPU));
}

[[noreturn]] inline void refuse_id(const char* name, int64_t rows, int64_t id, const std::string& index) {
  throw std::runtime_error("pyembed: " + std::string(name) + ": expected 0 to V - 1 = " + std::to_string(rows - 1) +
                           ", got " + std::to_string(id) + " at index " + index);
}

// Reports the first id that names no row of its table. ids: those of the tensor, in host memory; one of them is bad.
template <class Id>
[[noreturn]] void refuse_first_bad(const Id* ids, const Tensor& tensor, int64_t rows, const char* name) {
  int64_t i = 0;
  while (0 <= ids[i] && ids[i] < rows) ++i;
  std::string index;
  int64_t rest = i;
  for (int64_t dim = tensor.dim() - 1; dim >= 0; rest /= tensor.size(dim--)) {
    index = std::to_string(rest % tensor.size(dim)) + (index.empty() ? "" : ", " + index);
  }
  refuse_id(name, rows, ids[i], tensor.dim() == 1 ? index : "[" + index + "]");
}

inline void check_draw_key(int64_t first_position, int64_t seed, int64_t epoch) {
  require(first_position >= 0, "first_position: expected >= 0, got " + std::to_string(first_position));
  require(seed >= 0, "seed: expected 0 to 2^63 - 1, got " + std::to_string(seed));
  require(epoch >= 0 && epoch < (int64_t{1} << 32), "epoch: expected 0 to 2^32 - 1, got " + std::to_string(epoch));
}

// A window's contexts are one pair of CBOW, so that a pair's own negatives are its window's.
inline int64_t one_pair_a_window(int64_t sharing) { return sharing == kPerPair ? kPerWindow : sharing; }

// The block of an op, what its radii are drawn with, and the tensors it points into. Whether these hold what they
// should is for the derived class to see, which knows the memory.
class BlockArguments {
 public:
  BlockArguments(const Place& place, int64_t V, const Tensor& ids, const Tensor& sentence_starts,
                 int64_t first_position, int64_t center_begin, int64_t center_end, int64_t window, int64_t seed,
                 int64_t epoch, bool shrink_windows)
      : place(place),
        ids_(dense(place, ids, ScalarType::Int, "ids", "int32[T]")),
        sentence_starts_(dense(place, sentence_starts, ScalarType::Long, "sentence_starts", "int64[S + 1]")) {
    require(ids.dim() == 1, "ids: expected 1 dimension, got " + std::to_string(ids.dim()));
    require(sentence_starts.dim() == 1 && sentence_starts.numel() >= 1,
            "sentence_starts: expected 1 dimension and at least one element");
    const int64_t T = ids.numel(), S = sentence_starts.numel() - 1;
    require(0 <= center_begin && center_begin <= center_end && center_end <= T,
            "centers: expected 0 <= center_begin <= center_end <= " + std::to_string(T) + ", got " +
                std::to_string(center_begin) + " and " + std::to_string(center_end));
    check_draw_key(first_position, seed, epoch);
    require(window >= 1 && window <= 1000, "window: expected 1 to 1000, got " + std::to_string(window));
    block = {ids_.const_data_ptr<int32_t>(),
             sentence_starts_.const_data_ptr<int64_t>(),
             T,
             S,
             static_cast<uint64_t>(first_position),
             center_begin,
             center_end};
    draws = {nullptr,    static_cast<uint32_t>(V),    static_cast<int>(window),     0,
             kPerWindow, static_cast<uint64_t>(seed), static_cast<uint32_t>(epoch), shrink_windows};
  }

  Place place;
  TokenBlock block;
  Draws draws;

 protected:
  void require_ends(int64_t first_start, int64_t last_start) const {
    require(first_start == 0 && last_start == block.tokens,
            "sentence_starts: expected to begin with 0 and to end with T = " + std::to_string(block.tokens));
  }
  [[noreturn]] void refuse_start(int64_t index) const {
    throw std::runtime_error("pyembed: sentence_starts: expected to ascend, falls at index " + std::to_string(index));
  }

  Tensor ids_, sentence_starts_;
};

// The number of words that an alias table is for.
inline int64_t words_of(const Tensor& alias_table) {
  require(alias_table.dim() == 2 && alias_table.size(1) == 2, "alias_table: expected shape [V, 2]");
  const int64_t V = alias_table.size(0);
  require(V >= 1 && V < (int64_t{1} << 31), "alias_table: expected 1 to 2^31 - 1 rows, got " + std::to_string(V));
  return V;
}

// The same with negatives.
class WindowArguments : public BlockArguments {
 public:
  WindowArguments(const Place& place, const Tensor& ids, const Tensor& sentence_starts, const Tensor& alias_table,
                  int64_t first_position, int64_t center_begin, int64_t center_end, int64_t window, int64_t negative,
                  int64_t sharing, int64_t seed, int64_t epoch, bool shrink_windows)
      : BlockArguments(place, words_of(alias_table), ids, sentence_starts, first_position, center_begin, center_end,
                       window, seed, epoch, shrink_windows),
        alias_table_(dense(place, alias_table, ScalarType::Int, "alias_table", "int32[V, 2]")) {
    require(negative >= 1 && negative <= 1000, "negative: expected 1 to 1000, got " + std::to_string(negative));
    require(sharing >= 0 && sharing <= 64, "sharing: expected 0 to 64, got " + std::to_string(sharing));
    draws.alias_table = reinterpret_cast<const uint32_t*>(alias_table_.const_data_ptr<int32_t>());
    draws.negative = static_cast<int>(negative);
    draws.sharing = static_cast<int>(sharing);
  }

 protected:
  [[noreturn]] void refuse_alias(uint32_t alias, int64_t row) const {
    throw std::runtime_error(
        "pyembed: alias_table: expected aliases 0 to V - 1 = " + std::to_string(draws.vocabulary - 1) + ", got " +
        std::to_string(alias) + " in row " + std::to_string(row));
  }

  Tensor alias_table_;
};

inline void check_tables(const Tensor& in_vectors, const Tensor& out_vectors, const WindowArguments& arguments) {
  const auto dtype = in_vectors.scalar_type();
  require(dtype == ScalarType::Float || dtype == ScalarType::Double || dtype == ScalarType::BFloat16,
          "in_vectors: expected float32, float64 or bfloat16; other types train with float32 tables");
  require(out_vectors.scalar_type() == dtype && arguments.place.holds(in_vectors) && arguments.place.holds(out_vectors),
          "out_vectors: expected the dtype and device of in_vectors");
  require(in_vectors.dim() == 2 && out_vectors.dim() == 2, "in_vectors, out_vectors: expected shape [V, D]");
  require(in_vectors.size(1) == out_vectors.size(1) && in_vectors.size(1) >= 1,
          "in_vectors, out_vectors: expected the same number of columns, got " + std::to_string(in_vectors.size(1)) +
              " and " + std::to_string(out_vectors.size(1)));
  const int64_t V = arguments.draws.vocabulary;
  require(in_vectors.size(0) == V && out_vectors.size(0) == V,
          "in_vectors, out_vectors: expected V = " + std::to_string(V) + " rows, as alias_table has, got " +
              std::to_string(in_vectors.size(0)) + " and " + std::to_string(out_vectors.size(0)));
}

// A loss is a number of the tables' type, and bfloat16 is too coarse for one.
inline void check_differentiable(const Tensor& in_vectors, const Tensor& out_vectors,
                                 const WindowArguments& arguments) {
  check_tables(in_vectors, out_vectors, arguments);
  require(
      in_vectors.scalar_type() != ScalarType::BFloat16,
      "in_vectors: expected float32 or float64 for a loss, got bfloat16; pass table.float(), which passes gradients");
}

// Rows must be dense; they may lie apart.
inline bool rows_are_dense(const Tensor& table) {
  const int64_t rows = table.size(0), columns = table.size(1);
  return (columns <= 1 || table.stride(1) == 1) && (rows <= 1 || table.stride(0) >= columns);
}

template <class Element>
Tables<Element> tables_of(const Tensor& in_vectors, const Tensor& out_vectors) {
  return {static_cast<Element*>(in_vectors.mutable_data_ptr()), static_cast<Element*>(out_vectors.mutable_data_ptr()),
          in_vectors.size(1), in_vectors.stride(0), out_vectors.stride(0)};
}

// Runs work on tables with dense rows, on copies that are written back where the given ones are not.
template <class Work>
auto with_dense_rows(Tensor in_vectors, Tensor out_vectors, const Work& work) {
  if (rows_are_dense(in_vectors) && rows_are_dense(out_vectors)) return work(in_vectors, out_vectors);
  Tensor in_copy = torch::stable::contiguous(in_vectors), out_copy = torch::stable::contiguous(out_vectors);
  auto result = work(in_copy, out_copy);
  torch::stable::copy_(in_vectors, in_copy);
  torch::stable::copy_(out_vectors, out_copy);
  return result;
}

}  // namespace pyembed
