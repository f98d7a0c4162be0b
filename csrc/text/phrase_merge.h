// PhraseMerger: a text of ids with the phrases in it joined, each to an id of its own.
//
// A phrase begins at the first word it can begin at, ends at the next word that is no connector, and no word belongs to
// two: words are taken from left to right.
#pragma once

#include <cstdint>
#include <vector>

#include "candidates.h"

namespace pyembed {

// The phrases to join, n of them, all in ids of the text.
struct PhraseList {
  const int32_t* first;       // [n]
  const int32_t* last;        // [n]
  const int64_t* run_starts;  // [n + 1]: phrase p has run_words[run_starts[p] .. run_starts[p + 1]) in between
  const int32_t* run_words;
  const int32_t* joined;  // [n]: the ids they become
  int64_t n;
};

// What the text holds after joining: [joined_ids] each.
struct JoinedCounts {
  std::vector<int64_t> counts;
  std::vector<int64_t> first_positions;  // in the text as it was; -1 where the count is 0
};

struct JoinedSize {
  int64_t tokens, sentences;
};

class PhraseMerger {
 public:
  // is_connector[ids]: whether an id of the text is a connector word. Ids that phrases become may be above.
  PhraseMerger(std::vector<uint8_t> is_connector, const PhraseList& phrases);

  int64_t ids() const { return static_cast<int64_t>(kinds_.size()); }
  // The text's ids and those that phrases become, up to the highest.
  int64_t joined_ids() const { return joined_ids_; }

  // `stream.words` is not looked at, here and below.
  JoinedCounts count(const WordStream& stream, int threads) const;

  // Writes words[id] of every id that is left after joining, where it is not negative, and the starts of sentences that
  // are not empty. Throws std::length_error where an array is too small.
  JoinedSize encode(const WordStream& stream, const int32_t* words, int threads, int32_t* ids, int64_t ids_size,
                    int64_t* starts, int64_t starts_size) const;

 private:
  template <class Emit>
  void walk(const WordStream& stream, int64_t sentence, const Emit& emit) const;

  enum Kind : uint8_t { kWord = 0, kConnector = 1, kBegins = 2, kEnds = 4 };
  std::vector<uint8_t> kinds_;  // [ids] of Kind's bits
  RunTrie runs_;
  CandidateTable joined_;  // ids
  int64_t joined_ids_;
};

}  // namespace pyembed
