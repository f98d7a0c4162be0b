// Big arrays whose elements, where they have no initializer, stay unwritten; in pages that suit how they are used.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <new>
#include <utility>
#include <vector>

namespace pyembed {

template <class T, bool large_pages>
struct UnwrittenMemory {
  using value_type = T;
  template <class U>
  struct rebind {
    using other = UnwrittenMemory<U, large_pages>;
  };

  UnwrittenMemory() = default;
  template <class U>
  UnwrittenMemory(const UnwrittenMemory<U, large_pages>&) {}

  T* allocate(size_t n) {
    constexpr size_t kLine = 64, kLargePage = 2 << 20;
    const size_t size = n * sizeof(T), alignment = large_pages && size >= kLargePage ? kLargePage : kLine;
    void* const memory = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    if (memory == nullptr) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
    if (alignment == kLargePage) ::madvise(memory, size, MADV_HUGEPAGE);  // refused: small pages do, slower
#endif
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, size_t) { std::free(memory); }
  template <class U>
  void construct(U* element) {
    ::new (static_cast<void*>(element)) U;
  }
  template <class U, class... Arguments>
  void construct(U* element, Arguments&&... arguments) {
    ::new (static_cast<void*>(element)) U(std::forward<Arguments>(arguments)...);
  }

  friend bool operator==(const UnwrittenMemory&, const UnwrittenMemory&) { return true; }
  friend bool operator!=(const UnwrittenMemory&, const UnwrittenMemory&) { return false; }
};

// For what is gone through from one end to the other: large pages would hardly make that faster, and a virtual machine
// waits long for them where its host has taken free memory back.
template <class T>
using UnwrittenArray = std::vector<T, UnwrittenMemory<T, false>>;

// For what is accessed all over: from 2 MB on in large pages.
template <class T>
using LargeArray = std::vector<T, UnwrittenMemory<T, true>>;

}  // namespace pyembed
