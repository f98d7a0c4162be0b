// Searches for Python; see pyembed/vectors/nearest.py for the interface. The GIL is released while they work.
#include "vectors/module.h"

#include <pybind11/numpy.h>

#include "vectors/search.h"

namespace py = pybind11;

namespace pyembed {
namespace {

template <class T>
using Array = py::array_t<T, py::array::c_style>;

VectorTable table_of(const py::array& rows) {
  const bool is_float = py::isinstance<py::array_t<float>>(rows);
  if (!(is_float || py::isinstance<py::array_t<int8_t>>(rows)) || rows.ndim() != 2) {
    throw py::value_error("expected rows of float32 or int8");
  }
  const auto size = static_cast<py::ssize_t>(rows.itemsize());
  if (rows.size() > 0 && ((rows.shape(1) > 1 && rows.strides(1) != size) || rows.strides(0) % size != 0)) {
    throw py::value_error("expected rows whose values lie side by side");
  }
  VectorTable table{};
  if (is_float) {
    table.floats = static_cast<const float*>(rows.data());
  } else {
    table.bytes = static_cast<const int8_t*>(rows.data());
  }
  table.stride = rows.strides(0) / size;
  table.count = rows.shape(0);
  table.dimensions = rows.shape(1);
  return table;
}

VectorQueries queries_of(const VectorTable& table, const Array<float>& positive, const Array<float>& negative,
                         bool products) {
  if (positive.ndim() != 3 || negative.ndim() != 3 || positive.shape(0) < 1 || positive.shape(1) != negative.shape(1) ||
      positive.shape(2) != table.dimensions || negative.shape(2) != table.dimensions) {
    throw py::value_error("expected queries of shape [terms, Q, D]");
  }
  return {positive.data(), negative.data(), positive.shape(0), negative.shape(0), positive.shape(1), products};
}

ExcludedRows excluded_of(const VectorQueries& queries, const Array<int64_t>& starts, const Array<int64_t>& rows) {
  if (starts.size() != queries.count + 1) throw py::value_error("expected where each query's excluded rows start");
  for (py::ssize_t i = 0; i <= queries.count; ++i) {
    const int64_t before = i == 0 ? 0 : starts.data()[i - 1];
    if (starts.data()[i] < before || starts.data()[i] > rows.size()) throw py::value_error("expected ascending starts");
  }
  return {starts.data(), rows.data()};
}

Array<float> scores_of_all(const py::array& rows, const Array<float>& positive, const Array<float>& negative,
                           bool products, size_t threads) {
  const VectorTable table = table_of(rows);
  const VectorQueries queries = queries_of(table, positive, negative, products);
  Array<float> scores({queries.count, table.count});
  float* const to = scores.mutable_data();
  {
    py::gil_scoped_release release;
    score_all(table, queries, threads, to);
  }
  return scores;
}

py::tuple nearest_rows(const py::array& rows, const Array<float>& positive, const Array<float>& negative, bool products,
                       const Array<int64_t>& starts, const Array<int64_t>& barred, int64_t k, size_t threads) {
  const VectorTable table = table_of(rows);
  const VectorQueries queries = queries_of(table, positive, negative, products);
  const ExcludedRows excluded = excluded_of(queries, starts, barred);
  if (k < 1) throw py::value_error("expected at least one row to be wanted");
  Array<int64_t> found({queries.count, k});
  Array<float> scores({queries.count, k});
  int64_t* const to_found = found.mutable_data();
  float* const to_scores = scores.mutable_data();
  {
    py::gil_scoped_release release;
    find_nearest(table, queries, excluded, k, threads, to_found, to_scores);
  }
  return py::make_tuple(found, scores);
}

Array<bool> unbeaten_queries(const py::array& rows, const Array<float>& positive, const Array<float>& negative,
                             bool products, const Array<int64_t>& starts, const Array<int64_t>& barred,
                             const Array<float>& bars, size_t threads) {
  const VectorTable table = table_of(rows);
  const VectorQueries queries = queries_of(table, positive, negative, products);
  const ExcludedRows excluded = excluded_of(queries, starts, barred);
  if (bars.size() != queries.count) throw py::value_error("expected a bar for each query");
  Array<bool> stands(queries.count);
  auto* const to = reinterpret_cast<uint8_t*>(stands.mutable_data());
  {
    py::gil_scoped_release release;
    find_unbeaten(table, queries, excluded, bars.data(), threads, to);
  }
  return stands;
}

}  // namespace

void add_vector_search(py::module_& m) {
  m.def("vector_scores", &scores_of_all);
  m.def("nearest_rows", &nearest_rows);
  m.def("unbeaten_queries", &unbeaten_queries);
}

}  // namespace pyembed
