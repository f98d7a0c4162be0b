// The first pass: feeding blocks, counting types, merging the workers' tables.
#include "ingest.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "find_tokens.h"
#include "merge.h"
#include "notes.h"
#include "positioned_io.h"
#include "utf8.h"

namespace pyembed {
namespace {

constexpr size_t kBlockSize = 1 << 18;  // with its notes it leaves most of a core's L2 cache to the table
constexpr size_t kChunk = 4 << 20;      // notes that memory is allocated for at a time
constexpr size_t kPadding = 64;         // candidate_mask reads whole 64-byte pieces; covers kKeyPadding
static_assert(kPadding >= kKeyPadding, "");

}  // namespace

struct Ingest::Worker {
  int index;
  TypeTable types;
  std::vector<int32_t> invalid_types;
  std::vector<NoteChunk> chunks;    // only the last may have room
  std::vector<uint16_t> unwritten;  // notes on their way to the scratch file
};

Ingest::Ingest(int scratch, size_t memory, int threads, bool records, bool strict)
    : scratch_(scratch), records_(records), strict_(strict), memory_left_(memory) {
  if (threads < 1) throw std::invalid_argument("expected at least one thread");
  for (int i = 0; i < threads; ++i) workers_.push_back(std::make_unique<Worker>(Worker{i, {}, {}, {}, {}}));
  try {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this, i] { run(i); });
  } catch (...) {
    close();
    throw;
  }
}

Ingest::~Ingest() { close(); }

void Ingest::close() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopped_ = true;
  }
  not_empty_.notify_all();
  not_full_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

bool Ingest::feed(const char* bytes, size_t size) {
  while (size > 0) {
    const size_t piece = std::min(size, kBlockSize);
    const bool wanted =
        records_ ? feed_blocks<RecordSeparators>(bytes, piece) : feed_blocks<TextSeparators>(bytes, piece);
    if (!wanted) return false;
    bytes += piece, size -= piece;
  }
  return true;
}

bool Ingest::end_of_file() {
  const char end = records_ ? RecordSeparators::sentence_end : TextSeparators::sentence_end;
  const bool wanted = feed(&end, 1);
  ++source_;
  source_offset_ = 0;
  return wanted;
}

template <class Separators>
bool Ingest::feed_blocks(const char* bytes, size_t size) {
  size_t cut = size;
  while (cut > 0 && !Separators::ends_token(static_cast<uint8_t>(bytes[cut - 1]))) --cut;
  if (cut == 0) {
    carry_.insert(carry_.end(), bytes, bytes + size);
    return true;
  }
  const bool wanted = queue_block(bytes, cut);
  carry_.assign(bytes + cut, bytes + size);
  return wanted;
}

// Queues what was carried over and bytes[0, size), which ends with a separator.
bool Ingest::queue_block(const char* bytes, size_t size) {
  Block block;
  {
    std::unique_lock<std::mutex> lock(mutex_);
    not_full_.wait(lock, [this] { return stopped_ || queue_.size() < 2 * workers_.size() + 2; });
    if (stopped_) return false;
    if (!spare_.empty()) {
      block.bytes = std::move(spare_.back());
      spare_.pop_back();
    }
  }
  block.size = carry_.size() + size;
  block.bytes.resize(std::max(block.bytes.size(), block.size + kPadding));
  std::copy(carry_.begin(), carry_.end(), block.bytes.begin());
  std::copy(bytes, bytes + size, block.bytes.begin() + carry_.size());
  if (!records_ && source_offset_ == 0 && std::memcmp(block.bytes.data(), "\xef\xbb\xbf", 3) == 0) {
    std::fill_n(block.bytes.begin(), 3, ' ');  // a byte order mark is no text
  }
  block.source = source_;
  block.source_offset = source_offset_;
  block.position = position_;
  source_offset_ += block.size;
  position_ += block.size;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    block.index = notes_.size();
    notes_.emplace_back();
    queue_.push_back(std::move(block));
  }
  not_empty_.notify_one();
  return true;
}

void Ingest::run(int index) {
  Worker& worker = *workers_[index];
  try {
    for (;;) {
      Block block;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        not_empty_.wait(lock, [this] { return stopped_ || closed_ || !queue_.empty(); });
        if (stopped_ || queue_.empty()) return;
        block = std::move(queue_.front());
        queue_.pop_front();
      }
      not_full_.notify_one();
      const size_t most = most_notes(block.size);
      NoteChunk* const chunk = chunk_with_room(most, worker);
      if (chunk == nullptr && worker.unwritten.size() < most) worker.unwritten.resize(most);
      uint16_t* const taken = chunk != nullptr ? chunk->notes.get() + chunk->used : worker.unwritten.data();
      Notes notes = records_ ? take_notes<RecordSeparators>(block, worker, taken)
                             : take_notes<TextSeparators>(block, worker, taken);
      const uint64_t bytes = notes.size * sizeof(uint16_t);
      if (chunk != nullptr) {
        notes.memory = taken;
        chunk->used += notes.size;
      }
      {
        std::lock_guard<std::mutex> lock(mutex_);
        if (chunk == nullptr) {
          notes.offset = scratch_size_;
          scratch_size_ += bytes;
        }
        notes_[block.index] = notes;
        if (block.bytes.size() <= 2 * kBlockSize) spare_.push_back(std::move(block.bytes));
      }
      if (chunk == nullptr) write_at(scratch_, taken, bytes, static_cast<int64_t>(notes.offset));
    }
  } catch (...) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!error_) error_ = std::current_exception();
    stopped_ = true;
  }
  not_empty_.notify_all();
  not_full_.notify_all();
}

