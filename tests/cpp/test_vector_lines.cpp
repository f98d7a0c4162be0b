// Lines of vectors in blocks of exactly their size, sound and damaged: made for the sanitizers.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "text/subwords.h"
#include "text/vector_lines.h"

namespace {

using namespace pyembed;

struct Result {
  std::vector<std::string> words;
  std::vector<float> vectors;
  int64_t lines, faults;
};

// Reads a copy that ends where its memory does.
Result read(const std::string& text, const LineFormat& format, size_t threads) {
  const std::unique_ptr<char[]> copy(new char[text.size()]);
  std::copy(text.begin(), text.end(), copy.get());
  FoundLines found = find_lines(copy.get(), text.size(), format);
  Result result;
  result.vectors.resize(found.lines.size() * static_cast<size_t>(format.dimensions));
  read_lines(found.lines, format, threads, result.vectors.data());
  VectorLine first;
  result.lines = found.total;
  result.faults = drop_faults(&found, format, result.vectors.data(), &first);
  result.vectors.resize(found.lines.size() * static_cast<size_t>(format.dimensions));
  for (const VectorLine& line : found.lines) {
    result.words.emplace_back(line.begin, format.has_word ? line.word_end : line.begin);
  }
  CHECK(result.lines == result.faults + static_cast<int64_t>(result.words.size()));
  return result;
}

void sound_lines_are_read() {
  const Result result = read("the 1 -2.5\n. . . 3e2 .5 \r\nlast 0.1 inf", {2, ' ', true, false}, 2);
  CHECK(result.faults == 0 && result.lines == 3);
  CHECK((result.words == std::vector<std::string>{"the", ". . .", "last"}));
  CHECK(result.vectors[1] == -2.5f && result.vectors[2] == 300.0f && result.vectors[4] == 0.1f);
}

void printed_numbers_read_back_equal() {
  std::mt19937 random(1);
  for (int i = 0; i < 300000; ++i) {
    const uint32_t bits = random();
    float expected, found;
    std::memcpy(&expected, &bits, sizeof bits);
    if (!(expected - expected == 0)) continue;
    char text[32];
    const int length = std::snprintf(text, sizeof text, i % 2 ? "%.9g" : "%.17g", expected);
    const std::unique_ptr<char[]> copy(new char[length]);
    std::copy_n(text, length, copy.get());
    CHECK(read_number(copy.get(), copy.get() + length, ' ', &found) == copy.get() + length);
    CHECK(std::memcmp(&found, &expected, sizeof found) == 0);
  }
}

void damaged_blocks_are_read_within_their_bounds() {
  const std::string pieces[] = {"a",   "1",    "-2.5", " ", "\t",    "\n",
                                "\r",  "\xc3", "\xa9", "e", "1e999", "1e-99999999999999999999999",
                                "nan", "0x1",  "."};
  std::mt19937 random(2);
  for (int i = 0; i < 15000; ++i) {
    std::string text;
    for (unsigned n = random() % 24; n > 0; --n) text += pieces[random() % 15];
    const LineFormat format{static_cast<int64_t>(1 + random() % 3), random() % 4 ? ' ' : '\t', random() % 3 != 0,
                            random() % 2 == 0};
    const Result one = read(text, format, 1), three = read(text, format, 3);
    CHECK(one.words == three.words && one.faults == three.faults);
  }
}

void ngrams_of_any_bytes_stay_within_their_bounds() {
  std::mt19937 random(3);
  for (int i = 0; i < 3000; ++i) {
    const size_t size = random() % 40;
    const std::unique_ptr<char[]> text(new char[size]);
    std::generate_n(text.get(), size, [&] { return static_cast<char>(random()); });
    const int64_t ends[] = {static_cast<int64_t>(size / 3), static_cast<int64_t>(size)};
    int64_t starts[3];
    std::vector<int32_t> rows;
    const Subwords subwords{static_cast<int32_t>(random() % 4), static_cast<int32_t>(random() % 6),
                            static_cast<uint32_t>(1 + random() % 1000)};
    find_ngram_rows(text.get(), ends, 2, subwords, starts, &rows);
    CHECK(starts[2] == static_cast<int64_t>(rows.size()));
    for (const int32_t row : rows) CHECK(row >= 0 && static_cast<uint32_t>(row) < subwords.buckets);
  }
}

}  // namespace

int main() {
  sound_lines_are_read();
  printed_numbers_read_back_equal();
  damaged_blocks_are_read_within_their_bounds();
  ngrams_of_any_bytes_stay_within_their_bounds();
  std::puts("ok");
}
