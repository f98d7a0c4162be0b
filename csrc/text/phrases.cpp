// Counting candidates: what a thread counts, what becomes of it when memory runs short, and how counts are added up.
#include "phrases.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "parallel.h"

namespace pyembed {
namespace {

constexpr size_t kAhead = 32;          // candidates whose slots are on their way from memory
constexpr uint64_t kFewest = 1 << 12;  // candidates that a thread always has room for

// Calls function(i) for every i below n on so many threads, i's dealt out in turn.
template <class Function>
void dealt_to_threads(size_t n, int threads, const Function& function) {
  const auto step = std::min(n, static_cast<size_t>(std::max(threads, 1)));
  in_threads(step, [&](size_t thread) {
    for (size_t i = thread; i < n; i += step) function(i);
  });
}

template <class Shards>
uint64_t size_of(const Shards& shards) {
  uint64_t size = 0;
  for (const CandidateTable& shard : shards) size += shard.size();
  return size;
}

// How many counts are above a number.
template <class Shards>
uint64_t size_above(const Shards& shards, int64_t count) {
  if (count == 0) return size_of(shards);  // all are, and each small text that is added asks
  uint64_t size = 0;
  for (const CandidateTable& shard : shards) {
    shard.for_each([&](const Candidate&, int64_t number) { size += number > count; });
  }
  return size;
}

// The smallest number such that at most `bound` counts, those of `others` among them, are above it.
template <class Shards>
int64_t smallest_cut(const Shards& shards, const int64_t* others, int64_t n, uint64_t bound) {
  const auto fits = [&](int64_t cut) {
    return size_above(shards, cut) +
               static_cast<uint64_t>(std::count_if(others, others + n, [=](int64_t count) { return count > cut; })) <=
           bound;
  };
  if (fits(0)) return 0;
  int64_t too_small = 0, enough = 1;
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  while (!fits(enough)) too_small = enough, enough = enough > kMost / 2 ? kMost : enough * 2;
  while (enough - too_small > 1) {
    const int64_t middle = too_small + (enough - too_small) / 2;
    (fits(middle) ? enough : too_small) = middle;
  }
  return enough;
}

template <class Shards>
void drop_up_to(Shards& shards, int64_t cut, int threads) {
  dealt_to_threads(shards.size(), threads, [&](size_t shard) { shards[shard].drop_up_to(cut); });
}

}  // namespace

int64_t PhraseCounts::count(const WordStream& stream, const int64_t* word_counts, int64_t word_count, int threads,
                            uint64_t bound) {
  // Nodes are made here, by one thread in the order of the text, so that they do not depend on threads either.
  walk_candidates(stream, [this](int32_t run, int32_t word) { return runs_.add(run, word); }, [](const Candidate&) {});
  int64_t cut = 0;
  merge(count_shards(stream, threads, bound, &cut), threads);
  cut = std::max(cut, smallest_cut(shards_, word_counts, word_count, bound));
  if (cut > 0) drop_up_to(shards_, cut, threads);
  return cut;
}

PhraseCounts::Shards PhraseCounts::count_shards(const WordStream& stream, int threads, uint64_t bound,
                                                int64_t* cut) const {
  Shards counted;
  std::vector<size_t> uncounted(kShards);
  for (size_t shard = 0; shard < kShards; ++shard) uncounted[shard] = shard;

  while (!uncounted.empty()) {
    const size_t workers = std::min(uncounted.size(), static_cast<size_t>(std::max(threads, 1)));
    const uint64_t room = std::max(bound / workers, kFewest);  // for each worker
    std::vector<std::vector<size_t>> left(workers);
    in_threads(workers, [&](size_t worker) {
      std::array<bool, kShards> is_mine = {};
      std::vector<size_t> mine;
      for (size_t i = worker; i < uncounted.size(); i += workers) {
        mine.push_back(uncounted[i]);
        is_mine[uncounted[i]] = true;
      }
      uint64_t size = 0;
      std::array<std::pair<Candidate, uint64_t>, kAhead> pending;
      size_t waiting = 0;
      const auto add_pending = [&] {
        for (size_t i = 0; i < waiting; ++i) {
          const auto& [candidate, hash] = pending[i];
          int64_t& count = counted[shard_number(hash)].at(candidate, hash);
          size += count++ == 0;
        }
        waiting = 0;
        while (size > room && mine.size() > 1) {  // a shard alone is counted whatever it takes
          const size_t shard = mine.back();
          mine.pop_back();
          is_mine[shard] = false;
          left[worker].push_back(shard);
          size -= counted[shard].size();
          counted[shard] = CandidateTable();
        }
      };
      walk_candidates(
          stream, [this](int32_t run, int32_t word) { return runs_.find(run, word); },
          [&](const Candidate& candidate) {
            const uint64_t hash = candidate.hash();
            if (!is_mine[shard_number(hash)]) return;
            counted[shard_number(hash)].prefetch(hash);
            pending[waiting++] = {candidate, hash};
            if (waiting == kAhead) add_pending();
          });
      add_pending();
    });
    uncounted.clear();
    for (const auto& shards : left) uncounted.insert(uncounted.end(), shards.begin(), shards.end());
    // What is rare among a part of the candidates is rare among all of them.
    *cut = std::max(*cut, smallest_cut(counted, nullptr, 0, bound));
    if (*cut > 0) drop_up_to(counted, *cut, threads);
  }
  return counted;
}

void PhraseCounts::merge(Shards fresh, int threads) {
  dealt_to_threads(kShards, threads, [&](size_t shard) {
    if (shards_[shard].size() == 0) {
      shards_[shard] = std::move(fresh[shard]);
      return;
    }
    shards_[shard].add(fresh[shard]);
    fresh[shard] = CandidateTable();
  });
}

uint64_t PhraseCounts::size() const { return size_of(shards_); }

int64_t PhraseCounts::count_of(const Candidate& candidate) const {
  const uint64_t hash = candidate.hash();
  const int64_t* const count = shards_[shard_number(hash)].find(candidate, hash);
  return count == nullptr ? 0 : *count;
}

CandidateCounts PhraseCounts::candidates(int64_t at_least) const {
  std::vector<std::pair<Candidate, int64_t>> found;
  for (const CandidateTable& shard : shards_) {
    shard.for_each([&](const Candidate& candidate, int64_t count) {
      if (count >= at_least) found.emplace_back(candidate, count);
    });
  }
  std::sort(found.begin(), found.end(), [](const auto& left, const auto& right) {
    const Candidate &a = left.first, &b = right.first;
    return a.first != b.first ? a.first < b.first : a.last != b.last ? a.last < b.last : a.run < b.run;
  });
  CandidateCounts candidates;
  for (const auto& [candidate, count] : found) {
    candidates.first.push_back(candidate.first);
    candidates.last.push_back(candidate.last);
    candidates.run.push_back(candidate.run);
    candidates.counts.push_back(count);
  }
  return candidates;
}

}  // namespace pyembed
