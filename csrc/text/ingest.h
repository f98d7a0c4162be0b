// Ingest: one pass over raw bytes, on several threads, that counts the types of a text and notes the type of every
// token; encode() then turns those notes into word ids, so that no string is looked at twice.
//
// The caller feeds blocks cut anywhere, or pieces of files, which the workers read. Every worker owns a TypeTable and
// shares nothing while it counts; finish() merges the tables. Counts, first positions and the order of tokens do not
// depend on the number of threads.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "file_piece.h"
#include "arrays.h"
#include "type_table.h"

namespace pyembed {

// The first token that is not valid UTF-8.
struct Fault {
  bool found = false;
  uint32_t source = 0;        // which source, from 0
  uint64_t line = 0;          // in that source, from 1
  uint64_t byte = 0;          // in that source, from 0: the first bad byte
  uint8_t value = 0;          // of that byte
  uint64_t position = ~0ull;  // in the whole stream
};

// The types of the whole text, n of them, in no particular order.
struct Types {
  struct Text {
    const char* bytes;
    size_t size;
  };
  UnwrittenArray<uint64_t> counts;           // [n]
  UnwrittenArray<uint64_t> first_positions;  // [n] in the stream, in bytes
  UnwrittenArray<Text> texts;                // [n] in the arenas
  std::vector<int32_t> invalid;              // those that are not valid UTF-8
  std::vector<UnwrittenArray<char>> arenas;  // the tables' own
};

// What every type becomes: words[type] >= 0 is one word id, -1 none, -2 - k the words list_words[list_starts[k] ..
// list_starts[k + 1]).
struct WordMap {
  const int32_t* words;
  const int64_t* list_starts;
  const int32_t* list_words;
};

// Where encode() writes.
struct EncodedArrays {
  int32_t* ids;  // [ids_size]: T at least
  int64_t ids_size;
  int64_t* starts;  // [starts_size]: S + 1 at least
  int64_t starts_size;
};

struct EncodedSize {
  int64_t tokens = 0;     // T
  int64_t sentences = 0;  // S; S + 1 starts are written
};

class Ingest {
 public:
  // Notes take `memory` bytes, and once these are full go to `scratch`, an open descriptor of an empty file, read and
  // written by position. `records` picks RecordSeparators in place of TextSeparators. With `strict` an invalid token
  // ends the pass.
  Ingest(int scratch, size_t memory, int threads, bool records, bool strict);
  ~Ingest();
  Ingest(const Ingest&) = delete;
  Ingest& operator=(const Ingest&) = delete;

  // Copies and queues a block; waits while the queue is full. False: a fault was found, nothing more is wanted.
  bool feed(const char* bytes, size_t size);
  // Queues the bytes [offset, offset + size) of a file of lines. A source is fed by blocks or, from 0 on, by pieces.
  bool feed_file(int descriptor, const std::string& name, uint64_t offset, size_t size);
  // Ends the sentence and the source: no token spans two sources.
  bool end_of_file();
  // Waits for the workers and merges their tables. Throws what a worker threw.
  void finish();
  // Stops the workers: after it the scratch file may be closed.
  void close();

  // After finish().
  const Fault& fault() const { return fault_; }
  const Types& types() const { return types_; }
  int64_t sentence_ends() const;  // S at most
  // Once, for it lets go of the notes on its way. Throws std::length_error where an array is too small.
  EncodedSize encode(const WordMap& map, const EncodedArrays& arrays);

 private:
  struct Block {
    TextFile file;            // where it is open the block is a piece of it
    std::vector<char> bytes;  // otherwise: ends with a separator, then kPadding and more bytes
    size_t size = 0;
    size_t index = 0;  // in the stream of blocks
    uint32_t source = 0;
    uint64_t source_offset = 0;  // of its first byte in the source
    uint64_t position = 0;       // of its first byte in the stream
  };
  // What a worker goes through: the bytes of a block, or what it has read of a piece.
  struct Text {
    char* bytes;
    size_t size;
    uint64_t source_offset, position;
  };
  // Where the notes (notes.h) of a block's tokens are, in types of its worker's table.
  struct Notes {
    int worker = 0;
    uint32_t source = 0;
    std::shared_ptr<const uint16_t> memory;  // in a chunk; null: in the scratch file
    uint64_t offset = 0;                     // bytes in the scratch file
    uint64_t size = 0;
    uint64_t lines = 0;  // sentence ends in the block
  };
  // Memory for the notes of one worker's blocks, one after another; it is theirs together.
  struct NoteChunk {
    UnwrittenArray<uint16_t> notes;
    size_t used = 0;
  };
  struct Worker;

  template <class Separators>
  bool feed_blocks(const char* bytes, size_t size);
  bool queue_bytes(const char* bytes, size_t size);
  bool wait_for_room(size_t most, std::vector<char>* spare);
  void queue_block(Block block);
  void run(int worker);
  Text text_of(Block& block, Worker& worker) const;
  template <class Separators>
  Notes take_notes(const Block& block, const Text& text, Worker& worker, uint16_t* taken);
  bool find_room(size_t notes, Worker& worker);
  int32_t insert(const TypeKey& key, std::string_view token, const Block& block, const Text& text,
                 uint64_t lines_before, Worker& worker);
  void report_fault(const Block& block, const Text& text, uint64_t lines_before, uint64_t offset);
  void merge();

  const int scratch_;
  const bool records_, strict_;
  uint64_t scratch_size_ = 0;
  std::atomic<size_t> memory_left_;  // for notes, in bytes

  // The feeder's own.
  std::vector<char> carry_;  // what followed the last separator
  uint32_t source_ = 0;
  uint64_t source_offset_ = 0, position_ = 0;  // of the next byte to be queued

  std::mutex mutex_;  // guards what follows, up to fault_lines_
  std::condition_variable not_empty_, not_full_;
  std::deque<Block> queue_;
  std::vector<std::vector<char>> spare_;
  std::vector<Notes> notes_;  // by block index
  bool closed_ = false, stopped_ = false;
  std::exception_ptr error_;
  Fault fault_;
  size_t fault_block_ = 0;
  uint64_t fault_lines_ = 0;

  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::thread> threads_;

  Types types_;
  std::vector<UnwrittenArray<int32_t>> merged_types_;  // [worker][its type]
  bool encoded_ = false;
};

}  // namespace pyembed
