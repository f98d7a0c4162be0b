// Rows of an embedding on the CPU: looking them up, and the optimisers' steps on the rows that were looked up.
#include <algorithm>
#include <atomic>

#include "binding/cpu_windows.h"
#include "binding/pool.h"
#include "binding/row_ids.h"
#include "binding/row_ops.h"
#include "binding/workspace.h"
#include "kernels/cpu_kernels.h"

namespace pyembed {
namespace {

constexpr int64_t kBlock = 1024;              // rows that a thread takes at a time
constexpr int64_t kAlone = int64_t{1} << 17;  // bytes of rows that are not worth a second thread

int64_t blocks_of(int64_t count) { return (count + kBlock - 1) / kBlock; }

int64_t threads_for(const Tensor& weight, int64_t entries) {
  const int64_t bytes = entries * weight.size(1) * static_cast<int64_t>(weight.element_size());
  return bytes < kAlone ? 1 : static_cast<int64_t>(torch::stable::get_num_threads());
}

Tensor lookup(Tensor weight, Tensor ids) {
  check_weight(weight);
  check_ids(on_cpu(), ids);
  const Tensor table = rows_are_dense(weight) ? weight : torch::stable::contiguous(weight);
  const Tensor given = torch::stable::contiguous(ids);
  Tensor rows = torch::stable::new_empty(weight, looked_up_sizes(weight, ids));
  const int64_t count = given.numel(), bytes = static_cast<int64_t>(weight.element_size());
  const TableRows source{table.const_data_ptr(), table.stride(0) * bytes, table.size(1) * bytes};
  const auto run = [&](auto id) {
    using Id = decltype(id);
    const Id* const wanted = given.const_data_ptr<Id>();
    std::atomic<bool> good{true};
    share(threads_for(weight, count), blocks_of(count), [&](int64_t block, int64_t) {
      const int64_t begin = block * kBlock, end = std::min(count, begin + kBlock);
      if (!lookup_rows(source, table.size(0), wanted, begin, end, rows.mutable_data_ptr())) good = false;
    });
    if (!good) refuse_first_bad(wanted, given, table.size(0), "ids");
  };
  ids.scalar_type() == ScalarType::Int ? run(int32_t{}) : run(int64_t{});
  return rows;
}

const RowKernels<float>& row_kernels(float) { return best_cpu_kernels().by_id.rows; }
const RowKernels<double>& row_kernels(double) { return best_cpu_kernels().by_id.double_rows; }
const RowKernels<Float16>& row_kernels(Float16) { return best_cpu_kernels().by_id.float16_rows; }
const RowKernels<BFloat16>& row_kernels(BFloat16) { return best_cpu_kernels().by_id.bfloat16_rows; }

// Steps the rows that ids [count] name. Memory: 40 bytes an entry, and rows of 1 / 512 of them.
template <class Element>
void step_rows(RowBatch<Element>& batch, const int32_t* ids, int64_t count, int64_t threads) {
  using Real = Arithmetic<Element>;
  const RowKernels<Element>& kernels = row_kernels(Element{});
  int part_bits = 0;
  while (part_bits < kMostPartBits && (1 << part_bits) < threads) ++part_bits;
  const int parts = 1 << part_bits;
  const int64_t scratch_bytes = (row_scratch_bytes<Element>(batch.table.dimensions) + 63) / 64 * 64;

  static thread_local Workspace workspace;
  GroupMemory memory;
  char* scratch;
  workspace.reserve([&](Workspace& room) {
    memory = {room.room<int32_t>(count + parts),      room.room<int32_t>(count),
              room.room<int32_t>(4 * count),          room.room<int32_t>(count),
              room.room<int32_t>(count + parts),      room.room<int32_t>(count),
              room.room<RowPiece>(most_pieces(count))};
    batch.partial = room.room<Real>(most_pieces(count) * batch.table.dimensions);
    scratch = room.room<char>(threads * scratch_bytes);
  });

  RowGroups groups[1 << kMostPartBits];
  share(threads, parts, [&](int64_t part, int64_t) {
    groups[part] = group_rows(ids, count, static_cast<int>(part), part_bits, memory);
  });
  for (int part = 0; part < parts; ++part) {
    const int64_t first = groups[part].pieces_begin;
    share(threads, groups[part].pieces_end - first,
          [&](int64_t piece, int64_t) { kernels.sum_piece(batch, groups[part], first + piece); });
  }
  int64_t first_block[(1 << kMostPartBits) + 1] = {};
  for (int part = 0; part < parts; ++part) first_block[part + 1] = first_block[part] + blocks_of(groups[part].count);
  share(threads, first_block[parts], [&](int64_t block, int64_t thread) {
    int part = 0;
    while (first_block[part + 1] <= block) ++part;
    const int64_t begin = (block - first_block[part]) * kBlock;
    kernels.step(batch, groups[part], begin, std::min(groups[part].count, begin + kBlock),
                 scratch + thread * scratch_bytes);
  });
}

struct OnCpu {
  static Place place_of(const Tensor&) { return on_cpu(); }

  static void update(const RowState& state, const RowGradients& given, const RowStep& step) {
    const Tensor& weight = state.weight;
    const RowIds ids(given.ids, weight, "ids");
    const Tensor grad = rows_of_gradient(given.grad, weight);
    std::optional<RowIds> bags;
    if (given.bags) bags.emplace(*given.bags, grad, "bags");
    std::optional<Tensor> factors, frozen;
    if (given.factors) factors = torch::stable::contiguous(*given.factors);
    if (given.frozen) frozen = torch::stable::contiguous(*given.frozen);
    for_element_of(weight, [&](auto element) {
      using Element = decltype(element);
      using Real = Arithmetic<Element>;
      const EntryGradients<Element> entries{static_cast<const Element*>(grad.const_data_ptr()),
                                            bags ? bags->values : nullptr,
                                            factors ? factors->const_data_ptr<Real>() : nullptr};
      RowBatch<Element> batch{state.rows<Element>(), entries, frozen ? frozen->const_data_ptr<bool>() : nullptr,
                              coefficients<Real>(step), nullptr};
      step_rows(batch, ids.values, given.ids.numel(), threads_for(weight, given.ids.numel()));
    });
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(pyembed, CPU, library) {
  library.impl("lookup", TORCH_BOX(&lookup));
  PE_REGISTER_ROW_OPS(library, OnCpu);
}

}  // namespace pyembed
