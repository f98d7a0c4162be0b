// The second pass: from the types noted in the first to word ids and sentence starts.
//
// Threads take blocks in order, map them on their own, and hand the place to write at from block to block.
#include <algorithm>
#include <atomic>
#include <limits>
#include <stdexcept>
#include <utility>

#include "ingest.h"
#include "notes.h"
#include "parallel.h"
#include "positioned_io.h"

namespace pyembed {
namespace {

// Where the next block's output goes.
struct Place {
  size_t block = 0;       // whose turn it is
  int64_t tokens = 0;     // ids written so far
  int64_t sentences = 0;  // sentences closed so far
  int64_t last_sentence_end = 0;
  bool failed = false;
};

struct Output {
  std::vector<int32_t> ids;  // the first `size` count
  size_t size = 0;
  std::vector<int64_t> ends;  // ascending counts of ids before each sentence end, relative to the block
};

// What a worker's types become, as WordMap's words, where a note of 16 bits is looked up: those of the wide types come
// behind the two notes that are no types.
constexpr size_t kNoTypes = 2;

LargeArray<int32_t> words_of_notes(const UnwrittenArray<int32_t>& merged_types, const int32_t* words) {
  LargeArray<int32_t> found(std::max<size_t>(merged_types.size(), kWide) + kNoTypes);
  for (size_t type = 0; type < merged_types.size(); ++type) {
    found[type < kWide ? type : type + kNoTypes] = words[merged_types[type]];
  }
  found[kWide] = found[kSentenceEnd] = std::numeric_limits<int32_t>::min();  // below all words
  return found;
}

// `words` as words_of_notes() found them.
void map_block(const uint16_t* notes, size_t n, const int32_t* words, const WordMap& map, Output* output) {
  std::vector<int32_t>& ids = output->ids;
  if (ids.size() < n) ids.resize(n);
  output->ends.clear();
  int32_t* next = ids.data();
  const auto size = [&] { return next - ids.data(); };
  const auto put = [&](int32_t word) {
    *next = word;
    next += word >= 0;  // without a branch: which words are rare is not to be predicted
  };
  for (const uint16_t *note = notes, *const end = notes + n; note != end; ++note) {
    int32_t word = words[*note];
    if (word >= -1) {
      put(word);
      continue;
    }
    if (*note == kSentenceEnd) {
      if (output->ends.empty() || output->ends.back() < size()) output->ends.push_back(size());
      continue;
    }
    if (*note == kWide) {
      word = words[wide_type(note + 1) + kNoTypes];
      note += 2;
      if (word >= -1) {
        put(word);
        continue;
      }
    }
    const int64_t first = map.list_starts[-2 - word], last = map.list_starts[-1 - word], before = size();
    ids.resize(ids.size() + static_cast<size_t>(last - first));
    next = std::copy(map.list_words + first, map.list_words + last, ids.data() + before);
  }
  output->size = static_cast<size_t>(size());
}

}  // namespace

EncodedSize Ingest::encode(const WordMap& map, const EncodedArrays& arrays) {
  if (std::exchange(encoded_, true)) throw std::logic_error("expected to encode once");
  std::vector<LargeArray<int32_t>> words(merged_types_.size());  // [worker]
  in_threads(words.size(), [&](size_t worker) { words[worker] = words_of_notes(merged_types_[worker], map.words); });

  std::atomic<size_t> next_block{0};
  std::mutex mutex;
  std::condition_variable turn;
  Place place;

  const auto run = [&](size_t) {
    try {
      std::vector<uint16_t> from_scratch;
      Output output;
      for (;;) {
        const size_t block = next_block.fetch_add(1);
        if (block >= notes_.size()) return;
        Notes& notes = notes_[block];
        const uint16_t* taken = notes.memory.get();
        if (taken == nullptr) {
          from_scratch.resize(notes.size);
          read_at(scratch_, from_scratch.data(), notes.size * sizeof(uint16_t), static_cast<int64_t>(notes.offset));
          taken = from_scratch.data();
        }
        map_block(taken, notes.size, words[notes.worker].data(), map, &output);
        notes.memory.reset();

        int64_t first_token, first_end;
        {
          std::unique_lock<std::mutex> lock(mutex);
          turn.wait(lock, [&] { return place.failed || place.block == block; });
          if (place.failed) return;
          first_token = place.tokens;
          first_end = 1 + place.sentences;  // the start of the first sentence stands before all ends
          for (int64_t& end : output.ends) end += first_token;
          if (!output.ends.empty() && output.ends.front() == place.last_sentence_end) {
            output.ends.erase(output.ends.begin());  // an empty sentence
          }
          if (!output.ends.empty()) place.last_sentence_end = output.ends.back();
          place.tokens += static_cast<int64_t>(output.size);
          place.sentences += static_cast<int64_t>(output.ends.size());
          if (place.tokens > arrays.ids_size || place.sentences >= arrays.starts_size) {
            throw std::length_error("expected arrays that hold all ids and sentence starts");
          }
          ++place.block;
        }
        turn.notify_all();
        std::copy_n(output.ids.begin(), output.size, arrays.ids + first_token);
        std::copy(output.ends.begin(), output.ends.end(), arrays.starts + first_end);
      }
    } catch (...) {
      {
        std::lock_guard<std::mutex> lock(mutex);
        place.failed = true;
      }
      turn.notify_all();
      throw;
    }
  };

  in_threads(merged_types_.size(), run);
  if (arrays.starts_size > 0) arrays.starts[0] = 0;
  return {place.tokens, place.sentences};
}

}  // namespace pyembed
