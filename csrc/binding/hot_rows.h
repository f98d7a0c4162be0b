// Copies of a table's hot rows, those that windows train most often: threads that wrote to the same rows would wait for
// each other's cache lines at every window. Each thread trains copies of its own, and now and then adds what it changed
// to the table's rows.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#include "binding/scratch.h"
#include "kernels/bfloat16.h"
#include "kernels/training.h"

namespace pyembed {

constexpr int64_t kHotRows = 64;

// Hot rows that are merged together: numbers begin to end - 1.
struct HotGroup {
  int64_t begin, end;
  double trainings;  // of the one trained most, in a window, by each of the window's contexts
};

// The hot rows of a table by their ids: number i is id first + i. Those trained less often are merged less often.
struct HotIds {
  int64_t first, count;
  std::vector<HotGroup> groups;
};

// Words stand in the order of their frequency. outputs: what each context of a window meets.
inline HotIds frequent_words(const TokenBlock& block, int64_t vocabulary, double outputs) {
  constexpr int64_t kLooks = 4096, kEnds[] = {8, 24, kHotRows};
  int64_t counts[kHotRows + 1] = {};
  const int64_t centers = block.center_end - block.center_begin, step = centers / kLooks + 1;
  for (int64_t t = block.center_begin; t < block.center_end; t += step) {
    ++counts[std::min<int64_t>(block.ids[t], kHotRows)];
  }
  HotIds hot{0, std::min(vocabulary, kHotRows), {}};
  int64_t begin = 0;
  for (const int64_t most : kEnds) {
    const int64_t end = std::min(most, hot.count);
    if (begin == end) break;
    const int64_t looks = *std::max_element(counts + begin, counts + end);
    hot.groups.push_back({begin, end, outputs * static_cast<double>(looks * step) / static_cast<double>(centers)});
    begin = end;
  }
  return hot;
}

// Nodes of a tree are numbered as they are made: the root is the last, and on every path.
inline HotIds nodes_near_the_root(int64_t nodes) {
  const int64_t count = std::min(nodes, kHotRows);
  return {nodes - count, count, {{0, count, 1}}};
}

// Windows that each of so many threads may train before it adds what it changed. Each goes the way from where a row was
// to where the loss is least, so that all together must not go far: windows times threads are bounded by how fast a row
// moves. Two threads at most mirror what is left of the way; more may leave it behind, and vectors grow without end.
inline int64_t windows_until_merge(const HotGroup& hot, int64_t threads, const LearningRate& rate) {
  constexpr double kFewest = 16, kMost = 2048;
  const double far = threads <= 2 ? 6.4 : 1.6;
  const double speed = hot.trainings * std::max(rate.begin, rate.end) * static_cast<double>(threads);
  return static_cast<int64_t>(std::max(kFewest, std::min(kMost, far / std::max(speed, far / kMost))));
}

// The hot rows of a table, which threads take turns to visit.
template <class Element>
class SharedRows {
 public:
  SharedRows(Element* table, int64_t stride, int64_t dimensions, const HotIds& ids)
      : table_(table), stride_(stride), dimensions_(dimensions), ids_(ids), locks_(static_cast<size_t>(ids.count)) {}

  // Calls f(number of a hot row, the row) for the rows begin to end - 1, from begin + `from` on, so that threads do not
  // queue; and some turns before, coming(number, row), without a lock.
  template <class Coming, class F>
  void visit(int64_t begin, int64_t end, int64_t from, const Coming& coming, const F& f) {
    constexpr int64_t kAhead = 2;
    const int64_t count = end - begin;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t number = begin + (from + i) % count, next = begin + (from + i + kAhead) % count;
      coming(next, row(next));
      std::atomic<bool>& held = locks_[static_cast<size_t>(number)].held;
      while (held.exchange(true, std::memory_order_acquire)) std::this_thread::yield();
      f(number, row(number));
      held.store(false, std::memory_order_release);
    }
  }

  int64_t dimensions() const { return dimensions_; }
  const HotIds& ids() const { return ids_; }

 private:
  struct Lock {
    std::atomic<bool> held{false};
  };

