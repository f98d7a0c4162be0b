// The byte before a piece tells whether a token begins with it, and a token is followed until it ends.
#include "file_piece.h"

#include <algorithm>

#include "positioned_io.h"
#include "separators.h"

namespace pyembed {
namespace {

constexpr size_t kTail = 256;  // holds the end of nearly every token that is under way at the end of a piece

// The index of the first byte in bytes[from, to) that ends a token, or `to`.
size_t token_end(const std::vector<char>& bytes, size_t from, size_t to) {
  const auto ends_token = [](char byte) { return TextSeparators::ends_token(static_cast<uint8_t>(byte)); };
  return static_cast<size_t>(std::find_if(bytes.begin() + from, bytes.begin() + to, ends_token) - bytes.begin());
}

}  // namespace

size_t TextFile::read_up_to(char* bytes, size_t size, uint64_t offset) const {
  try {
    return pyembed::read_up_to(descriptor_, bytes, size, static_cast<int64_t>(offset));
  } catch (const std::system_error& failed) {
    throw ReadError(failed.code(), name_);
  }
}

PieceText read_piece(const TextFile& file, uint64_t offset, size_t size, size_t padding, std::vector<char>* buffer) {
  std::vector<char>& bytes = *buffer;
  const size_t before = offset > 0;  // bytes of the piece before
  const uint64_t first = offset - before;
  const auto read_on = [&](size_t from, size_t to) {
    bytes.resize(std::max(bytes.size(), to + padding + 1));
    return from + file.read_up_to(bytes.data() + from, to - from, first + from);
  };
  size_t wanted = before + size + kTail;
  size_t got = read_on(0, wanted);
  const size_t piece_end = std::min(got, before + size);

  const size_t begin = before ? token_end(bytes, 0, piece_end) + 1 : 0;
  if (begin >= piece_end) return {0, 0, offset};  // no token begins here
  size_t end = token_end(bytes, piece_end - 1, got);
  while (end == got && got == wanted) {
    wanted *= 2;
    got = read_on(got, wanted);
    end = token_end(bytes, end, got);
  }
  if (end == got) bytes[end] = ' ';  // the file ends without a separator
  return {begin, end + 1 - begin, first + begin};
}

}  // namespace pyembed
