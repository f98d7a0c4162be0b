// The text engine against a slow twin, over numbers of threads and sizes of blocks; made for the sanitizers.
#include <algorithm>
#include <cstdio>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "check.h"
#include "text/ingest.h"
#include "text/positioned_io.h"
#include "text/separators.h"
#include "text/token_ends.h"

namespace {

constexpr size_t kMemory = 1 << 28;

using Sentences = std::vector<std::vector<std::string>>;

std::string random_text(unsigned seed, size_t tokens) {
  std::mt19937 random(seed);
  std::string text;
  for (size_t i = 0; i < tokens; ++i) {
    const unsigned draw = random() % 64;
    const unsigned word = draw < 48 ? random() % 50 : random() % 5000;
    text += "w" + std::to_string(word) + std::string(word % 29, 'x');
    text += draw == 0 ? "\n\n" : draw < 4 ? "\n" : draw == 4 ? " \t" : " ";
  }
  return text;
}

Sentences naive_sentences(const std::string& text) {
  Sentences sentences(1);
  std::string token;
  for (const char byte : text + "\n") {
    if (byte != ' ' && byte != '\t' && byte != '\n') {
      token += byte;
      continue;
    }
    if (!token.empty()) sentences.back().push_back(token);
    token.clear();
    if (byte == '\n' && !sentences.back().empty()) sentences.emplace_back();
  }
  sentences.pop_back();
  return sentences;
}

int descriptor(std::FILE* file) {
  CHECK(file != nullptr);
  return fileno(file);
}

enum class Fed { kBlocks, kPieces };

bool feed(pyembed::Ingest& ingest, const std::string& text, size_t size, Fed fed) {
  std::FILE* const file = std::tmpfile();
  pyembed::write_at(descriptor(file), text.data(), text.size(), 0);
  bool wanted = true;
  for (size_t at = 0; wanted && at < text.size(); at += size) {
    const size_t here = std::min(size, text.size() - at);
    wanted = fed == Fed::kBlocks ? ingest.feed(text.data() + at, here)
                                 : ingest.feed_file(descriptor(file), "a file", at, here);
  }
  std::fclose(file);
  return wanted && ingest.end_of_file();
}

std::string text_of(const pyembed::Types& types, int64_t type) {
  return std::string(types.texts[type].bytes, types.texts[type].size);
}

// Every type becomes one word, its own number.
Sentences encoded(pyembed::Ingest& ingest, uint64_t tokens) {
  const pyembed::Types& types = ingest.types();
  std::vector<int32_t> words(types.counts.size());
  for (size_t i = 0; i < words.size(); ++i) words[i] = static_cast<int32_t>(i);
  std::vector<int32_t> ids(tokens);
  std::vector<int64_t> starts(ingest.sentence_ends() + 1);
  const auto size =
      ingest.encode({words.data(), nullptr, nullptr},
                    {ids.data(), static_cast<int64_t>(ids.size()), starts.data(), static_cast<int64_t>(starts.size())});
  CHECK(size.tokens == static_cast<int64_t>(tokens));
  Sentences sentences;
  for (int64_t s = 0; s < size.sentences; ++s) {
    sentences.emplace_back();
    for (int64_t i = starts[s]; i < starts[s + 1]; ++i) sentences.back().push_back(text_of(types, ids[i]));
  }
  return sentences;
}

// Also the plain masks, which machines with SSE2 do not use.
template <class Separators>
void test_masks_hold_every_separator_and_nothing_else() {
  for (int shift = 0; shift < 256; ++shift) {
    char bytes[64];
    for (int i = 0; i < 64; ++i) bytes[i] = static_cast<char>(shift + i);
    const uint64_t mask = pyembed::token_ends_mask<Separators>(bytes);
    CHECK(mask == pyembed::portable_ends_mask<Separators>(bytes));
    for (int i = 0; i < 64; ++i) {
      CHECK((mask >> i & 1) == Separators::ends_token(static_cast<uint8_t>(bytes[i])));
    }
  }
}

// Of any density, from a separator at every byte to none, in pieces of any size.
template <class Separators>
void test_token_ends_are_the_places_of_separators(pyembed::FindTokenEnds find) {
  std::mt19937 random(11);
  const auto find_in = [&](const std::string& text, size_t size) {
    std::vector<uint16_t> ends(pyembed::kEndsRoom);
    ends.resize(find(text.data(), size, ends.data()));
    return ends;
  };
  for (const unsigned every : {1u, 2u, 3u, 6u, 40u, 1'000'000u}) {
    std::string text;
    for (size_t i = 0; i < pyembed::kPiece + 64; ++i) {
      text += random() % every == 0 ? Separators::sentence_end : static_cast<char>(random());
    }
    for (size_t size = 0; size <= pyembed::kPiece; size += 1 + random() % 70) {
      std::vector<uint16_t> expected;
      for (size_t i = 0; i < size; ++i) {
        if (Separators::ends_token(static_cast<uint8_t>(text[i]))) expected.push_back(static_cast<uint16_t>(i));
      }
      CHECK(find_in(text, size) == expected);
    }
  }
  CHECK(find_in(std::string(pyembed::kPiece, Separators::sentence_end), pyembed::kPiece).size() == pyembed::kPiece);
}

void test_long_tokens_with_the_same_key_stay_apart() {
  const std::string text = "a-token-of-24-characters another-of-24-characters" + std::string(pyembed::kKeyPadding, ' ');
  const std::string_view one(text.data(), 24), other(text.data() + 25, 24);
  const pyembed::TypeKey key = pyembed::key_of(one.data(), 24);
  pyembed::TypeTable types;
  types.insert(key, one, 0);
  CHECK(types.count(key, other) == -1);
  CHECK(types.insert(key, other, 25) == 1);
  CHECK(types.count(key, one) == 0);
  CHECK(types.count(key, other) == 1);
  CHECK(types.count_at(types.slot_of(key.hash()), key) == -1);
}

void test_counts_and_sentences_equal_the_twin(int threads, size_t block, size_t memory, Fed fed) {
  const std::string text = random_text(7, 20'000);
  const Sentences expected = naive_sentences(text);
  std::map<std::string, uint64_t> counts;
  uint64_t tokens = 0;
  for (const auto& sentence : expected) {
    for (const std::string& token : sentence) ++counts[token], ++tokens;
  }
  std::FILE* scratch = std::tmpfile();
  pyembed::Ingest ingest(descriptor(scratch), memory, threads, false, true);
  CHECK(feed(ingest, text, block, fed));
  ingest.finish();
  CHECK(ingest.types().counts.size() == counts.size());
  for (size_t type = 0; type < counts.size(); ++type) {
    const std::string token = text_of(ingest.types(), type);
    CHECK(counts[token] == ingest.types().counts[type]);
    CHECK(text.compare(ingest.types().first_positions[type], token.size(), token) == 0);
  }
  CHECK(encoded(ingest, tokens) == expected);
  ingest.close();
  std::fclose(scratch);
}

// Notes of 16 bits and wider ones become no word, one word or several alike.
void test_more_types_than_a_note_has_bits_for(int threads, size_t memory) {
  constexpr int32_t kTypes = 70'000;
  std::string text;
  std::vector<int32_t> expected;
  for (int32_t i = 0; i < 2 * kTypes; ++i) {
    const int32_t number = i < kTypes ? i : 2 * kTypes - 1 - i;
    text += std::to_string(number) + (number % 7 == 0 ? '\n' : ' ');
    for (int32_t k = 0; k < number % 3; ++k) expected.push_back(number + k);
  }
  std::FILE* scratch = std::tmpfile();
  pyembed::Ingest ingest(descriptor(scratch), memory, threads, false, true);
  CHECK(feed(ingest, text, 1 << 14, Fed::kBlocks));
  ingest.finish();
  CHECK(ingest.types().counts.size() == kTypes);
  std::vector<int32_t> words, list_words;
  std::vector<int64_t> list_starts = {0};
  for (int32_t type = 0; type < kTypes; ++type) {
    const int32_t number = std::stoi(text_of(ingest.types(), type));
    const auto list = static_cast<int32_t>(list_starts.size() - 1);
    words.push_back(number % 3 == 0 ? -1 : number % 3 == 1 ? number : -2 - list);
    if (number % 3 != 2) continue;
    list_words.insert(list_words.end(), {number, number + 1});
    list_starts.push_back(static_cast<int64_t>(list_words.size()));
  }
  std::vector<int32_t> ids(expected.size());
  std::vector<int64_t> starts(ingest.sentence_ends() + 1);
  const pyembed::WordMap map{words.data(), list_starts.data(), list_words.data()};
  const pyembed::EncodedArrays arrays{ids.data(), static_cast<int64_t>(ids.size()), starts.data(),
                                      static_cast<int64_t>(starts.size())};
  CHECK(ingest.encode(map, arrays).tokens == static_cast<int64_t>(expected.size()));
  CHECK(ids == expected);
  bool refused = false;  // the notes are gone
  try {
    ingest.encode(map, arrays);
  } catch (const std::logic_error&) {
    refused = true;
  }
  CHECK(refused);
  ingest.close();
  std::fclose(scratch);
}

void test_the_earliest_fault_is_found(int threads, size_t block, Fed fed) {
  std::string text = random_text(8, 20'000);
  const size_t bad = text.find(' ', text.size() / 2) + 1;
  text[bad] = '\xff';
  for (size_t at = bad + 1000; at < text.size(); at += 1000) text[at] = '\xfd';
  std::FILE* scratch = std::tmpfile();
  pyembed::Ingest ingest(descriptor(scratch), kMemory, threads, false, true);
  feed(ingest, text, block, fed);
  ingest.finish();
  CHECK(ingest.fault().found);
  CHECK(ingest.fault().byte == bad);
  CHECK(ingest.fault().value == 0xff);
  CHECK(ingest.fault().line == 1 + static_cast<uint64_t>(std::count(text.begin(), text.begin() + bad, '\n')));
  ingest.close();
  std::fclose(scratch);
}

void test_a_failed_write_is_thrown(int threads) {
  std::FILE* read_only = std::fopen("/dev/null", "rb");
  pyembed::Ingest ingest(descriptor(read_only), 0, threads, false, true);
  feed(ingest, random_text(9, 20'000), 4096, Fed::kBlocks);
  bool thrown = false;
  try {
    ingest.finish();
  } catch (const std::system_error&) {
    thrown = true;
  }
  CHECK(thrown);
  std::fclose(read_only);
}

}  // namespace

int main() {
  using pyembed::RecordSeparators, pyembed::TextSeparators;
  test_masks_hold_every_separator_and_nothing_else<TextSeparators>();
  test_masks_hold_every_separator_and_nothing_else<RecordSeparators>();
  test_token_ends_are_the_places_of_separators<TextSeparators>(&pyembed::portable_token_ends<TextSeparators>);
  test_token_ends_are_the_places_of_separators<RecordSeparators>(&pyembed::portable_token_ends<RecordSeparators>);
  if (const auto avx512 = pyembed::avx512_token_ends<TextSeparators>()) {
    test_token_ends_are_the_places_of_separators<TextSeparators>(avx512);
    test_token_ends_are_the_places_of_separators<RecordSeparators>(pyembed::avx512_token_ends<RecordSeparators>());
  }
  test_long_tokens_with_the_same_key_stay_apart();
  for (const int threads : {1, 2, 5}) {
    for (const size_t block : {size_t{1}, size_t{61}, size_t{4096}, size_t{1} << 20}) {
      if (block == 1 && threads == 2) continue;  // a block a byte is slow
      for (const Fed fed : {Fed::kBlocks, Fed::kPieces}) {
        test_counts_and_sentences_equal_the_twin(threads, block, kMemory, fed);
        test_the_earliest_fault_is_found(threads, block, fed);
      }
    }
    test_counts_and_sentences_equal_the_twin(threads, 4096, 0, Fed::kBlocks);
    test_more_types_than_a_note_has_bits_for(threads, kMemory);
    test_more_types_than_a_note_has_bits_for(threads, 0);
    test_a_failed_write_is_thrown(threads);
  }
  std::puts("text engine: all promises hold");
}
