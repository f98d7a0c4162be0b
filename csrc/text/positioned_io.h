// Reads and writes at a position of a file, safe to use from several threads at once.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <system_error>

namespace pyembed {

// All throw std::system_error with the errno of the failed call.
inline void write_at(int descriptor, const void* data, size_t size, int64_t offset) {
  const char* bytes = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = ::pwrite(descriptor, bytes, size, offset);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) throw std::system_error(written < 0 ? errno : EIO, std::generic_category());
    bytes += written, offset += written, size -= static_cast<size_t>(written);
  }
}

// Reads less only where the file ends before, and returns how much.
inline size_t read_up_to(int descriptor, void* data, size_t size, int64_t offset) {
  char* bytes = static_cast<char*>(data);
  size_t read = 0;
  while (read < size) {
    const ssize_t got = ::pread(descriptor, bytes + read, size - read, offset + static_cast<int64_t>(read));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw std::system_error(errno, std::generic_category());
    if (got == 0) break;
    read += static_cast<size_t>(got);
  }
  return read;
}

inline void read_at(int descriptor, void* data, size_t size, int64_t offset) {
  if (read_up_to(descriptor, data, size, offset) < size) throw std::system_error(EIO, std::generic_category());
}

}  // namespace pyembed
