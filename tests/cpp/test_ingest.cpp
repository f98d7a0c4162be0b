// The text engine against a slow twin, over numbers of threads and sizes of blocks; made for the sanitizers.
#include <algorithm>
#include <cstdio>
#include <map>
#include <random>
#include <string>
#include <system_error>
#include <vector>

#include "check.h"
#include "text/ingest.h"
#include "text/positioned_io.h"
#include "text/separators.h"

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

bool feed(pyembed::Ingest& ingest, const std::string& text, size_t block) {
  for (size_t at = 0; at < text.size(); at += block) {
    if (!ingest.feed(text.data() + at, std::min(block, text.size() - at))) return false;
  }
  return ingest.end_of_file();
}

int descriptor(std::FILE* file) {
  CHECK(file != nullptr);
  return fileno(file);
}

std::string text_of(const pyembed::Types& types, int64_t type) {
  const uint64_t begin = type ? types.ends[type - 1] : 0;
  return std::string(types.text.data() + begin, types.ends[type] - begin);
}

// Every type becomes one word, its own number.
Sentences encoded(const pyembed::Ingest& ingest, uint64_t tokens) {
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

// Also the plain version, which machines with SSE2 do not use.
template <class Separators>
void test_masks_hold_every_separator_and_little_else() {
  for (int shift = 0; shift < 256; ++shift) {
    char bytes[64];
    for (int i = 0; i < 64; ++i) bytes[i] = static_cast<char>(shift + i);
    const uint64_t mask = pyembed::candidate_mask<Separators>(bytes);
    CHECK(mask == pyembed::candidate_mask_portable<Separators>(bytes));
    for (int i = 0; i < 64; ++i) {
      const auto byte = static_cast<uint8_t>(bytes[i]);
      const bool candidate = mask >> i & 1;
      CHECK(candidate || !Separators::ends_token(byte));
      CHECK(!candidate || byte <= 0x20 || byte >= 0xfe);
    }
  }
}

void test_counts_and_sentences_equal_the_twin(int threads, size_t block, size_t memory) {
  const std::string text = random_text(7, 20'000);
  const Sentences expected = naive_sentences(text);
  std::map<std::string, uint64_t> counts;
  uint64_t tokens = 0;
  for (const auto& sentence : expected) {
    for (const std::string& token : sentence) ++counts[token], ++tokens;
  }
  std::FILE* scratch = std::tmpfile();
  pyembed::Ingest ingest(descriptor(scratch), memory, threads, false, true);
  CHECK(feed(ingest, text, block));
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

void test_the_earliest_fault_is_found(int threads, size_t block) {
  std::string text = random_text(8, 20'000);
  const size_t bad = text.find(' ', text.size() / 2) + 1;
  text[bad] = '\xff';
  for (size_t at = bad + 1000; at < text.size(); at += 1000) text[at] = '\xfd';
  std::FILE* scratch = std::tmpfile();
  pyembed::Ingest ingest(descriptor(scratch), kMemory, threads, false, true);
  feed(ingest, text, block);
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
  feed(ingest, random_text(9, 20'000), 4096);
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
  test_masks_hold_every_separator_and_little_else<pyembed::TextSeparators>();
  test_masks_hold_every_separator_and_little_else<pyembed::RecordSeparators>();
  for (const int threads : {1, 2, 5}) {
    for (const size_t block : {size_t{1}, size_t{61}, size_t{4096}, size_t{1} << 20}) {
      if (block == 1 && threads == 2) continue;  // a block a byte is slow
      test_counts_and_sentences_equal_the_twin(threads, block, kMemory);
      test_the_earliest_fault_is_found(threads, block);
    }
    test_counts_and_sentences_equal_the_twin(threads, 4096, 0);
    test_a_failed_write_is_thrown(threads);
  }
  std::puts("text engine: all promises hold");
}
