// Memory aligned for the widest registers.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

namespace pyembed {

class Scratch {
 public:
  explicit Scratch(size_t bytes) : memory_(std::aligned_alloc(64, (bytes + 63) / 64 * 64)) {
    if (!memory_) throw std::bad_alloc();
  }
  void* get() const { return memory_.get(); }

 private:
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  std::unique_ptr<void, Free> memory_;
};

}  // namespace pyembed