// Room for so many notes in memory; null where the memory for notes is used up.
Ingest::NoteChunk* Ingest::chunk_with_room(size_t notes, Worker& worker) {
  if (!worker.chunks.empty() && worker.chunks.back().size - worker.chunks.back().used >= notes) {
    return &worker.chunks.back();
  }
  NoteChunk chunk;
  chunk.size = std::max(notes, kChunk);
  const size_t bytes = chunk.size * sizeof(uint16_t);
  size_t left = memory_left_;
  do {
    if (left < bytes) return nullptr;
  } while (!memory_left_.compare_exchange_weak(left, left - bytes));
  chunk.notes.reset(new uint16_t[chunk.size]);  // not make_unique, which would write to all of it
  worker.chunks.push_back(std::move(chunk));
  return &worker.chunks.back();
}

template <class Separators>
Ingest::Notes Ingest::take_notes(const Block& block, Worker& worker, uint16_t* taken) {
  uint16_t* out = taken;
  const char* const text = block.bytes.data();
  const char* const end = text + block.size;
  const char* token = text;
  uint64_t lines = 0;
  Pending found[kPiece + 1];
  for (const char* piece = text; piece < end; piece += kPiece) {
    const size_t size = find_tokens<Separators>(piece, std::min(piece + kPiece, end), worker.types, &token, found);
    for (size_t i = 0; i < size; ++i) {
      const Pending& next = found[i];
      if (next.key.tag == 0) {
        ++lines;
        *out++ = kSentenceEnd;
        continue;
      }
      int32_t type = worker.types.add(next.key, next.hash, next.bytes, next.length, 1);
      if (type < 0) {
        const auto offset = static_cast<uint64_t>(next.bytes - text);
        type = worker.types.insert(next.key, next.hash, next.bytes, next.length, 1, block.position + offset);
        const size_t bad = first_invalid_utf8(next.bytes, next.length);
        if (bad < next.length) {
          worker.invalid_types.push_back(type);
          if (strict_) report_fault(block, lines, offset + bad);
        }
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

// Keeps the earliest fault. Blocks are taken in order and those before this one are finished by their workers, so
// whatever the threads do, the earliest fault of the stream is among those reported.
void Ingest::report_fault(const Block& block, uint64_t lines_before, uint64_t offset) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopped_ = true;
    if (block.position + offset >= fault_.position) return;
    fault_.found = true;
    fault_.source = block.source;
    fault_.byte = block.source_offset + offset;
    fault_.value = static_cast<uint8_t>(block.bytes[offset]);
    fault_.position = block.position + offset;
    fault_block_ = block.index;
    fault_lines_ = lines_before;
  }
  not_empty_.notify_all();
  not_full_.notify_all();
}

void Ingest::finish() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
  }
  not_empty_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  spare_.clear();
  if (error_) std::rethrow_exception(error_);
  if (fault_.found) {
    fault_.line = 1 + fault_lines_;
    for (size_t i = 0; i < fault_block_; ++i) {
      if (notes_[i].source == fault_.source) fault_.line += notes_[i].lines;
    }
    return;
  }
  merge();
}

void Ingest::merge() {
  std::vector<TypeTable> tables;
  for (const auto& worker : workers_) tables.push_back(std::move(worker->types));
  types_ = merge_tables(std::move(tables), &merged_types_);
  for (size_t w = 0; w < workers_.size(); ++w) {
    for (const int32_t type : workers_[w]->invalid_types) types_.invalid.push_back(merged_types_[w][type]);
  }
  std::sort(types_.invalid.begin(), types_.invalid.end());
  types_.invalid.erase(std::unique(types_.invalid.begin(), types_.invalid.end()), types_.invalid.end());
  for (const auto& worker : workers_) {
    for (NoteChunk& chunk : worker->chunks) chunks_.push_back(std::move(chunk));
  }
  workers_.clear();
}

int64_t Ingest::sentence_ends() const {
  uint64_t ends = 0;
  for (const Notes& notes : notes_) ends += notes.lines;
  return static_cast<int64_t>(ends);
}

}  // namespace pyembed
