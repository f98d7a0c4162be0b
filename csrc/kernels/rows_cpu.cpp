// Looking rows up, and grouping the entries of a batch by their row. Torch-free, allocates nothing.
#include "kernels/rows.h"

#include <algorithm>
#include <cstring>

namespace pyembed {
namespace {

// Multiplicative hashes (Knuth), two that know nothing of each other: rows that lie near each other come apart.
PE_INLINE int part_of(int32_t id, int part_bits) {
  return static_cast<int>(uint64_t{static_cast<uint32_t>(id) * 0x9E3779B1u} >> (32 - part_bits));
}
PE_INLINE uint32_t slot_of(int32_t id, int slot_bits) {
  return static_cast<uint32_t>(id) * 0x85EBCA6Bu >> (32 - slot_bits);
}

}  // namespace

template <class Id>
bool lookup_rows(const TableRows& table, int64_t table_rows, const Id* ids, int64_t begin, int64_t end, void* rows) {
  bool good = true;
  for (int64_t i = begin; i < end; ++i) good &= 0 <= ids[i] && ids[i] < table_rows;
  if (!good) return false;
  const int64_t bytes = table.row_bytes, ahead = rows_ahead(bytes);
  for (int64_t i = begin; i < std::min(begin + ahead, end); ++i) prefetch_row(table.row(ids[i]), bytes);
  for (int64_t i = begin; i < end; ++i) {
    if (i + ahead < end) prefetch_row(table.row(ids[i + ahead]), bytes);
    std::memcpy(static_cast<char*>(rows) + i * bytes, table.row(ids[i]), static_cast<size_t>(bytes));
  }
  return true;
}

template bool lookup_rows<int32_t>(const TableRows&, int64_t, const int32_t*, int64_t, int64_t, void*);
template bool lookup_rows<int64_t>(const TableRows&, int64_t, const int64_t*, int64_t, int64_t, void*);

RowGroups group_rows(const int32_t* ids, int64_t count, int part, int part_bits, const GroupMemory& memory) {
  int64_t begin = 0, mine = 0;
  for (int64_t i = 0; i < count; ++i) {
    const int owner = part_of(ids[i], part_bits);
    begin += owner < part;
    mine += owner == part;
  }
  int32_t* const entries = memory.entries + begin + part;  // with room for one that is then not taken
  for (int64_t i = 0, taken = 0; taken < mine; ++i) {
    entries[taken] = static_cast<int32_t>(i);
    taken += part_of(ids[i], part_bits) == part;
  }

  // An open-addressing table, at most half full, of group numbers + 1.
  int slot_bits = 1;
  while (int64_t{1} << slot_bits < 2 * mine) ++slot_bits;
  const auto mask = static_cast<uint32_t>((uint64_t{1} << slot_bits) - 1);
  int32_t *const slots = memory.slots + 4 * begin, *const groups = memory.groups + begin,
                 *const distinct = memory.ids + begin, *const starts = memory.starts + begin + part;
  std::fill_n(slots, mine ? int64_t{mask} + 1 : 0, 0);
  int32_t found = 0;
  for (int64_t k = 0; k < mine; ++k) {
    const int32_t id = ids[entries[k]];
    uint32_t slot = slot_of(id, slot_bits);
    while (slots[slot] != 0 && distinct[slots[slot] - 1] != id) slot = (slot + 1) & mask;
    if (slots[slot] == 0) {
      distinct[found] = id;
      starts[found] = 0;
      slots[slot] = ++found;
    }
    groups[k] = slots[slot] - 1;
    ++starts[groups[k]];
  }

  // Sizes become ends, and ends become starts while entries are put in front of them.
  const int64_t pieces_begin = most_pieces(begin);
  RowPiece* const pieces = memory.pieces + pieces_begin;
  int64_t piece_count = 0;
  auto end = static_cast<int32_t>(begin);
  for (int32_t g = 0; g < found; ++g) {
    const int32_t first = end;
    end += starts[g];
    starts[g] = end;
    for (int64_t at = first; end - first > kEntriesOfPiece && at < end; at += kEntriesOfPiece) {
      pieces[piece_count++] = {static_cast<int32_t>(at),
                               static_cast<int32_t>(std::min<int64_t>(end, at + kEntriesOfPiece))};
    }
  }
  starts[found] = end;
  for (int64_t k = mine - 1; k >= 0; --k) memory.order[--starts[groups[k]]] = entries[k];
  return {distinct, starts, memory.order, found, pieces, pieces_begin, pieces_begin + piece_count};
}

}  // namespace pyembed
