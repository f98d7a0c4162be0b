#include "vector_lines.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <system_error>

#include "parallel.h"
#include "utf8.h"

namespace pyembed {
namespace {

// Exact in float64, as is every whole number below 2^53: their quotient is then the float64 nearest to the decimal.
constexpr double kPowers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                              1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
constexpr int kMaxDigits = 15;
constexpr int kMaxPlaces = 22;

bool is_digit(char c) { return static_cast<unsigned char>(c - '0') < 10; }

// What a decimal outside of float64's range becomes: the place of its first digit that is not 0 tells which end it
// left.
float beyond_range(const char* at, const char* end) {
  int64_t magnitude = 0;  // digits before the point from the first that is not 0, or minus the zeros after the point
  bool has_point = false, has_digit = false;
  for (; at < end && (is_digit(*at) || *at == '.'); ++at) {
    if (*at == '.') {
      has_point = true;
    } else if (*at != '0' || has_digit) {
      has_digit = true;
      if (!has_point) ++magnitude;
    } else if (has_point) {
      --magnitude;
    }
  }
  if (at < end && (*at == 'e' || *at == 'E')) {
    const bool negative = ++at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+')) ++at;
    int64_t exponent = 0;
    for (; at < end && is_digit(*at); ++at) exponent = std::min<int64_t>(10 * exponent + (*at - '0'), int64_t{1} << 50);
    magnitude += negative ? -exponent : exponent;
  }
  return magnitude > 0 ? std::numeric_limits<float>::infinity() : 0.0f;
}

// Any number, without its sign, in text[at, end).
bool read_any(const char* at, const char* end, float* value) {
  if (at == end || *at == '-' || *at == '+' || std::memchr(at, '(', static_cast<size_t>(end - at))) return false;
  const auto [stop, error] = std::from_chars(at, end, *value);
  if (stop != end) return false;
  if (error == std::errc::result_out_of_range) {
    double wide;
    const bool fits = std::from_chars(at, end, wide).ec == std::errc();
    *value = fits ? static_cast<float>(wide) : beyond_range(at, end);
    return true;
  }
  return error == std::errc();
}

// Reads D numbers from `at` to the end of the line. False: `*at` is where the field that is no number begins.
bool read_numbers(const char** at, const VectorLine& line, const LineFormat& format, float* row, int64_t* dimension) {
  for (*dimension = 0; *dimension < format.dimensions; ++*dimension) {
    const char* const stop = read_number(*at, line.end, format.separator, row + *dimension);
    const bool is_last = *dimension + 1 == format.dimensions;
    if (stop == nullptr || (stop == line.end) != is_last) return false;
    if (!is_last) *at = stop + 1;
  }
  return true;
}

int64_t count_fields(const VectorLine& line, const LineFormat& format) {
  return 1 + std::count(line.begin, line.end, format.separator);
}

// Whether there are as many fields as there must be; sets the fault where there are not.
bool has_fields(VectorLine* line, const LineFormat& format) {
  const int64_t expected = format.dimensions + (format.has_word ? 1 : 0);
  const int64_t fields = count_fields(*line, format);
  if (fields == expected || (fields > expected && format.has_word)) return true;
  line->fault = LineFault::kFields;
  line->place = fields;
  return false;
}

void read_line(VectorLine* line, const LineFormat& format, float* row) {
  const auto length = static_cast<size_t>(line->end - line->begin);
  const char* numbers = line->begin;
  if (format.has_word) {
    line->word_end = static_cast<const char*>(std::memchr(line->begin, format.separator, length));
    numbers = line->word_end ? line->word_end + 1 : line->end;
  }
  int64_t dimension;
  if (numbers == line->end || !read_numbers(&numbers, *line, format, row, &dimension)) {
    // A word that holds separators, or a damaged line: the last D fields are the numbers.
    if (!has_fields(line, format)) return;
    const int64_t fields = count_fields(*line, format);
    numbers = line->begin;
    for (int64_t skipped = 0; skipped < fields - format.dimensions; ++skipped) {
      line->word_end =
          static_cast<const char*>(std::memchr(numbers, format.separator, static_cast<size_t>(line->end - numbers)));
      numbers = line->word_end + 1;
    }
    if (!read_numbers(&numbers, *line, format, row, &dimension)) {
      line->fault = LineFault::kNumber;
      line->place = dimension;
      line->number_at = numbers;
      return;
    }
  }
  if (!format.has_word) return;
  const auto word_length = static_cast<size_t>(line->word_end - line->begin);
  if (word_length == 0) {
    line->fault = LineFault::kNoWord;
  } else if (!format.any_bytes && first_invalid_utf8(line->begin, word_length) < word_length) {
    line->fault = LineFault::kUtf8;
  }
}

}  // namespace

const char* read_number(const char* at, const char* end, char separator, float* value) {
  const bool negative = at < end && *at == '-';
  if (at < end && (*at == '-' || *at == '+')) ++at;
  const char* const unsigned_at = at;
  uint64_t whole = 0;
  while (at < end && is_digit(*at)) whole = 10 * whole + static_cast<uint64_t>(*at++ - '0');
  int64_t digits = at - unsigned_at, places = 0;
  if (at < end && *at == '.') {
    const char* const point = at++;
    while (at < end && is_digit(*at)) whole = 10 * whole + static_cast<uint64_t>(*at++ - '0');
    places = at - point - 1;
    digits += places;
  }
  float size;
  if ((at == end || *at == separator) && digits > 0 && digits <= kMaxDigits && places <= kMaxPlaces) {
    const double quotient = static_cast<double>(whole) / kPowers[places];
    uint64_t bits;
    std::memcpy(&bits, &quotient, sizeof bits);
    // Rounding twice is wrong only where the float64 lies half-way between two float32, and for the tiny.
    if ((bits & 0x1fffffff) != 0x10000000 && (quotient >= 1e-37 || whole == 0)) {
      size = static_cast<float>(quotient);
      *value = negative ? -size : size;
      return at;
    }
  }
  const void* const found = std::memchr(unsigned_at, separator, static_cast<size_t>(end - unsigned_at));
  const char* const stop = found ? static_cast<const char*>(found) : end;
  if (!read_any(unsigned_at, stop, &size)) return nullptr;
  *value = negative ? -size : size;
  return stop;
}

FoundLines find_lines(const char* text, size_t size, const LineFormat& format) {
  FoundLines found;
  // Of a line with D numbers, even one without its word. Nothing is ever allocated for a shorter one.
  const int64_t shortest = 2 * format.dimensions - 1 + (format.has_word ? 1 : 0);
  const char* const end = text + size;
  for (const char* at = text; at < end;) {
    const void* const newline = std::memchr(at, '\n', static_cast<size_t>(end - at));
    const char* const stop = newline ? static_cast<const char*>(newline) : end;
    VectorLine line{at, stop, found.total++};
    while (line.end > at && (line.end[-1] == ' ' || line.end[-1] == '\r' || line.end[-1] == format.separator)) {
      --line.end;
    }
    if (line.end - at >= shortest) {
      found.lines.push_back(line);
    } else if (found.total - 1 == static_cast<int64_t>(found.lines.size())) {
      found.first_short = line;
    }
    at = stop + 1;
  }
  return found;
}

void read_lines(std::vector<VectorLine>& lines, const LineFormat& format, size_t threads, float* vectors) {
  const auto piece = [&](size_t i) {
    const size_t first = lines.size() * i / threads, last = lines.size() * (i + 1) / threads;
    for (size_t row = first; row < last; ++row) {
      read_line(&lines[row], format, vectors + row * static_cast<size_t>(format.dimensions));
    }
  };
  in_threads(threads, piece);
}

int64_t drop_faults(FoundLines* found, const LineFormat& format, float* vectors, VectorLine* first) {
  std::vector<VectorLine>& lines = found->lines;
  const int64_t dimensions = format.dimensions;
  int64_t faults = found->total - static_cast<int64_t>(lines.size());
  if (faults > 0) {
    *first = found->first_short;
    // Room for D numbers only where the line has so many fields: D may be anything.
    std::vector<float> row(has_fields(first, format) ? static_cast<size_t>(dimensions) : 0);
    if (first->fault == LineFault::kNone) read_line(first, format, row.data());
  }
  size_t kept = 0;
  for (size_t row = 0; row < lines.size(); ++row) {
    if (lines[row].fault != LineFault::kNone) {
      if (faults++ == 0 || lines[row].number < first->number) *first = lines[row];
      continue;
    }
    if (kept < row) {
      lines[kept] = lines[row];
      std::copy_n(vectors + row * dimensions, dimensions, vectors + kept * dimensions);
    }
    ++kept;
  }
  lines.resize(kept);
  return faults;
}

}  // namespace pyembed
