// pyembed._text: Ingest, sampling, and what vector files need, for Python. The GIL is released wherever threads work or
// are waited for.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <system_error>

#include "ingest.h"
#include "phrases_module.h"
#include "sampling.h"
#include "subwords.h"
#include "vector_lines.h"
#include "vectors/module.h"

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

// (counts int64[n], first_positions int64[n], invalid int32[]) of the n types.
py::tuple types(const Ingest& ingest) {
  const Types& types = ingest.types();
  const auto array = [](const UnwrittenArray<uint64_t>& values) {
    return Array<int64_t>(static_cast<py::ssize_t>(values.size()), reinterpret_cast<const int64_t*>(values.data()));
  };
  return py::make_tuple(array(types.counts), array(types.first_positions),
                        Array<int32_t>(static_cast<py::ssize_t>(types.invalid.size()), types.invalid.data()));
}

// The types of these numbers as text, U+FFFD for what is not UTF-8.
py::list texts(const Ingest& ingest, const Array<int64_t>& numbers) {
  const Types& types = ingest.types();
  const auto n = static_cast<int64_t>(types.texts.size());
  py::list texts(static_cast<size_t>(numbers.size()));
  const auto place_of = [&](py::ssize_t i) {
    const int64_t type = numbers.data()[i];
    if (type < 0 || type >= n) throw py::index_error("expected numbers of types");
    return &types.texts[type];
  };
  constexpr py::ssize_t kAhead = 16;  // texts on their way from memory, and as many places of texts before them
  for (py::ssize_t i = 0; i < numbers.size(); ++i) {
    if (i + 2 * kAhead < numbers.size()) __builtin_prefetch(place_of(i + 2 * kAhead));
    if (i + kAhead < numbers.size()) __builtin_prefetch(place_of(i + kAhead)->bytes);
    const auto [bytes, size] = *place_of(i);
    PyObject* const text = PyUnicode_DecodeUTF8(bytes, static_cast<py::ssize_t>(size), "replace");
    if (text == nullptr) throw py::error_already_set();
    PyList_SET_ITEM(texts.ptr(), i, text);
  }
  return texts;
}

py::object fault(const Ingest& ingest) {
  const Fault& fault = ingest.fault();
  if (!fault.found) return py::none();
  return py::make_tuple(fault.source, fault.line, fault.byte, fault.value);
}

// Writes to `ids` and `starts` and returns how many ids and sentences there are.
py::tuple encode(Ingest& ingest, const Array<int32_t>& words, const Array<int64_t>& list_starts,
                 const Array<int32_t>& list_words, py::array_t<int32_t, py::array::c_style>& ids,
                 py::array_t<int64_t, py::array::c_style>& starts) {
  if (words.size() != static_cast<py::ssize_t>(ingest.types().counts.size())) {
    throw py::value_error("expected one entry of `words` for every type");
  }
  const WordMap map{words.data(), list_starts.data(), list_words.data()};
  const EncodedArrays arrays{ids.mutable_data(), ids.size(), starts.mutable_data(), starts.size()};
  EncodedSize size;
  {
    py::gil_scoped_release release;
    size = ingest.encode(map, arrays);
  }
  return py::make_tuple(size.tokens, size.sentences);
}

template <class T>
Array<T> sized(int64_t size) {
  return Array<T>(static_cast<py::ssize_t>(size));
}

// (kept ids int32[n], int64[m]: how many are kept before each of the m sentence starts)
py::tuple kept_tokens(const Array<int32_t>& ids, uint64_t first_position, const Array<int64_t>& sentence_starts,
                      const Array<uint32_t>& keep_threshold, uint64_t seed, uint32_t epoch) {
  const TokenRange range{ids.data(), ids.size(), first_position, sentence_starts.data(), sentence_starts.size()};
  for (int64_t i = 0; i < range.tokens; ++i) {
    if (static_cast<uint64_t>(range.ids[i]) >= static_cast<uint64_t>(keep_threshold.size())) {
      throw py::index_error("expected ids below the number of thresholds");
    }
  }
  Array<int32_t> kept = sized<int32_t>(range.tokens);
  Array<int64_t> kept_before = sized<int64_t>(range.sentences);
  int32_t* const kept_data = kept.mutable_data();
  int64_t* const before_data = kept_before.mutable_data();
  const uint32_t* const threshold = keep_threshold.data();
  int64_t count;
  {
    py::gil_scoped_release release;
    count = keep_tokens(range, threshold, seed, epoch, kept_data, before_data);
  }
  kept.resize({static_cast<py::ssize_t>(count)}, false);
  return py::make_tuple(kept, kept_before);
}

void fill_rows(py::array_t<float, py::array::c_style>& rows, uint64_t first_row, uint64_t seed) {
  if (rows.ndim() != 2) throw py::value_error("expected rows of elements");
  const int64_t dimensions = rows.shape(1);
  fill_uniform(first_row * static_cast<uint64_t>(dimensions), rows.size(), dimensions, seed, rows.mutable_data());
}

py::tuple columns(const Array<double>& scaled) {
  Array<double> probability = sized<double>(scaled.size());
  Array<int64_t> alias = sized<int64_t>(scaled.size());
  alias_columns(scaled.data(), scaled.size(), probability.mutable_data(), alias.mutable_data());
  return py::make_tuple(probability, alias);
}

