// Lines of text that hold a word and its vector: found, and read on several threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace pyembed {

struct LineFormat {
  int64_t dimensions;  // >= 1
  char separator;      // of fields: a space or a tab
  bool has_word;       // before the numbers
  bool any_bytes;      // a word that is not UTF-8 is no fault
};

enum class LineFault : int64_t { kNone, kFields, kNoWord, kUtf8, kNumber };

// A line, or what is wrong with it.
struct VectorLine {
  const char* begin;
  const char* end;  // without the spaces, separators and carriage returns at its end
  int64_t number;   // in the block, from 0
  const char* word_end = nullptr;
  LineFault fault = LineFault::kNone;
  int64_t place = 0;                // kFields: how many there are; kNumber: the dimension
  const char* number_at = nullptr;  // kNumber: where the field begins
};

struct FoundLines {
  std::vector<VectorLine> lines;  // those long enough to hold a vector
  int64_t total = 0;
  VectorLine first_short{};  // where lines.size() < total
};

// The lines of text[0, size); the last may lack its newline.
FoundLines find_lines(const char* text, size_t size, const LineFormat& format);

// Reads `lines` into vectors[lines.size(), D]; rows of lines with a fault are left in any state.
void read_lines(std::vector<VectorLine>& lines, const LineFormat& format, size_t threads, float* vectors);

// Drops the lines with a fault and their rows. Returns how many lines of the block have one; the first is `*first`.
int64_t drop_faults(FoundLines* found, const LineFormat& format, float* vectors, VectorLine* first);

// The number that begins at `at`, rounded to the nearest float32, ties to even. Returns where it ends, at a separator
// or `end`, or nullptr where there is no number. Numbers too large become infinite.
const char* read_number(const char* at, const char* end, char separator, float* value);

}  // namespace pyembed
