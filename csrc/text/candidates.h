// CandidateTable and RunTrie: what a phrase may be made of, as numbers.
//
// A candidate is two words with a run of connector words in between, "bank of america". Words are numbers from 0; a run
// is a node of the trie that holds all runs, 0 where nothing stands in between.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <utility>
#include <vector>

#include "arrays.h"

namespace pyembed {

struct Candidate {
  int32_t first, last, run;

  uint64_t hash() const {
    uint64_t h = (static_cast<uint64_t>(static_cast<uint32_t>(first)) << 32 | static_cast<uint32_t>(last)) +
                 static_cast<uint64_t>(static_cast<uint32_t>(run)) * 0xc2b2ae3d27d4eb4full;
    h = (h ^ (h >> 32)) * 0x9e3779b97f4a7c15ull;
    h = (h ^ (h >> 29)) * 0x9fb21c651e98df25ull;
    return h ^ (h >> 32);
  }
  friend bool operator==(const Candidate& a, const Candidate& b) {
    return a.first == b.first && a.last == b.last && a.run == b.run;
  }
};

// A number for every candidate, in open addressing with linear probing.
class CandidateTable {
 public:
  CandidateTable() = default;

  size_t size() const { return size_; }

  void prefetch(uint64_t hash) const {
    if (!slots_.empty()) __builtin_prefetch(&slots_[hash & mask_]);
  }

  // Null where it is not in the table.
  const int64_t* find(const Candidate& candidate) const { return find(candidate, candidate.hash()); }
  const int64_t* find(const Candidate& candidate, uint64_t hash) const {
    if (slots_.empty()) return nullptr;
    const Slot& slot = slots_[place(candidate, hash)];
    return slot.candidate.first < 0 ? nullptr : &slot.value;
  }

  // The candidate's number, 0 where it is new; valid until the next call.
  int64_t& at(const Candidate& candidate) { return at(candidate, candidate.hash()); }
  int64_t& at(const Candidate& candidate, uint64_t hash) {
    if (size_ * 10 >= slots_.size() * 7) resize(slots_.empty() ? 16 : slots_.size() * 2);
    Slot& slot = slots_[place(candidate, hash)];
    if (slot.candidate.first < 0) {
      slot.candidate = candidate;
      ++size_;
    }
    return slot.value;
  }

  // Makes room for n candidates at once. What comes in the order of another table's slots needs that: a table that
  // grows on the way is crowded at its beginning, and every new candidate walks past all that are there.
  void reserve(size_t n) {
    size_t slots = slots_.empty() ? 16 : slots_.size();
    while (n * 10 >= slots * 7) slots *= 2;
    if (slots > slots_.size()) resize(slots);
  }

  // Adds the other table's numbers to those here.
  void add(const CandidateTable& other) {
    reserve(size_ + other.size_);
    other.for_each([this](const Candidate& candidate, int64_t number) { at(candidate) += number; });
  }

  // Calls visit(candidate, number) for each, in no particular order.
  template <class Visit>
  void for_each(const Visit& visit) const {
    for (const Slot& slot : slots_) {
      if (slot.candidate.first >= 0) visit(slot.candidate, slot.value);
    }
  }

  void drop_up_to(int64_t number) {
    CandidateTable kept;
    size_t size = 0;
    for_each([&](const Candidate&, int64_t value) { size += value > number; });
    kept.reserve(size);
    for_each([&](const Candidate& candidate, int64_t value) {
      if (value > number) kept.at(candidate) = value;
    });
    *this = std::move(kept);
  }

 private:
  struct Slot {
    Candidate candidate = {-1, -1, -1};  // empty
    int64_t value = 0;
  };

  size_t place(const Candidate& candidate, uint64_t hash) const {
    size_t i = hash & mask_;
    while (slots_[i].candidate.first >= 0 && !(slots_[i].candidate == candidate)) i = (i + 1) & mask_;
    return i;
  }

  void resize(size_t slots) {
    LargeArray<Slot> old(slots);
    old.swap(slots_);
    mask_ = slots - 1;
    for (const Slot& slot : old) {
      if (slot.candidate.first >= 0) slots_[place(slot.candidate, slot.candidate.hash())] = slot;
    }
  }

  LargeArray<Slot> slots_;
  size_t mask_ = 0, size_ = 0;
};

// Runs of connector words; each node is a run, its parent the run without the last word. Node 0 is the empty run.
class RunTrie {
 public:
  static constexpr int32_t kUnknown = -1;

  // The run and one word more; kUnknown where it is not there, or where `run` is kUnknown.
  int32_t find(int32_t run, int32_t word) const {
    if (run < 0) return kUnknown;
    const int64_t* const node = nodes_.find({run, word, 0});
    return node == nullptr ? kUnknown : static_cast<int32_t>(*node);
  }

  int32_t add(int32_t run, int32_t word) {
    int64_t& node = nodes_.at({run, word, 0});
    if (node == 0) {
      if (parents_.size() == std::numeric_limits<int32_t>::max()) {
        throw std::length_error("more than 2^31 - 1 distinct runs of connector words");
      }
      node = static_cast<int64_t>(parents_.size());
      parents_.push_back(run);
      words_.push_back(word);
    }
    return static_cast<int32_t>(node);
  }

  const std::vector<int32_t>& parents() const { return parents_; }  // [nodes]; of node 0: -1
  const std::vector<int32_t>& words() const { return words_; }      // [nodes]; of node 0: -1

 private:
  CandidateTable nodes_;
  std::vector<int32_t> parents_ = {-1}, words_ = {-1};
};

// A corpus as ids, and what word each id stands for.
struct WordStream {
  const int32_t* ids;     // [T]
  const int64_t* starts;  // [sentences + 1] into ids
  int64_t sentences;
  const int32_t* words;  // of every id: a word's number, or -1 - number of a connector word
};

// Calls visit(candidate) for every candidate of the corpus; next(run, connector) walks the trie of runs.
template <class Next, class Visit>
void walk_candidates(const WordStream& stream, const Next& next, const Visit& visit) {
  for (int64_t s = 0; s < stream.sentences; ++s) {
    int32_t first = -1, run = 0;
    for (int64_t i = stream.starts[s]; i < stream.starts[s + 1]; ++i) {
      const int32_t word = stream.words[stream.ids[i]];
      if (word < 0) {
        if (first >= 0) run = next(run, -1 - word);
        continue;
      }
      if (first >= 0) visit(Candidate{first, word, run});
      first = word, run = 0;
    }
  }
}

}  // namespace pyembed
