// Ids of rows of a table on the CPU.
#pragma once

#include <algorithm>
#include <vector>

#include "binding/checks.h"

namespace pyembed {

// Ids as int32, each checked against the number of rows of its table: copied only where they are int64 or apart.
class RowIds {
 public:
  RowIds(const Tensor& given, const Tensor& table, const char* name)
      : ids_(torch::stable::contiguous(given)), name_(name), rows_(table.size(0)) {
    const int64_t count = ids_.numel();
    if (ids_.scalar_type() == ScalarType::Int) {
      values = ids_.const_data_ptr<int32_t>();
      uint32_t largest = 0;  // as unsigned, a negative id is a large one
      for (int64_t i = 0; i < count; ++i) largest = std::max(largest, static_cast<uint32_t>(values[i]));
      if (count > 0 && largest >= rows_) refuse_first_bad(values, ids_, rows_, name_);
      return;
    }
    narrow_.resize(static_cast<size_t>(count));
    const int64_t* const wide = ids_.const_data_ptr<int64_t>();
    uint64_t high = 0;  // bits that int32 has no room for
    int32_t largest = 0;
    for (int64_t i = 0; i < count; ++i) {
      high |= static_cast<uint64_t>(wide[i]) >> 31;
      narrow_[static_cast<size_t>(i)] = static_cast<int32_t>(wide[i]);
      largest = std::max(largest, narrow_[static_cast<size_t>(i)]);
    }
    if (count > 0 && (high != 0 || largest >= rows_)) refuse_first_bad(wide, ids_, rows_, name_);
    values = narrow_.data();
  }

  const int32_t* values;

 private:
  Tensor ids_;
  const char* name_;
  int64_t rows_;
  std::vector<int32_t> narrow_;
};

}  // namespace pyembed