// The words of lines without a fault, and how many are not UTF-8.
py::tuple words_of(const std::vector<VectorLine>& lines) {
  py::list words(lines.size());
  int64_t replaced = 0;
  for (size_t i = 0; i < lines.size(); ++i) {
    const char* const begin = lines[i].begin;
    const py::ssize_t size = lines[i].word_end - begin;
    PyObject* word = PyUnicode_DecodeUTF8(begin, size, "strict");
    if (word == nullptr) {
      PyErr_Clear();
      ++replaced;
      word = PyUnicode_DecodeUTF8(begin, size, "replace");
      if (word == nullptr) throw py::error_already_set();
    }
    PyList_SET_ITEM(words.ptr(), i, word);
  }
  return py::make_tuple(words, replaced);
}

// See pyembed/vectors/formats/vector_lines.py for the interface.
py::tuple vector_lines(const py::bytes& block, int64_t dimensions, char separator, bool has_word, bool any_bytes,
                       size_t threads) {
  if (dimensions < 1 || threads < 1) throw py::value_error("expected at least one dimension and one thread");
  const std::string_view text = block;
  const LineFormat format{dimensions, separator, has_word, any_bytes};
  FoundLines found;
  {
    py::gil_scoped_release release;
    found = find_lines(text.data(), text.size(), format);
  }
  const auto rows = static_cast<py::ssize_t>(found.lines.size());
  py::array_t<float> vectors(std::vector<py::ssize_t>{rows, static_cast<py::ssize_t>(dimensions)});
  float* const data = vectors.mutable_data();
  int64_t faults;
  VectorLine fault;
  {
    py::gil_scoped_release release;
    read_lines(found.lines, format, threads, data);
    faults = drop_faults(&found, format, data, &fault);
  }
  const auto kept = static_cast<py::ssize_t>(found.lines.size());
  if (kept < rows) vectors.resize({kept, static_cast<py::ssize_t>(dimensions)}, false);
  py::object first_fault = py::none();
  if (faults > 0) {
    const char* const at = fault.fault == LineFault::kNumber ? fault.number_at : fault.begin;
    const auto length = std::min<size_t>(static_cast<size_t>(fault.end - at), 100);
    first_fault = py::make_tuple(fault.number, static_cast<int64_t>(fault.fault), fault.place, py::bytes(at, length));
  }
  return has_word ? words_of(found.lines) + py::make_tuple(vectors, found.total, faults, first_fault)
                  : py::make_tuple(py::list(), 0, vectors, found.total, faults, first_fault);
}

// (starts int64[V + 1], rows int32[n]): the rows of each word's n-grams, see subwords.h.
py::tuple ngram_rows(const py::bytes& text, const Array<int64_t>& ends, int32_t minn, int32_t maxn, uint32_t buckets) {
  const std::string_view bytes = text;
  int64_t end = 0;
  for (py::ssize_t i = 0; i < ends.size(); ++i) {
    if (ends.data()[i] < end) throw py::value_error("expected ascending ends of words");
    end = ends.data()[i];
  }
  if (end > static_cast<int64_t>(bytes.size()) || buckets == 0) throw py::value_error("expected words and buckets");
  Array<int64_t> starts = sized<int64_t>(ends.size() + 1);
  std::vector<int32_t> rows;
  {
    py::gil_scoped_release release;
    find_ngram_rows(bytes.data(), ends.data(), ends.size(), {minn, maxn, buckets}, starts.mutable_data(), &rows);
  }
  return py::make_tuple(starts, Array<int32_t>(static_cast<py::ssize_t>(rows.size()), rows.data()));
}

}  // namespace

PYBIND11_MODULE(_text, m) {
  m.doc() = "Counting, encoding and sampling text; see pyembed/corpus/engine.py and sampling.py for the interface.";
  m.def("keep_tokens", &kept_tokens);
  m.def("fill_uniform", &fill_rows, py::arg().noconvert(), py::arg(), py::arg());
  m.def("alias_columns", &columns);
  m.def("vector_lines", &vector_lines);
  m.def("ngram_rows", &ngram_rows);
  add_phrases(m);
  add_vector_search(m);
  py::register_exception_translator([](std::exception_ptr error) {
    try {
      if (error) std::rethrow_exception(error);
    } catch (const ReadError& failure) {
      errno = failure.code().value();
      PyErr_SetFromErrnoWithFilename(PyExc_OSError, failure.name.c_str());
    } catch (const std::system_error& failure) {
      errno = failure.code().value();
      PyErr_SetFromErrno(PyExc_OSError);
    }
  });
  py::class_<Ingest>(m, "Ingest")
      .def(py::init<int, size_t, int, bool, bool>(), py::arg("scratch"), py::kw_only(), py::arg("memory"),
           py::arg("threads"), py::arg("records"), py::arg("strict"))
      .def("feed", &feed)
      .def("feed_file", &Ingest::feed_file, py::call_guard<py::gil_scoped_release>())
      .def("end_of_file", &Ingest::end_of_file, py::call_guard<py::gil_scoped_release>())
      .def("finish", &Ingest::finish, py::call_guard<py::gil_scoped_release>())
      .def("close", &Ingest::close, py::call_guard<py::gil_scoped_release>())
      .def("fault", &fault)
      .def("types", &types)
      .def("texts", &texts)
      .def("sentence_ends", &Ingest::sentence_ends)
      .def("encode", &encode, py::arg(), py::arg(), py::arg(), py::arg().noconvert(), py::arg().noconvert());
}

}  // namespace pyembed
