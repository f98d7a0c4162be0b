// Phrases for Python: see pyembed/corpus/phrase_engine.py for the interface.
#include "phrases_module.h"

#include <pybind11/numpy.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "phrase_merge.h"
#include "phrases.h"

namespace py = pybind11;

namespace pyembed {
namespace {

template <class T>
using Array = py::array_t<T, py::array::c_style | py::array::forcecast>;

template <class T>
Array<T> array_of(const std::vector<T>& values) {
  return Array<T>(static_cast<py::ssize_t>(values.size()), values.data());
}

// The stream, checked; ids are numbers below `id_count`.
WordStream stream_of(const Array<int32_t>& ids, const Array<int64_t>& starts, const int32_t* words, int64_t id_count) {
  const int64_t* const begin = starts.data();
  const bool ascends = starts.size() > 0 && begin[0] == 0 && begin[starts.size() - 1] == ids.size() &&
                       std::is_sorted(begin, begin + starts.size());
  if (!ascends) throw py::value_error("expected sentence starts from 0 to the number of ids");
  const auto is_foreign = [=](int32_t id) { return id < 0 || id >= id_count; };
  if (std::any_of(ids.data(), ids.data() + ids.size(), is_foreign)) {
    throw py::index_error("expected ids below the number of words");
  }
  return {ids.data(), begin, starts.size() - 1, words};
}

int64_t count(PhraseCounts& counts, const Array<int32_t>& ids, const Array<int64_t>& starts,
              const Array<int32_t>& words, const Array<int64_t>& word_counts, int threads, uint64_t bound) {
  const WordStream stream = stream_of(ids, starts, words.data(), words.size());
  const int64_t *const others = word_counts.data(), size = word_counts.size();
  py::gil_scoped_release release;
  return counts.count(stream, others, size, threads, bound);
}

void set_counts(PhraseCounts& counts, const Array<int32_t>& first, const Array<int32_t>& last,
                const Array<int32_t>& run, const Array<int64_t>& numbers) {
  if (last.size() != first.size() || run.size() != first.size() || numbers.size() != first.size()) {
    throw py::value_error("expected arrays of one length");
  }
  for (py::ssize_t i = 0; i < first.size(); ++i) {
    if (first.data()[i] < 0) throw py::index_error("expected numbers of words");
    counts.set({first.data()[i], last.data()[i], run.data()[i]}, numbers.data()[i]);
  }
}

py::tuple candidates(const PhraseCounts& counts, int64_t at_least) {
  CandidateCounts found;
  {
    py::gil_scoped_release release;
    found = counts.candidates(at_least);
  }
  return py::make_tuple(array_of(found.first), array_of(found.last), array_of(found.run), array_of(found.counts));
}

PhraseMerger make_merger(const Array<uint8_t>& is_connector, const Array<int32_t>& first, const Array<int32_t>& last,
                         const Array<int64_t>& run_starts, const Array<int32_t>& run_words,
                         const Array<int32_t>& joined) {
  const bool fits = last.size() == first.size() && joined.size() == first.size() &&
                    run_starts.size() == first.size() + 1 && run_starts.data()[first.size()] == run_words.size() &&
                    run_starts.data()[0] == 0 &&
                    std::is_sorted(run_starts.data(), run_starts.data() + run_starts.size());
  if (!fits) throw py::value_error("expected arrays of one length");
  return PhraseMerger(std::vector<uint8_t>(is_connector.data(), is_connector.data() + is_connector.size()),
                      {first.data(), last.data(), run_starts.data(), run_words.data(), joined.data(), first.size()});
}

py::tuple count_joined(const PhraseMerger& merger, const Array<int32_t>& ids, const Array<int64_t>& starts,
                       int threads) {
  const WordStream stream = stream_of(ids, starts, nullptr, merger.ids());
  JoinedCounts found;
  {
    py::gil_scoped_release release;
    found = merger.count(stream, threads);
  }
  return py::make_tuple(array_of(found.counts), array_of(found.first_positions));
}

py::tuple encode_joined(const PhraseMerger& merger, const Array<int32_t>& ids, const Array<int64_t>& starts,
                        const Array<int32_t>& words, int threads, py::array_t<int32_t, py::array::c_style>& out_ids,
                        py::array_t<int64_t, py::array::c_style>& out_starts) {
  const WordStream stream = stream_of(ids, starts, nullptr, merger.ids());
  if (words.size() < merger.joined_ids()) throw py::value_error("expected a word for every id");
  int32_t* const id_data = out_ids.mutable_data();
  int64_t* const start_data = out_starts.mutable_data();
  const int64_t id_size = out_ids.size(), start_size = out_starts.size();
  const int32_t* const word_data = words.data();
  JoinedSize size;
  {
    py::gil_scoped_release release;
    size = merger.encode(stream, word_data, threads, id_data, id_size, start_data, start_size);
  }
  return py::make_tuple(size.tokens, size.sentences);
}

// Sentences as lines of text; `text` holds all words one after another, each up to its end.
py::bytes lines(const Array<int32_t>& ids, const Array<int64_t>& starts, const py::bytes& text,
                const Array<int64_t>& ends) {
  const WordStream stream = stream_of(ids, starts, nullptr, ends.size());
  const std::string_view words = text;
  const int64_t* const end = ends.data();
  if (!std::is_sorted(end, end + ends.size()) || (ends.size() > 0 && end[0] < 0) ||
      (ends.size() > 0 && end[ends.size() - 1] > static_cast<int64_t>(words.size()))) {
    throw py::value_error("expected ascending ends of words");
  }
  std::string lines;
  {
    py::gil_scoped_release release;
    for (int64_t s = 0; s < stream.sentences; ++s) {
      for (int64_t i = stream.starts[s]; i < stream.starts[s + 1]; ++i) {
        const int32_t id = stream.ids[i];
        const int64_t begin = id > 0 ? end[id - 1] : 0;
        lines.append(words.data() + begin, static_cast<size_t>(end[id] - begin));
        lines.push_back(i + 1 < stream.starts[s + 1] ? ' ' : '\n');
      }
    }
  }
  return py::bytes(lines);
}

}  // namespace

void add_phrases(py::module_& m) {
  py::class_<PhraseCounts>(m, "PhraseCounts")
      .def(py::init<>())
      .def("count", &count)
      .def("set_counts", &set_counts)
      .def("add_run", &PhraseCounts::add_run)
      .def("size", &PhraseCounts::size)
      .def("count_of", [](const PhraseCounts& counts, int32_t first, int32_t last,
                          int32_t run) { return counts.count_of({first, last, run}); })
      .def("candidates", &candidates)
      .def("find_run",
           [](const PhraseCounts& counts, int32_t run, int32_t word) { return counts.runs().find(run, word); })
      .def("runs", [](const PhraseCounts& counts) {
        return py::make_tuple(array_of(counts.runs().parents()), array_of(counts.runs().words()));
      });
  py::class_<PhraseMerger>(m, "PhraseMerger")
      .def(py::init(&make_merger))
      .def("count", &count_joined)
      .def("encode", &encode_joined);
  m.def("lines", &lines);
}

}  // namespace pyembed
