// Ids of rows on the device: checked there, made int32, sorted; and memory for sums of what belongs to the same row.
#pragma once

#include <array>
#include <optional>
#include <utility>

#include "binding/cuda/checks.h"
#include "kernels/cuda/row_launches.h"

namespace pyembed {

// Ids, and the table that they point into.
struct GivenIds {
  const Tensor& ids;  // int32 or int64, contiguous
  int64_t rows;       // of the table
  const char* name;
  const bool* left_out = nullptr;  // [rows], of ids that become -1
};

// Raises the error of the first bad id, where the device counted any. bad: int32[n].
template <size_t n>
void require_good_ids(const std::array<GivenIds, n>& given, const Tensor& bad) {
  const Tensor counts = on_host(bad);
  for (size_t i = 0; i < n; ++i) {
    if (counts.const_data_ptr<int32_t>()[i] == 0) continue;
    const auto& [ids, rows, name, left_out] = given[i];
    const Tensor seen = on_host(ids);
    if (ids.scalar_type() == ScalarType::Int) refuse_first_bad(seen.const_data_ptr<int32_t>(), ids, rows, name);
    refuse_first_bad(seen.const_data_ptr<int64_t>(), ids, rows, name);
  }
}

// All given ids as int32; none among them points beyond its table. Waits for the device once.
template <size_t n>
std::array<Tensor, n> checked_ids(const std::array<GivenIds, n>& given, void* stream) {
  std::array<Tensor, n> narrow;
  Tensor bad = torch::stable::new_zeros(given[0].ids, {static_cast<int64_t>(n)}, ScalarType::Int);
  for (size_t i = 0; i < n; ++i) {
    const auto& [ids, rows, name, left_out] = given[i];
    narrow[i] = torch::stable::new_empty(ids, {ids.numel()}, ScalarType::Int);
    const auto check = [&, &ids = ids, &rows = rows, &left_out = left_out](auto id) {
      using Id = decltype(id);
      require_success(launch_narrow_ids(ids.template const_data_ptr<Id>(), ids.numel(), rows, left_out,
                                        narrow[i].template mutable_data_ptr<int32_t>(),
                                        bad.template mutable_data_ptr<int32_t>() + i, stream));
    };
    ids.scalar_type() == ScalarType::Int ? check(int32_t{}) : check(int64_t{});
  }
  require_good_ids(given, bad);
  return narrow;
}

// Ids in ascending order; equal ones stay in theirs.
class SortedIds {
 public:
  // ids: int32[n].
  explicit SortedIds(const Tensor& ids) {
    const auto from = [](const auto& value) { return torch::stable::detail::from(value); };
    std::array<StableIValue, 4> stack{from(ids), from(std::optional<bool>(true)), from(int64_t{-1}), from(false)};
    TORCH_ERROR_CODE_CHECK(torch_call_dispatcher("aten::sort", "stable", stack.data(), TORCH_ABI_VERSION));
    ids_ = torch::stable::detail::to<Tensor>(stack[0]);
    order_ = torch::stable::detail::to<Tensor>(stack[1]);
  }

  SortedRows rows() const { return {ids_.const_data_ptr<int32_t>(), order_.const_data_ptr<int64_t>(), ids_.numel()}; }

 private:
  Tensor ids_, order_;
};

// Memory for sums of that many entries of D columns of the given type.
class SegmentMemory {
 public:
  SegmentMemory(const Tensor& near, int64_t entries, int64_t dimensions, ScalarType dtype)
      : stride_(padded_columns(dimensions)),
        ids_(torch::stable::new_empty(near, {segment_slots(entries)}, ScalarType::Int)),
        rows_(torch::stable::new_empty(near, {segment_slots(entries), stride_}, dtype)) {}

  template <class Real>
  SegmentScratch<Real> scratch() {
    return {ids_.mutable_data_ptr<int32_t>(), rows_.mutable_data_ptr<Real>(), stride_};
  }

 private:
  int64_t stride_;
  Tensor ids_, rows_;
};

}  // namespace pyembed
