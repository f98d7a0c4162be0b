// Counting and joining phrases against slow twins, over numbers of threads and bounds; made for the sanitizers.
#include <algorithm>
#include <cstdio>
#include <map>
#include <random>
#include <stdexcept>
#include <utility>
#include <vector>

#include "check.h"
#include "text/phrase_merge.h"
#include "text/phrases.h"

namespace {

constexpr int32_t kWords = 300, kConnectors = 4;  // words 0 to 3 connect

struct Text {
  std::vector<int32_t> ids;
  std::vector<int64_t> starts = {0};
  std::vector<int32_t> words;

  pyembed::WordStream stream() const {
    return {ids.data(), starts.data(), static_cast<int64_t>(starts.size()) - 1, words.data()};
  }
};

Text random_text(unsigned seed, size_t sentences) {
  std::mt19937 random(seed);
  Text text;
  for (size_t s = 0; s < sentences; ++s) {
    const unsigned tokens = random() % 40;  // some are empty
    for (unsigned i = 0; i < tokens; ++i) {
      text.ids.push_back(static_cast<int32_t>(random() % 3 ? random() % 12 : random() % kWords));
    }
    text.starts.push_back(static_cast<int64_t>(text.ids.size()));
  }
  for (int32_t id = 0; id < kWords; ++id) text.words.push_back(id < kConnectors ? -1 - id : id);
  return text;
}

std::vector<int32_t> sentence_of(const Text& text, size_t s) {
  return {text.ids.begin() + text.starts[s], text.ids.begin() + text.starts[s + 1]};
}

using Key = std::vector<int32_t>;  // first word, connectors, last word
using Counts = std::map<Key, int64_t>;

Counts naive_counts(const Text& text) {
  Counts counts;
  for (size_t s = 0; s + 1 < text.starts.size(); ++s) {
    const std::vector<int32_t> sentence = sentence_of(text, s);
    for (size_t first = 0; first < sentence.size(); ++first) {
      if (sentence[first] < kConnectors) continue;
      size_t last = first + 1;
      while (last < sentence.size() && sentence[last] < kConnectors) ++last;
      if (last < sentence.size()) ++counts[Key(sentence.begin() + first, sentence.begin() + last + 1)];
    }
  }
  return counts;
}

Key run_of(const pyembed::RunTrie& runs, int32_t run) {
  Key words;
  for (; run > 0; run = runs.parents()[run]) words.insert(words.begin(), runs.words()[run]);
  return words;
}

Counts counts_of(const pyembed::PhraseCounts& phrases) {
  const pyembed::CandidateCounts found = phrases.candidates(1);
  Counts counts;
  for (size_t i = 0; i < found.counts.size(); ++i) {
    Key key = run_of(phrases.runs(), found.run[i]);
    key.insert(key.begin(), found.first[i]);
    key.push_back(found.last[i]);
    counts[key] = found.counts[i];
    CHECK(phrases.count_of({found.first[i], found.last[i], found.run[i]}) == found.counts[i]);
  }
  CHECK(counts.size() == found.counts.size());
  CHECK(counts.size() == phrases.size());
  return counts;
}

// What is reserved is there before the first candidate comes: those that are in stay where they are. And 2 * 300,000
// candidates, added in the order of slots, would take seconds in a table that grows on the way.
void test_tables_are_added_and_thinned_out_without_growing_on_the_way() {
  constexpr int32_t kMany = 300000;
  pyembed::CandidateTable one, two, reserved;
  reserved.reserve(kMany);
  const int64_t* const place = &reserved.at({0, 0, 0});
  for (int32_t i = 0; i < kMany; ++i) {
    one.at({i, 1, 0}) = i % 7;
    two.at({i + kMany / 2, 1, 0}) = 7;
    if (i > 0) reserved.at({i, 0, 0}) = i;
  }
  CHECK(reserved.find({0, 0, 0}) == place);
  CHECK(reserved.size() == kMany);
  one.add(two);
  CHECK(one.size() == kMany / 2 * 3);
  one.drop_up_to(0);
  for (int32_t i = 0; i < kMany / 2 * 3; ++i) {
    const int64_t number = (i < kMany ? i % 7 : 0) + (i >= kMany / 2 ? 7 : 0);
    const int64_t* const found = one.find({i, 1, 0});
    CHECK(number == 0 ? found == nullptr : found != nullptr && *found == number);
  }
}

void test_counts_equal_the_twin(int threads) {
  const Text one = random_text(1, 500), two = random_text(2, 300);
  pyembed::PhraseCounts phrases;
  CHECK(phrases.count(one.stream(), nullptr, 0, threads, 1 << 30) == 0);
  Counts expected = naive_counts(one);
  CHECK(counts_of(phrases) == expected);
  CHECK(phrases.count(two.stream(), nullptr, 0, threads, 1 << 30) == 0);
  for (const auto& [key, count] : naive_counts(two)) expected[key] += count;
  CHECK(counts_of(phrases) == expected);
}

// 1 << 12 candidates is what a thread has room for at least, so that shards are left to later passes.
void test_the_most_frequent_stay_within_bounds(int threads, uint64_t bound) {
  const Text text = random_text(3, 4000);
  const std::vector<int64_t> word_counts = {7, 0, 1, 1000, 3};
  pyembed::PhraseCounts phrases;
  const int64_t cut = phrases.count(text.stream(), word_counts.data(), 5, threads, bound);
  Counts expected = naive_counts(text);
  CHECK(expected.size() > 1 << 13);
  const auto above = [&](int64_t number) {
    uint64_t size = 0;
    for (const auto& [key, count] : expected) size += count > number;
    for (const int64_t count : word_counts) size += count > number;
    return size;
  };
  CHECK(above(cut) <= bound);
  CHECK(cut == 0 || above(cut - 1) > bound);
  for (auto it = expected.begin(); it != expected.end();) it = it->second > cut ? std::next(it) : expected.erase(it);
  CHECK(counts_of(phrases) == expected);
}

// What joining makes of a sentence: ids, and where the first word of each stood.
std::vector<std::pair<int32_t, int64_t>> naive_join(const Key& sentence, const std::map<Key, int32_t>& joined) {
  std::vector<std::pair<int32_t, int64_t>> result;
  size_t at = 0;
  while (at < sentence.size()) {
    size_t last = at + 1;
    if (sentence[at] >= kConnectors) {
      while (last < sentence.size() && sentence[last] < kConnectors) ++last;
    }
    const bool ends = sentence[at] >= kConnectors && last < sentence.size();
    const auto found = ends ? joined.find(Key(sentence.begin() + at, sentence.begin() + last + 1)) : joined.end();
    result.emplace_back(found == joined.end() ? sentence[at] : found->second, at);
    at = found == joined.end() ? at + 1 : last + 1;
  }
  return result;
}

void test_joined_text_equals_the_twin(int threads) {
  const Text text = random_text(4, 700);
  const Counts counts = naive_counts(text);
  std::map<Key, int32_t> joined;
  std::vector<int32_t> first, last, run_words, ids;
  std::vector<int64_t> run_starts = {0};
  for (const auto& [key, count] : counts) {
    if (count < 3) continue;
    ids.push_back(kWords + static_cast<int32_t>(joined.size()));
    joined[key] = ids.back();
    first.push_back(key.front());
    last.push_back(key.back());
    run_words.insert(run_words.end(), key.begin() + 1, key.end() - 1);
    run_starts.push_back(static_cast<int64_t>(run_words.size()));
  }
  CHECK(joined.size() > 100);
  CHECK(run_words.size() > 10);
  std::vector<uint8_t> is_connector(kWords, 0);
  std::fill_n(is_connector.begin(), kConnectors, 1);
  const pyembed::PhraseMerger merger(is_connector, {first.data(), last.data(), run_starts.data(), run_words.data(),
                                                    ids.data(), static_cast<int64_t>(ids.size())});
  CHECK(merger.joined_ids() == kWords + static_cast<int64_t>(joined.size()));

  // Every third word vanishes, so that some sentences do.
  std::vector<int32_t> words(merger.joined_ids());
  for (size_t id = 0; id < words.size(); ++id) words[id] = id % 3 ? static_cast<int32_t>(id) : -1;
  std::vector<int64_t> expected_counts(words.size(), 0), expected_positions(words.size(), -1), expected_starts = {0};
  std::vector<int32_t> expected;
  for (size_t s = 0; s + 1 < text.starts.size(); ++s) {
    for (const auto& [id, place] : naive_join(sentence_of(text, s), joined)) {
      if (expected_counts[id]++ == 0) expected_positions[id] = text.starts[s] + place;
      if (words[id] >= 0) expected.push_back(words[id]);
    }
    const auto end = static_cast<int64_t>(expected.size());
    if (end > expected_starts.back()) expected_starts.push_back(end);
  }

  const pyembed::JoinedCounts found = merger.count(text.stream(), threads);
  CHECK(found.counts == expected_counts);
  CHECK(found.first_positions == expected_positions);
  std::vector<int32_t> encoded(expected.size());
  std::vector<int64_t> starts(expected_starts.size());
  const auto encode = [&](size_t ids_size) {
    return merger.encode(text.stream(), words.data(), threads, encoded.data(), static_cast<int64_t>(ids_size),
                         starts.data(), static_cast<int64_t>(starts.size()));
  };
  const pyembed::JoinedSize size = encode(encoded.size());
  CHECK(size.tokens == static_cast<int64_t>(expected.size()));
  CHECK(size.sentences + 1 == static_cast<int64_t>(expected_starts.size()));
  CHECK(encoded == expected);
  CHECK(starts == expected_starts);
  bool thrown = false;
  try {
    encode(encoded.size() - 1);
  } catch (const std::length_error&) {
    thrown = true;
  }
  CHECK(thrown);
}

}  // namespace

int main() {
  test_tables_are_added_and_thinned_out_without_growing_on_the_way();
  for (const int threads : {1, 2, 5}) {
    test_counts_equal_the_twin(threads);
    for (const uint64_t bound : {uint64_t{1} << 30, uint64_t{5000}, uint64_t{400}, uint64_t{0}}) {
      test_the_most_frequent_stay_within_bounds(threads, bound);
    }
    test_joined_text_equals_the_twin(threads);
  }
  std::puts("phrases: all promises hold");
}
