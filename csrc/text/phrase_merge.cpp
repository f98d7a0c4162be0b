// Joining phrases: every thread has a range of sentences of about the same number of tokens.
#include "phrase_merge.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "parallel.h"

namespace pyembed {
namespace {

// bounds[i] .. bounds[i + 1) are the sentences of thread i.
std::vector<int64_t> ranges(const WordStream& stream, int64_t threads) {
  const auto n = static_cast<size_t>(std::max<int64_t>(1, std::min(threads, stream.sentences)));
  std::vector<int64_t> bounds(n + 1, stream.sentences);
  const int64_t tokens = stream.starts[stream.sentences];
  for (size_t i = 0; i < n; ++i) {
    const auto token = static_cast<int64_t>(static_cast<double>(tokens) / static_cast<double>(n) * i);
    bounds[i] = std::lower_bound(stream.starts, stream.starts + stream.sentences, token) - stream.starts;
  }
  return bounds;
}

}  // namespace

PhraseMerger::PhraseMerger(std::vector<uint8_t> is_connector, const PhraseList& phrases)
    : kinds_(std::move(is_connector)), joined_ids_(ids()) {
  for (uint8_t& kind : kinds_) kind = kind ? kConnector : kWord;
  for (int64_t p = 0; p < phrases.n; ++p) {
    int32_t run = 0;
    for (int64_t k = phrases.run_starts[p]; k < phrases.run_starts[p + 1]; ++k) {
      run = runs_.add(run, phrases.run_words[k]);
    }
    kinds_.at(phrases.first[p]) |= kBegins;
    kinds_.at(phrases.last[p]) |= kEnds;
    joined_.at({phrases.first[p], phrases.last[p], run}) = phrases.joined[p];
    joined_ids_ = std::max<int64_t>(joined_ids_, phrases.joined[p] + int64_t{1});
  }
}

// Calls emit(id, position) for every token of a sentence after joining; the position is that of its first word.
template <class Emit>
void PhraseMerger::walk(const WordStream& stream, int64_t sentence, const Emit& emit) const {
  const int32_t* const ids = stream.ids;
  const int64_t end = stream.starts[sentence + 1];
  int64_t start = -1;  // where a phrase may begin
  int32_t run = 0;     // what stands between it and here
  const auto give_up = [&](int64_t stop) {
    for (int64_t i = start; i < stop; ++i) emit(ids[i], i);
  };
  for (int64_t i = stream.starts[sentence]; i < end; ++i) {
    const uint8_t kind = kinds_[ids[i]];
    if (kind & kConnector) {
      if (start < 0) {
        emit(ids[i], i);
      } else {
        run = runs_.find(run, ids[i]);
      }
      continue;
    }
    if (start >= 0) {
      if ((kind & kEnds) && run >= 0 && (kinds_[ids[start]] & kBegins)) {
        const int64_t* const joined = joined_.find({ids[start], ids[i], run});
        if (joined != nullptr) {
          emit(static_cast<int32_t>(*joined), start);
          start = -1;
          continue;
        }
      }
      give_up(i);
    }
    start = i, run = 0;
  }
  if (start >= 0) give_up(end);
}

JoinedCounts PhraseMerger::count(const WordStream& stream, int threads) const {
  // Every thread has counts of its own: no more threads than what takes as much memory as the text.
  const int64_t most = stream.starts[stream.sentences] / (4 * std::max<int64_t>(joined_ids_, 1));
  const std::vector<int64_t> bounds = ranges(stream, std::min<int64_t>(threads, most));
  std::vector<JoinedCounts> parts(bounds.size() - 1);
  in_threads(parts.size(), [&](size_t part) {
    JoinedCounts& found = parts[part];
    found.counts.assign(static_cast<size_t>(joined_ids_), 0);
    found.first_positions.assign(static_cast<size_t>(joined_ids_), -1);
    for (int64_t s = bounds[part]; s < bounds[part + 1]; ++s) {
      walk(stream, s, [&](int32_t id, int64_t position) {
        if (found.counts[id]++ == 0) found.first_positions[id] = position;
      });
    }
  });
  JoinedCounts all = std::move(parts.front());
  for (size_t part = 1; part < parts.size(); ++part) {
    for (size_t id = 0; id < all.counts.size(); ++id) {
      if (all.counts[id] == 0) all.first_positions[id] = parts[part].first_positions[id];
      all.counts[id] += parts[part].counts[id];
    }
  }
  return all;
}

JoinedSize PhraseMerger::encode(const WordStream& stream, const int32_t* words, int threads, int32_t* ids,
                                int64_t ids_size, int64_t* starts, int64_t starts_size) const {
  const std::vector<int64_t> bounds = ranges(stream, threads);
  const size_t n = bounds.size() - 1;
  // Joined once to find out where each thread writes, and once more to write: that takes no memory.
  std::vector<JoinedSize> places(n + 1, {0, 0});
  in_threads(n, [&](size_t part) {
    JoinedSize size = {0, 0};
    for (int64_t s = bounds[part]; s < bounds[part + 1]; ++s) {
      const int64_t before = size.tokens;
      walk(stream, s, [&](int32_t id, int64_t) { size.tokens += words[id] >= 0; });
      size.sentences += size.tokens > before;
    }
    places[part + 1] = size;
  });
  for (size_t part = 0; part < n; ++part) {
    places[part + 1].tokens += places[part].tokens;
    places[part + 1].sentences += places[part].sentences;
  }
  if (places[n].tokens > ids_size || places[n].sentences >= starts_size) {
    throw std::length_error("expected arrays that hold all ids and sentence starts");
  }
  starts[0] = 0;
  in_threads(n, [&](size_t part) {
    auto [tokens, sentences] = places[part];
    for (int64_t s = bounds[part]; s < bounds[part + 1]; ++s) {
      const int64_t before = tokens;
      walk(stream, s, [&](int32_t id, int64_t) {
        if (words[id] >= 0) ids[tokens++] = words[id];
      });
      if (tokens > before) starts[++sentences] = tokens;
    }
  });
  return places[n];
}

}  // namespace pyembed
