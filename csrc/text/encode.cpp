// The second pass: from the types noted in the scratch file to word ids and sentence starts.
//
// Threads take blocks in order, map them on their own, and hand the place to write at from block to block.
#include <algorithm>
#include <atomic>

#include "ingest.h"
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
  std::vector<int32_t> ids;
  std::vector<int64_t> ends;  // ascending counts of ids before each sentence end, relative to the block
};

void map_block(const std::vector<int32_t>& notes, const std::vector<int32_t>& merged_types, const WordMap& map,
               Output* output) {
  std::vector<int32_t>& ids = output->ids;
  ids.resize(notes.size());
  output->ends.clear();
  size_t size = 0;
  for (size_t i = 0; i < notes.size(); ++i) {
    if (notes[i] < 0) {
      const auto end = static_cast<int64_t>(size);
      if (output->ends.empty() || output->ends.back() < end) output->ends.push_back(end);
      continue;
    }
    const int32_t word = map.words[merged_types[notes[i]]];
    if (word >= -1) {
      ids[size] = word;
      size += word >= 0;  // without a branch: which words are rare is not to be predicted
      continue;
    }
    const int64_t begin = map.list_starts[-2 - word], end = map.list_starts[-1 - word];
    ids.resize(ids.size() + static_cast<size_t>(end - begin));
    for (int64_t k = begin; k < end; ++k) ids[size++] = map.list_words[k];
  }
  ids.resize(size);
}

}  // namespace

EncodedSize Ingest::encode(const WordMap& map, const EncodedFile& file) const {
  std::atomic<size_t> next_block{0};
  std::mutex mutex;
  std::condition_variable turn;
  Place place;

  const auto run = [&](size_t) {
    try {
      std::vector<int32_t> notes;
      Output output;
      for (;;) {
        const size_t block = next_block.fetch_add(1);
        if (block >= notes_.size()) return;
        notes.resize(notes_[block].size);
        read_at(scratch_, notes.data(), notes.size() * sizeof(int32_t), static_cast<int64_t>(notes_[block].offset));
        map_block(notes, merged_types_[notes_[block].worker], map, &output);

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
          place.tokens += static_cast<int64_t>(output.ids.size());
          place.sentences += static_cast<int64_t>(output.ends.size());
          ++place.block;
        }
        turn.notify_all();
        write_at(file.descriptor, output.ids.data(), output.ids.size() * sizeof(int32_t),
                 file.ids_offset + first_token * static_cast<int64_t>(sizeof(int32_t)));
        write_at(file.descriptor, output.ends.data(), output.ends.size() * sizeof(int64_t),
                 file.starts_offset + first_end * static_cast<int64_t>(sizeof(int64_t)));
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
  const int64_t zero = 0;
  write_at(file.descriptor, &zero, sizeof zero, file.starts_offset);
  return {place.tokens, place.sentences};
}

}  // namespace pyembed
