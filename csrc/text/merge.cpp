// Merging in three steps, each on all threads: deal out every table's types to parts, merge each part, join the parts.
#include "merge.h"

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "parallel.h"

namespace pyembed {
namespace {

// A type of a table, on its way to a part.
struct Dealt {
  uint64_t hash;
  int32_t type;
};

constexpr size_t kAhead = 16;  // types whose slots are on their way from memory

// Which of `parts` merges a type: from the low half of the hash, since tables place types by the high bits.
size_t part_of(uint64_t hash, size_t parts) { return static_cast<size_t>((hash & 0xffffffff) * parts >> 32); }

}  // namespace

Types merge_tables(std::vector<TypeTable> tables, std::vector<std::vector<int32_t>>* merged) {
  const size_t n = tables.size();
  std::vector<std::vector<std::vector<Dealt>>> dealt(n, std::vector<std::vector<Dealt>>(n));  // [table][part]
  std::vector<std::vector<uint64_t>> counts(n);                                               // [table][type]
  merged->resize(n);
  in_threads(n, [&](size_t t) {
    const TypeTable& table = tables[t];
    counts[t] = table.counts();
    (*merged)[t].resize(table.size());
    for (int32_t type = 0; type < table.size(); ++type) {
      const uint64_t hash = key_of(table.bytes(type), table.length(type)).hash();
      dealt[t][part_of(hash, n)].push_back({hash, type});
    }
  });

  std::vector<TypeTable> parts(n);
  in_threads(n, [&](size_t p) {
    size_t most = 0;
    for (size_t t = 0; t < n; ++t) most = std::max(most, dealt[t][p].size());
    parts[p] = TypeTable(most);
    for (size_t t = 0; t < n; ++t) {
      const std::vector<Dealt>& here = dealt[t][p];
      for (size_t i = 0; i < here.size(); ++i) {
        if (i + kAhead < here.size()) parts[p].prefetch(here[i + kAhead].hash);
        const auto [hash, type] = here[i];
        const char* const bytes = tables[t].bytes(type);
        const size_t length = tables[t].length(type);
        const TypeKey key = key_of(bytes, length);
        const uint64_t count = counts[t][type], position = tables[t].first_position(type);
        int32_t in_part = parts[p].add(key, hash, bytes, length, count);
        if (in_part < 0) {
          in_part = parts[p].insert(key, hash, bytes, length, count, position);
        } else {
          parts[p].seen_at(in_part, position);
        }
        (*merged)[t][type] = in_part;
      }
    }
  });
  tables.clear();

  std::vector<int64_t> first_type(n + 1);
  std::vector<uint64_t> first_byte(n + 1);
  for (size_t p = 0; p < n; ++p) {
    const int64_t size = parts[p].size();
    first_type[p + 1] = first_type[p] + size;
    first_byte[p + 1] = first_byte[p] + (size ? parts[p].end(size - 1) : 0);
  }
  if (first_type[n] > std::numeric_limits<int32_t>::max()) {
    throw std::length_error("more than 2^31 - 1 distinct tokens");
  }
  Types types;
  types.counts.resize(first_type[n]);
  types.first_positions.resize(first_type[n]);
  types.ends.resize(first_type[n]);
  types.text.resize(first_byte[n]);
  in_threads(n, [&](size_t p) {
    const std::vector<uint64_t> part_counts = parts[p].counts();
    std::copy(part_counts.begin(), part_counts.end(), types.counts.begin() + first_type[p]);
    for (int64_t type = 0; type < parts[p].size(); ++type) {
      types.first_positions[first_type[p] + type] = parts[p].first_position(type);
      types.ends[first_type[p] + type] = first_byte[p] + parts[p].end(type);
    }
    if (parts[p].size()) {
      std::copy(parts[p].bytes(0), parts[p].bytes(0) + (first_byte[p + 1] - first_byte[p]),
                types.text.begin() + first_byte[p]);
    }
    for (size_t t = 0; t < n; ++t) {
      for (const Dealt& one : dealt[t][p]) (*merged)[t][one.type] += static_cast<int32_t>(first_type[p]);
    }
  });
  return types;
}

}  // namespace pyembed
