// Merging part by part: types whose hashes begin alike lie side by side in every table, and what is merged at a time
// fits a core's cache.
#include "merge.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <mutex>
#include <stdexcept>

#include "parallel.h"

namespace pyembed {
namespace {

// The types of one part.
class MergedPart {
 public:
  struct Type {
    TypeKey key;
    uint64_t count, position;
    std::string_view text;
  };
  // What a type of a table has become.
  struct Origin {
    int32_t table, type, merged;
  };

  void merge(const std::vector<TypeTable>& tables, size_t part) {
    types.clear(), origins.clear();
    std::fill(slots_.begin(), slots_.end(), kEmpty);
    for (size_t t = 0; t < tables.size(); ++t) {
      const auto add = [&](const TypeKey& key, uint64_t hash, uint64_t count, int32_t type, uint64_t position) {
        const int32_t merged = find({key, count, position, tables[t].text(type)}, hash);
        origins.push_back({static_cast<int32_t>(t), type, merged});
      };
      tables[t].for_each_in_part(part, add);
    }
  }

  std::vector<Type> types;
  std::vector<Origin> origins;

 private:
  static constexpr int32_t kEmpty = -1;

  // The index of the type, which is added or has the other's count added.
  int32_t find(const Type& other, uint64_t hash) {
    if (types.size() * 2 >= slots_.size()) grow();
    for (size_t i = slot_of(hash);; i = (i + 1) & (slots_.size() - 1)) {
      if (slots_[i] == kEmpty) {
        slots_[i] = static_cast<int32_t>(types.size());
        types.push_back(other);
        return slots_[i];
      }
      Type& type = types[slots_[i]];
      if (type.key == other.key && (!other.key.is_long() || type.text == other.text)) {
        type.count += other.count;
        type.position = std::min(type.position, other.position);
        return slots_[i];
      }
    }
  }

  void grow() {
    slots_.assign(std::max<size_t>(1024, 2 * slots_.size()), kEmpty);
    for (size_t k = 0; k < types.size(); ++k) {
      size_t i = slot_of(types[k].key.hash());
      while (slots_[i] != kEmpty) i = (i + 1) & (slots_.size() - 1);
      slots_[i] = static_cast<int32_t>(k);
    }
  }

  // The first bits of all hashes are the part's.
  size_t slot_of(uint64_t hash) const { return (hash >> 16) & (slots_.size() - 1); }

  std::vector<int32_t> slots_;  // indices of types
};

}  // namespace

Types merge_tables(std::vector<TypeTable> tables, std::vector<UnwrittenArray<int32_t>>* merged) {
  size_t most = 0;
  for (const TypeTable& table : tables) {
    merged->emplace_back(table.size());
    most += table.size();
  }
  Types types;
  types.counts.resize(most), types.first_positions.resize(most), types.texts.resize(most);
  std::atomic<size_t> next_part{0}, size{0};
  in_threads(tables.size(), [&](size_t) {
    MergedPart here;
    for (size_t part; (part = next_part.fetch_add(1)) < size_t{1} << TypeTable::kPartBits;) {
      here.merge(tables, part);
      const size_t first = size.fetch_add(here.types.size());
      for (size_t i = 0; i < here.types.size(); ++i) {
        types.counts[first + i] = here.types[i].count;
        types.first_positions[first + i] = here.types[i].position;
        types.texts[first + i] = {here.types[i].text.data(), here.types[i].text.size()};
      }
      for (const auto& origin : here.origins) {
        (*merged)[origin.table][origin.type] = static_cast<int32_t>(first) + origin.merged;
      }
    }
  });
  if (size > std::numeric_limits<int32_t>::max()) throw std::length_error("more than 2^31 - 1 distinct tokens");
  types.counts.resize(size), types.first_positions.resize(size), types.texts.resize(size);
  for (TypeTable& table : tables) types.arenas.push_back(table.take_arena());
  return types;
}

}  // namespace pyembed
