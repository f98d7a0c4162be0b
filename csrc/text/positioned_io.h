// Whole reads and writes at a position of a file, safe to use from several threads at once.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <system_error>

namespace pyembed {

// Both throw std::system_error with the errno of the failed call.
inline void write_at(int descriptor, const void* data, size_t size, int64_t offset) {
  const char* bytes = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = ::pwrite(descriptor, bytes, size, offset);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) throw std::system_error(written < 0 ? errno : EIO, std::generic_category());
    bytes += written, offset += written, size -= static_cast<size_t>(written);
  }
}

inline void read_at(int descriptor, void* data, size_t size, int64_t offset) {
  char* bytes = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t got = ::pread(descriptor, bytes, size, offset);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) throw std::system_error(got < 0 ? errno : EIO, std::generic_category());
    bytes += got, offset += got, size -= static_cast<size_t>(got);
  }
}

}  // namespace pyembed
