// pyembed._text: Ingest for Python. The GIL is released wherever the threads work or are waited for.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cerrno>
#include <system_error>

#include "ingest.h"

namespace py = pybind11;

namespace pyembed {
namespace {

template <class T>
using Array = py::array_t<T, py::array::c_style | py::array::forcecast>;

bool feed(Ingest& ingest, const py::buffer& block) {
  const py::buffer_info view = block.request();
  if (view.ndim != 1 || view.itemsize != 1) throw py::type_error("expected a block of bytes");
  py::gil_scoped_release release;
  return ingest.feed(static_cast<const char*>(view.ptr), static_cast<size_t>(view.size));
}

// (counts int64[n], first_positions int64[n], ends int64[n], text bytes, invalid int32[]) of the n types.
py::tuple types(const Ingest& ingest) {
  const Types& types = ingest.types();
  const auto array = [](const std::vector<uint64_t>& values) {
    return Array<int64_t>(static_cast<py::ssize_t>(values.size()), reinterpret_cast<const int64_t*>(values.data()));
  };
  return py::make_tuple(array(types.counts), array(types.first_positions), array(types.ends),
                        py::bytes(types.text.data(), types.text.size()),
                        Array<int32_t>(static_cast<py::ssize_t>(types.invalid.size()), types.invalid.data()));
}

py::object fault(const Ingest& ingest) {
  const Fault& fault = ingest.fault();
  if (!fault.found) return py::none();
  return py::make_tuple(fault.source, fault.line, fault.byte, fault.value);
}

py::tuple encode(const Ingest& ingest, const Array<int32_t>& words, const Array<int64_t>& list_starts,
                 const Array<int32_t>& list_words, int descriptor, int64_t ids_offset, int64_t starts_offset) {
  if (words.size() != static_cast<py::ssize_t>(ingest.types().counts.size())) {
    throw py::value_error("expected one entry of `words` for every type");
  }
  const WordMap map{words.data(), list_starts.data(), list_words.data()};
  EncodedSize size;
  {
    py::gil_scoped_release release;
    size = ingest.encode(map, {descriptor, ids_offset, starts_offset});
  }
  return py::make_tuple(size.tokens, size.sentences);
}

}  // namespace

PYBIND11_MODULE(_text, m) {
  m.doc() = "Counting and encoding text on several threads; see pyembed/corpus/engine.py for the interface.";
  py::register_exception_translator([](std::exception_ptr error) {
    try {
      if (error) std::rethrow_exception(error);
    } catch (const std::system_error& failure) {
      errno = failure.code().value();
      PyErr_SetFromErrno(PyExc_OSError);
    }
  });
  py::class_<Ingest>(m, "Ingest")
      .def(py::init<int, int, bool, bool>(), py::arg("scratch"), py::kw_only(), py::arg("threads"), py::arg("records"),
           py::arg("strict"))
      .def("feed", &feed)
      .def("end_of_file", &Ingest::end_of_file, py::call_guard<py::gil_scoped_release>())
      .def("finish", &Ingest::finish, py::call_guard<py::gil_scoped_release>())
      .def("close", &Ingest::close, py::call_guard<py::gil_scoped_release>())
      .def("fault", &fault)
      .def("types", &types)
      .def("encode", &encode);
}

}  // namespace pyembed
