// The first pass itself: what a worker does with its blocks.
#include <algorithm>
#include <utility>

#include "find_tokens.h"
#include "ingest.h"
#include "notes.h"
#include "positioned_io.h"
#include "utf8.h"
#include "worker.h"

namespace pyembed {
namespace {

constexpr size_t kChunk = 4 << 20;  // notes that memory is allocated for at a time

}  // namespace

void Ingest::run(int index) {
  Worker& worker = *workers_[index];
  try {
    for (;;) {
      Block block;
      bool few;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        not_empty_.wait(lock, [this] { return stopped_ || closed_ || !queue_.empty(); });
        if (stopped_ || queue_.empty()) return;
        block = std::move(queue_.front());
        queue_.pop_front();
        few = queue_.size() <= workers_.size();
      }
      if (few) not_full_.notify_one();  // not for each, or the feeder would take a core from the workers as often
      const Text text = text_of(block, worker);
      const size_t most = most_notes(text.size);
      const bool in_memory = find_room(most, worker);
      if (!in_memory && worker.unwritten.size() < most) worker.unwritten.resize(most);
      uint16_t* const taken = in_memory ? worker.chunk->notes.data() + worker.chunk->used : worker.unwritten.data();
      Notes notes = records_ ? take_notes<RecordSeparators>(block, text, worker, taken)
                             : take_notes<TextSeparators>(block, text, worker, taken);
      const uint64_t bytes = notes.size * sizeof(uint16_t);
      if (in_memory) {
        notes.memory = {worker.chunk, taken};
        worker.chunk->used += notes.size;
      }
      uint64_t offset;
      {
        std::lock_guard<std::mutex> lock(mutex_);
        notes.offset = offset = scratch_size_;
        if (!in_memory) scratch_size_ += bytes;
        notes_[block.index] = std::move(notes);
        if (!block.bytes.empty() && block.bytes.size() <= 2 * kBlockSize) spare_.push_back(std::move(block.bytes));
      }
      if (!in_memory) write_at(scratch_, taken, bytes, static_cast<int64_t>(offset));
    }
  } catch (...) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!error_) error_ = std::current_exception();
    stopped_ = true;
  }
  not_empty_.notify_all();
  not_full_.notify_all();
}

// Sees to it that the worker's chunk has room for so many notes; false where the memory for notes is used up.
bool Ingest::find_room(size_t notes, Worker& worker) {
  if (worker.chunk != nullptr && worker.chunk->notes.size() - worker.chunk->used >= notes) return true;
  const size_t size = std::max(notes, kChunk), bytes = size * sizeof(uint16_t);
  size_t left = memory_left_;
  do {
    if (left < bytes) return false;
  } while (!memory_left_.compare_exchange_weak(left, left - bytes));
  worker.chunk = std::make_shared<NoteChunk>(NoteChunk{UnwrittenArray<uint16_t>(size), 0});
  return true;
}

// A byte order mark at the beginning of a source becomes blanks.
Ingest::Text Ingest::text_of(Block& block, Worker& worker) const {
  Text text{block.bytes.data(), block.size, block.source_offset, block.position};
  if (block.file.is_open()) {
    const PieceText piece = read_piece(block.file, block.source_offset, block.size, kPadding, &worker.piece);
    text = {worker.piece.data() + piece.begin, piece.size, piece.offset,
            block.position + (piece.offset - block.source_offset)};
  }
  if (!records_ && text.source_offset == 0 && text.size > 3 && std::memcmp(text.bytes, "\xef\xbb\xbf", 3) == 0) {
    std::fill_n(text.bytes, 3, ' ');
  }
  return text;
}

template <class Separators>
Ingest::Notes Ingest::take_notes(const Block& block, const Text& text, Worker& worker, uint16_t* taken) {
  uint16_t* out = taken;
  const char* const end = text.bytes + text.size;
  const char* token = text.bytes;
  uint64_t lines = 0;
  Pending found[kMostPending];
  for (const char* piece = text.bytes; piece < end; piece += kPiece) {
    const auto size = static_cast<size_t>(std::min<ptrdiff_t>(kPiece, end - piece));
    const size_t count = find_tokens<Separators>(piece, size, worker.types, &token, found);
    for (size_t i = 0; i < count; ++i) {
      const Pending& next = found[i];
      int32_t type = worker.types.count_at(next.slot, next.key);
      if (type < 0) {
        if (next.ends_sentence()) {
          ++lines;
          *out++ = kSentenceEnd;
          continue;
        }
        const size_t length = token_length<Separators>(next.key, text.bytes, piece + next.end);
        const std::string_view bytes(piece + next.end - length, length);
        type = worker.types.count(next.key, bytes);
        if (type < 0) type = insert(next.key, bytes, block, text, lines, worker);
      }
      out = note_type(type, out);
    }
  }
  Notes notes;
  notes.worker = worker.index;
  notes.source = block.source;
  notes.size = static_cast<uint64_t>(out - taken);
  notes.lines = lines;
  return notes;
}

// `token` lies in the text.
int32_t Ingest::insert(const TypeKey& key, std::string_view token, const Block& block, const Text& text,
                       uint64_t lines_before, Worker& worker) {
  const auto offset = static_cast<uint64_t>(token.data() - text.bytes);
  const int32_t type = worker.types.insert(key, token, text.position + offset);
  const size_t bad = first_invalid_utf8(token.data(), token.size());
  if (bad < token.size()) {
    worker.invalid_types.push_back(type);
    if (strict_) report_fault(block, text, lines_before, offset + bad);
  }
  return type;
}

// Keeps the earliest fault. Blocks are taken in order and those before this one are finished by their workers, so
// whatever the threads do, the earliest fault of the stream is among those reported.
void Ingest::report_fault(const Block& block, const Text& text, uint64_t lines_before, uint64_t offset) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopped_ = true;
    if (text.position + offset >= fault_.position) return;
    fault_.found = true;
    fault_.source = block.source;
    fault_.byte = text.source_offset + offset;
    fault_.value = static_cast<uint8_t>(text.bytes[offset]);
    fault_.position = text.position + offset;
    fault_block_ = block.index;
    fault_lines_ = lines_before;
  }
  not_empty_.notify_all();
  not_full_.notify_all();
}

}  // namespace pyembed