  Element* row(int64_t number) const { return table_ + (ids_.first + number) * stride_; }

  Element* table_;
  int64_t stride_, dimensions_;
  HotIds ids_;
  std::vector<Lock> locks_;
};

// A thread's copies of them.
template <class Element>
class HotCopies {
 public:
  // number: the thread's, of so many.
  HotCopies(SharedRows<Element>& shared, int64_t number, int64_t threads)
      : shared_(shared),
        from_(shared.ids().count * number / threads),
        stride_((shared.dimensions() + kLine - 1) / kLine * kLine),
        memory_(static_cast<size_t>(2 * shared.ids().count * stride_) * sizeof(Element)),
        copies_(static_cast<Element*>(memory_.get())),
        before_(copies_ + shared.ids().count * stride_) {}

  // What the thread trains instead, from open() on.
  HotRows<Element> rows() const {
    return {copies_, stride_, static_cast<uint32_t>(shared_.ids().first), static_cast<uint32_t>(shared_.ids().count)};
  }

  void open() {
    const size_t bytes = static_cast<size_t>(shared_.dimensions()) * sizeof(Element);
    shared_.visit(
        0, shared_.ids().count, from_, [](int64_t, const Element*) {},
        [&](int64_t number, const Element* shared) {
          std::memcpy(copies_ + number * stride_, shared, bytes);
          std::memcpy(before_ + number * stride_, shared, bytes);
        });
  }

  // Adds what changed in a group since open() or the last call to the table's rows, and copies these anew.
  void merge(const HotGroup& group) {
    const int64_t D = shared_.dimensions();
    shared_.visit(
        group.begin, group.end, from_,
        [&](int64_t number, const Element* shared) {
          for (int64_t d = 0; d < D; d += kLine) {
            __builtin_prefetch(shared + d, 1);
            __builtin_prefetch(copies_ + number * stride_ + d, 1);
            __builtin_prefetch(before_ + number * stride_ + d, 1);
          }
        },
        [&](int64_t number, Element* __restrict shared) {
          Element* const __restrict copy = copies_ + number * stride_;
          Element* const __restrict before = before_ + number * stride_;
          for (int64_t d = 0; d < D; ++d) {
            const Element value = merged(shared[d], copy[d], before[d]);
            for (Element* const row : {shared, copy, before}) put(value, row[d]);
          }
        });
  }

 private:
  static constexpr int64_t kLine = 64 / sizeof(Element);

  static uint32_t pattern_of(float value) {
    uint32_t pattern;
    std::memcpy(&pattern, &value, sizeof pattern);
    return pattern;
  }

  // All bits where it is so: what is chosen with masks, the compiler computes for many columns at a time.
  static uint32_t mask_of(bool condition) { return 0u - static_cast<uint32_t>(condition); }

  static void put(float value, float& to) { to = value; }
  static void put(BFloat16 value, BFloat16& to) { to.bits = value.bits; }

  // A number that no other thread has changed becomes the copy's, to the bit.
  static float merged(float shared, float copy, float before) {
    const uint32_t same = mask_of(shared == before);
    const uint32_t pattern = (same & pattern_of(copy)) | (~same & pattern_of(shared + (copy - before)));
    float value;
    std::memcpy(&value, &pattern, sizeof value);
    return value;
  }

  // Rounded to the nearest, ties to even.
  static BFloat16 merged(BFloat16 shared, BFloat16 copy, BFloat16 before) {
    const float sum = value_of(shared) + (value_of(copy) - value_of(before));
    const uint32_t same = mask_of(shared.bits == before.bits), number = mask_of(sum == sum);
    const uint32_t pattern = pattern_of(sum), rounded = (pattern + 0x7FFF + (pattern >> 16 & 1)) >> 16;
    const uint32_t other = (number & rounded) | (~number & 0x7FC0);
    return {static_cast<uint16_t>((same & copy.bits) | (~same & other))};
  }

  SharedRows<Element>& shared_;
  const int64_t from_, stride_;
  Scratch memory_;
  Element *copies_, *before_;  // [count, stride_]
};

}  // namespace pyembed
