// Memory for what a call works with.
#pragma once

#include <cstdint>
#include <memory>

#include "binding/scratch.h"

namespace pyembed {

// Memory that stays with the calling thread from one call to the next: fresh pages cost more than what is done in them.
class Workspace {
 public:
  // Room for count elements, aligned to 64 bytes. What room() gave before the last call of reserve() is lost.
  template <class Element>
  Element* room(int64_t count) {
    const size_t begin = used_;
    used_ += (static_cast<size_t>(count) * sizeof(Element) + 63) / 64 * 64;
    return reinterpret_cast<Element*>(memory_ ? static_cast<char*>(memory_->get()) + begin : nullptr);
  }

  // Lays out what `layout` asks for, in memory that is large enough.
  template <class Layout>
  void reserve(const Layout& layout) {
    used_ = 0;
    layout(*this);
    if (used_ <= size_) return;
    memory_.reset();
    size_ = 0;  // as long as there is none: the next line throws where there is no more to be had
    memory_ = std::make_unique<Scratch>(used_);
    size_ = used_;
    used_ = 0;
    layout(*this);
  }

 private:
  std::unique_ptr<Scratch> memory_;
  size_t size_ = 0, used_ = 0;
};

}  // namespace pyembed
