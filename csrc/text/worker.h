// What a worker of the first pass owns, and the sizes that feeding and counting agree on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "ingest.h"
#include "type_table.h"

namespace pyembed {

constexpr size_t kBlockSize = 1 << 18;  // with its notes it leaves most of a core's L2 cache to the table
constexpr size_t kPadding = 64;         // token ends are found in whole 64 bytes; covers kKeyPadding
static_assert(kPadding >= kKeyPadding, "");

// Queued for each worker at most: blocks take memory, pieces of files a descriptor each.
constexpr size_t kQueuedBlocks = 3, kQueuedPieces = 16;

struct Ingest::Worker {
  explicit Worker(int number) : index(number) {}

  const int index;
  TypeTable types;
  std::vector<int32_t> invalid_types;
  std::vector<char> piece;           // of a file
  std::shared_ptr<NoteChunk> chunk;  // the one that may have room
  std::vector<uint16_t> unwritten;   // notes on their way to the scratch file
};

}  // namespace pyembed
