// A piece of a text file, cut anywhere, as the tokens that begin in it: whoever reads a piece needs no other.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace pyembed {

// Reading the file `name` failed.
struct ReadError : std::system_error {
  ReadError(const std::error_code& code, std::string file) : std::system_error(code), name(std::move(file)) {}
  std::string name;
};

// An open file; the descriptor it was made of may be closed before it.
class TextFile {
 public:
  TextFile() = default;
  TextFile(int descriptor, std::string name) : descriptor_(::dup(descriptor)), name_(std::move(name)) {
    if (descriptor_ < 0) throw ReadError({errno, std::generic_category()}, name_);
  }
  ~TextFile() {
    if (is_open()) ::close(descriptor_);
  }
  TextFile(TextFile&& other) noexcept { *this = std::move(other); }
  TextFile& operator=(TextFile&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    std::swap(name_, other.name_);
    return *this;
  }

  bool is_open() const { return descriptor_ >= 0; }
  // As positioned_io.h's, but throws ReadError.
  size_t read_up_to(char* bytes, size_t size, uint64_t offset) const;

 private:
  int descriptor_ = -1;
  std::string name_;
};

// Where read_piece has put text.
struct PieceText {
  size_t begin, size;  // in the buffer
  uint64_t offset;     // of its first byte in the file
};

// Reads, of a file of lines, the tokens that begin in [offset, offset + size), with the separators behind them: what is
// read ends with one, and `padding` bytes behind it may be read too. Neighbouring pieces share no byte.
PieceText read_piece(const TextFile& file, uint64_t offset, size_t size, size_t padding, std::vector<char>* buffer);

}  // namespace pyembed
