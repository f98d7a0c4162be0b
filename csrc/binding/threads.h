// Splits the centers of a block over threads. Pieces are handed out as threads ask, so a slow core holds nobody up.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>
#include <thread>
#include <utility>
#include <vector>

#include "binding/hot_rows.h"
#include "binding/scratch.h"
#include "kernels/training.h"

namespace pyembed {

// The hot rows of both tables as one of several threads trains them.
template <class Element>
class OwnTables {
 public:
  OwnTables(const Tables<Element>& tables, SharedRows<Element>& in, SharedRows<Element>& out, int64_t number,
            int64_t threads, const LearningRate& rate)
      : in_(in, number, threads), out_(out, number, threads), tables_(tables) {
    tables_.hot_in = in_.rows();
    tables_.hot_out = out_.rows();
    for (const auto& [copies, ids] : {std::pair{&in_, &in.ids()}, std::pair{&out_, &out.ids()}}) {
      for (const HotGroup& group : ids->groups) {
        merges_.push_back({copies, group, windows_until_merge(group, threads, rate)});
      }
    }
  }
  OwnTables(const OwnTables&) = delete;
  OwnTables& operator=(const OwnTables&) = delete;

  void open() {
    in_.open();
    out_.open();
  }

  const Tables<Element>& tables() const { return tables_; }

  // The end of the next windows from `begin` on, past_last at most, before some rows are to be merged.
  int64_t next(int64_t begin, int64_t past_last) const {
    for (const Merge& merge : merges_) past_last = std::min(past_last, begin + merge.left);
    return past_last;
  }

  void trained(int64_t windows) {
    for (Merge& merge : merges_) {
      merge.left -= windows;
      if (merge.left > 0) continue;
      merge.copies->merge(merge.group);
      merge.left = merge.every;
    }
  }

  void close() {
    for (const Merge& merge : merges_) merge.copies->merge(merge.group);
  }

 private:
  struct Merge {
    HotCopies<Element>* copies;
    HotGroup group;
    int64_t every, left = every;  // windows until the next one
  };

  HotCopies<Element> in_, out_;
  std::vector<Merge> merges_;
  Tables<Element> tables_;
};

// Sum of work(tables, begin, end, scratch) over pieces of the block's centers. One thread takes them in order, with the
// given tables; each of several has copies of their hot rows.
template <class Element, class Work>
LossSum over_centers(const TokenBlock& block, int64_t threads, size_t scratch_bytes, const Tables<Element>& tables,
                     const HotIds& hot_in, const HotIds& hot_out, const LearningRate& rate, const Work& work) {
  constexpr int64_t kPiece = 8192;  // windows: a few milliseconds of work, and much of one text, whose words are few
  const int64_t centers = block.center_end - block.center_begin;
  threads = std::max<int64_t>(1, std::min(threads, (centers + kPiece - 1) / kPiece));
  std::vector<Scratch> scratch;
  for (int64_t t = 0; t < threads; ++t) scratch.emplace_back(scratch_bytes);

  std::vector<LossSum> sums(static_cast<size_t>(threads), LossSum{0, 0});
  std::atomic<int64_t> next{block.center_begin};
  // Calls train(begin, end) for piece after piece.
  const auto take_pieces = [&](const auto& train) {
    for (;;) {
      const int64_t begin = next.fetch_add(kPiece);
      if (begin >= block.center_end) return;
      train(begin, std::min(begin + kPiece, block.center_end));
    }
  };
  const auto add = [&](size_t t, const Tables<Element>& own, int64_t begin, int64_t end) {
    const LossSum sum = work(own, begin, end, scratch[t].get());
    sums[t].loss += sum.loss;
    sums[t].pairs += sum.pairs;
  };
  if (threads == 1) {
    take_pieces([&](int64_t begin, int64_t end) { add(0, tables, begin, end); });
    return sums[0];
  }

  SharedRows<Element> in(tables.in, tables.in_stride, tables.dimensions, hot_in);
  SharedRows<Element> out(tables.out, tables.out_stride, tables.dimensions, hot_out);
  std::deque<OwnTables<Element>> own;  // which stay where they are
  for (int64_t t = 0; t < threads; ++t) own.emplace_back(tables, in, out, t, threads, rate);
  const auto run = [&](size_t t) {
    own[t].open();
    take_pieces([&](int64_t begin, int64_t end) {
      for (int64_t past; begin < end; begin = past) {
        past = own[t].next(begin, end);
        add(t, own[t].tables(), begin, past);
        own[t].trained(past - begin);
      }
    });
    own[t].close();
  };
  std::vector<std::thread> others;
  for (size_t t = 1; t < sums.size(); ++t) others.emplace_back(run, t);
  run(0);
  for (std::thread& other : others) other.join();
  LossSum total{0, 0};
  for (const LossSum& sum : sums) {
    total.loss += sum.loss;
    total.pairs += sum.pairs;
  }
  return total;
}

}  // namespace pyembed
