// PhraseCounts: how often the candidates for phrases occur in a text of ids, counted on all threads.
//
// Candidates are dealt out to shards by hash and every shard belongs to one thread, which goes through the whole text
// and counts what falls to it. So nothing is merged, and no count depends on the number of threads.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "candidates.h"

namespace pyembed {

// n candidates in the order of first word, last word and run.
struct CandidateCounts {
  std::vector<int32_t> first, last, run;
  std::vector<int64_t> counts;
};

class PhraseCounts {
 public:
  // Adds the candidates of a text. Where candidates and those words whose count in word_counts[word_count] is above 0
  // are more than `bound` together, all whose count is at most the smallest sufficient number are forgotten, and that
  // number is returned, else 0. The same holds of the candidates of this text alone, before they are added. Counting
  // takes memory for about 2 * bound candidates: what does not fit is left to another pass over the text.
  int64_t count(const WordStream& stream, const int64_t* word_counts, int64_t word_count, int threads, uint64_t bound);

  // Sets a count, as one that was saved; `run` is a node that add_run gave.
  void set(const Candidate& candidate, int64_t count) { shard_of(candidate).at(candidate) = count; }
  int32_t add_run(int32_t run, int32_t word) { return runs_.add(run, word); }

  uint64_t size() const;
  int64_t count_of(const Candidate& candidate) const;  // 0 where it never occurred
  CandidateCounts candidates(int64_t at_least) const;  // those that occur so often
  const RunTrie& runs() const { return runs_; }

 private:
  static constexpr int kShardBits = 6, kShards = 1 << kShardBits;
  using Shards = std::array<CandidateTable, kShards>;

  static size_t shard_number(uint64_t hash) { return hash >> (64 - kShardBits); }
  CandidateTable& shard_of(const Candidate& candidate) { return shards_[shard_number(candidate.hash())]; }
  // Of this text alone, those above *cut, the smallest number that leaves at most `bound`.
  Shards count_shards(const WordStream& stream, int threads, uint64_t bound, int64_t* cut) const;
  void merge(Shards fresh, int threads);

  RunTrie runs_;
  Shards shards_;
};

}  // namespace pyembed
