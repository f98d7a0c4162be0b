// Around the first pass: feeding blocks to the workers, merging their tables.
#include "ingest.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "merge.h"
#include "worker.h"

namespace pyembed {

Ingest::Ingest(int scratch, size_t memory, int threads, bool records, bool strict)
    : scratch_(scratch), records_(records), strict_(strict), memory_left_(memory) {
  if (threads < 1) throw std::invalid_argument("expected at least one thread");
  for (int i = 0; i < threads; ++i) workers_.push_back(std::make_unique<Worker>(i));
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
  const bool wanted = queue_bytes(bytes, cut);
  carry_.assign(bytes + cut, bytes + size);
  return wanted;
}

// Queues what was carried over and bytes[0, size), which ends with a separator.
bool Ingest::queue_bytes(const char* bytes, size_t size) {
  Block block;
  if (!wait_for_room(kQueuedBlocks * workers_.size(), &block.bytes)) return false;
  block.size = carry_.size() + size;
  block.bytes.resize(std::max(block.bytes.size(), block.size + kPadding));
  std::copy(carry_.begin(), carry_.end(), block.bytes.begin());
  std::copy(bytes, bytes + size, block.bytes.begin() + carry_.size());
  queue_block(std::move(block));
  return true;
}

bool Ingest::feed_file(int descriptor, const std::string& name, uint64_t offset, size_t size) {
  Block block;
  if (!wait_for_room(kQueuedPieces * workers_.size(), nullptr)) return false;
  block.file = TextFile(descriptor, name);
  block.size = size;
  source_offset_ = offset;
  queue_block(std::move(block));
  return true;
}

// Waits until less than `most` are queued. False: nothing more is wanted. `spare` becomes memory that is not used any
// more, where there is some.
bool Ingest::wait_for_room(size_t most, std::vector<char>* spare) {
  std::unique_lock<std::mutex> lock(mutex_);
  not_full_.wait(lock, [&] { return stopped_ || queue_.size() < most; });
  if (spare != nullptr && !spare_.empty()) {
    *spare = std::move(spare_.back());
    spare_.pop_back();
  }
  return !stopped_;
}

void Ingest::queue_block(Block block) {
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
  workers_.clear();
}

int64_t Ingest::sentence_ends() const {
  uint64_t ends = 0;
  for (const Notes& notes : notes_) ends += notes.lines;
  return static_cast<int64_t>(ends);
}

}  // namespace pyembed
