// An allocator for big arrays: from 2 MB on in large pages, which are quicker to come by and to access all over.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <new>
#include <utility>
#include <vector>

namespace pyembed {

template <class T>
struct LargePages {
  using value_type = T;
  static constexpr size_t kPage = 2 << 20;

  LargePages() = default;
  template <class U>
  LargePages(const LargePages<U>&) {}

  T* allocate(size_t n) {
    const size_t size = n * sizeof(T);
    const size_t alignment = size < kPage ? 64 : kPage;
    void* memory = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    if (memory == nullptr) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
    if (size >= kPage) ::madvise(memory, size, MADV_HUGEPAGE);  // refused: small pages do, slower
#endif
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, size_t) { std::free(memory); }
  template <class U>
  void construct(U* element) {
    ::new (static_cast<void*>(element)) U;  // elements without an initializer stay unwritten
  }
  template <class U, class... Arguments>
  void construct(U* element, Arguments&&... arguments) {
    ::new (static_cast<void*>(element)) U(std::forward<Arguments>(arguments)...);
  }

  friend bool operator==(const LargePages&, const LargePages&) { return true; }
  friend bool operator!=(const LargePages&, const LargePages&) { return false; }
};

template <class T>
using LargeArray = std::vector<T, LargePages<T>>;

}  // namespace pyembed
