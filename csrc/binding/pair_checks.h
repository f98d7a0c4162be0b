// What every binding of explicit pairs checks before it looks at an id: tables, shapes, whether the tables are one.
#pragma once

#include <limits>

#include "binding/checks.h"

namespace pyembed {

inline void check_pair_tables(const Place& place, const Tensor& in_vectors, const Tensor& out_vectors) {
  const auto dtype = in_vectors.scalar_type();
  require(dtype == ScalarType::Float || dtype == ScalarType::Double, "in_vectors: expected float32 or float64");
  require(out_vectors.scalar_type() == dtype && place.holds(in_vectors) && place.holds(out_vectors),
          "out_vectors: expected the dtype and device of in_vectors");
  require(in_vectors.dim() == 2 && out_vectors.dim() == 2, "in_vectors, out_vectors: expected shape [V, D]");
  require(in_vectors.size(1) == out_vectors.size(1) && in_vectors.size(1) >= 1,
          "in_vectors, out_vectors: expected the same number of columns, at least one, got " +
              std::to_string(in_vectors.size(1)) + " and " + std::to_string(out_vectors.size(1)));
  constexpr int64_t most = std::numeric_limits<int32_t>::max();
  require(in_vectors.size(0) <= most && out_vectors.size(0) <= most,
          "in_vectors, out_vectors: expected less than 2^31 rows");
}

inline void check_pair_ids(const Place& place, const Tensor& in_ids, const Tensor& out_ids) {
  const auto dtype = in_ids.scalar_type();
  require(place.holds(in_ids) && in_ids.dim() == 1 && (dtype == ScalarType::Int || dtype == ScalarType::Long),
          std::string("in_ids: expected int32[B] or int64[B] ") + place.words);
  require(place.holds(out_ids) && out_ids.dim() == 2 && out_ids.scalar_type() == dtype,
          "out_ids: expected shape [B, N], the dtype and device of in_ids");
  require(out_ids.size(0) == in_ids.size(0) && out_ids.size(1) >= 1,
          "out_ids: expected shape [B, N] with B = " + std::to_string(in_ids.size(0)) + " and N >= 1, got [" +
              std::to_string(out_ids.size(0)) + ", " + std::to_string(out_ids.size(1)) + "]");
  require(out_ids.size(1) <= 1001, "out_ids: expected N <= 1001, got " + std::to_string(out_ids.size(1)));
  require(out_ids.numel() <= std::numeric_limits<int32_t>::max(), "out_ids: expected less than 2^31 elements");
}

inline void check_pairs(const Place& place, const Tensor& in_vectors, const Tensor& out_vectors, const Tensor& in_ids,
                        const Tensor& out_ids) {
  check_pair_tables(place, in_vectors, out_vectors);
  check_pair_ids(place, in_ids, out_ids);
}

// Whether a row of one table has an element in common with a row of the other.
inline bool share_memory(const Tensor& a, const Tensor& b) {
  if (a.numel() == 0 || b.numel() == 0) return false;
  const auto address = [](const Tensor& table) { return reinterpret_cast<intptr_t>(table.const_data_ptr()); };
  const auto past_last = [&](const Tensor& table) {
    int64_t last = 0;
    for (int64_t dim = 0; dim < 2; ++dim) last += (table.size(dim) - 1) * table.stride(dim);
    return address(table) + (last + 1) * static_cast<int64_t>(table.element_size());
  };
  if (address(a) >= past_last(b) || address(b) >= past_last(a)) return false;
  // Side by side in wider rows, tables lie within each other's range and yet apart.
  const int64_t width = a.size(1) * static_cast<int64_t>(a.element_size());
  const int64_t pitch = a.stride(0) * static_cast<int64_t>(a.element_size());
  const bool aligned = rows_are_dense(a) && rows_are_dense(b) && a.stride(0) == b.stride(0);
  if (!aligned || a.stride(0) < a.size(1)) return true;  // a table of one row may have any stride
  const int64_t offset = ((address(b) - address(a)) % pitch + pitch) % pitch;
  return offset < width || offset > pitch - width;
}

// Whether the tables of a step share memory, which only an exact one allows.
inline bool check_aliases(const Tensor& in_vectors, const Tensor& out_vectors, bool exact) {
  const bool aliased = share_memory(in_vectors, out_vectors);
  require(!aliased || exact, "in_vectors, out_vectors: expected two tables, got one; pass exact=True");
  require(!aliased || (rows_are_dense(in_vectors) && rows_are_dense(out_vectors)),
          "in_vectors, out_vectors: expected dense rows of tables that share memory; pass table.contiguous()");
  return aliased;
}

}  // namespace pyembed
