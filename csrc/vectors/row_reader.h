// How searches read a table: blocks of rows that threads take in turn, each scored for panels of queries.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "vectors/row_scores.h"
#include "vectors/search.h"

namespace pyembed {

constexpr int64_t kBlockBytes = 1 << 18;    // of rows that are read together
constexpr int64_t kWorthAThread = 1 << 20;  // multiplications
constexpr int64_t kFewQueries = 4;          // fewer are no panel

// Some of the queries, in panels [terms, D, lanes], zeros where lanes are left over.
class Panels {
 public:
  Panels(const VectorQueries& queries, int64_t dimensions, std::vector<int64_t> chosen)
      : queries_(queries), dimensions_(dimensions), chosen_(std::move(chosen)) {
    const auto n = static_cast<int64_t>(chosen_.size());
    for (int64_t first = 0; first < n;) {
      const int64_t left = n - first;
      const int64_t lanes = left < kFewQueries ? 1 : left <= 2 * kNarrowPanel ? kNarrowPanel : kPanel;
      panels_.push_back({first, lanes});
      first += lanes;
    }
    slots_ = panels_.empty() ? 0 : panels_.back().first + panels_.back().lanes;
    values_.resize(static_cast<size_t>(terms() * slots_ * dimensions_));
    for (int64_t slot = 0; slot < n; ++slot) fill(slot);
  }

  struct Panel {
    int64_t first, lanes;  // slots
  };
  const std::vector<Panel>& panels() const { return panels_; }
  int64_t slots() const { return slots_; }
  // The query in each slot; slots past the end hold none.
  const std::vector<int64_t>& chosen() const { return chosen_; }
  int64_t terms() const { return queries_.positives + queries_.negatives; }
  bool is_negative(int64_t term) const { return term >= queries_.positives; }
  bool products() const { return queries_.products; }
  const float* of(const Panel& panel, int64_t term) const {
    return values_.data() + (panel.first * terms() + term * panel.lanes) * dimensions_;
  }

 private:
  void fill(int64_t slot) {
    const Panel& panel = *std::prev(std::upper_bound(panels_.begin(), panels_.end(), slot,
                                                     [](int64_t s, const Panel& other) { return s < other.first; }));
    for (int64_t term = 0; term < terms(); ++term) {
      const float* const from = is_negative(term)
                                    ? queries_.negative + (term - queries_.positives) * queries_.count * dimensions_
                                    : queries_.positive + term * queries_.count * dimensions_;
      const float* const query = from + chosen_[static_cast<size_t>(slot)] * dimensions_;
      float* const to = values_.data() + (of(panel, term) - values_.data()) + (slot - panel.first);
      for (int64_t d = 0; d < dimensions_; ++d) to[d * panel.lanes] = query[d];
    }
  }

  const VectorQueries& queries_;
  int64_t dimensions_;
  std::vector<int64_t> chosen_;
  std::vector<Panel> panels_;
  int64_t slots_;
  std::vector<float> values_;
};

inline std::vector<int64_t> all_of(const VectorQueries& queries) {
  std::vector<int64_t> all(static_cast<size_t>(queries.count));
  std::iota(all.begin(), all.end(), int64_t{0});
  return all;
}

// One thread's reading of blocks of rows.
class Reader {
 public:
  Reader(const VectorTable& table, int64_t block_rows)
      : table_(table),
        inverses_(static_cast<size_t>(block_rows)),
        scores_(kChunk * kPanel),
        below_(kChunk * kPanel),
        cosines_(kChunk * kPanel) {
    if (!table.floats) widened_.resize(static_cast<size_t>(block_rows * table.dimensions));
  }

  // Calls take(panel, first row, number of rows, scores [n, lanes]) for every panel and every chunk of the block.
  template <class Take>
  void read(int64_t begin, int64_t end, const Panels& panels, const Take& take) {
    RowBlock block{table_.floats + begin * table_.stride, table_.stride, end - begin, table_.dimensions};
    if (!table_.floats) {
      // Rows that touch are one long row.
      const bool touch = table_.stride == table_.dimensions;
      const int64_t pieces = touch ? 1 : block.count, size = touch ? block.count * table_.stride : table_.dimensions;
      for (int64_t piece = 0; piece < pieces; ++piece) {
        scores_of_.widen(table_.bytes + (begin + piece) * table_.stride, size, widened_.data() + piece * size);
      }
      block.rows = widened_.data();
      block.stride = table_.dimensions;
    }
    scores_of_.inverse_lengths(block, inverses_.data());
    for (const Panels::Panel& panel : panels.panels()) {
      for (int64_t i = 0; i < block.count; i += kChunk) {
        const int64_t n = std::min(kChunk, block.count - i);
        const RowBlock chunk{block.rows + i * block.stride, block.stride, n, block.dimensions};
        take(panel, begin + i, n, score(chunk, inverses_.data() + i, panels, panel));
      }
    }
  }

 private:
  const float* score(const RowBlock& chunk, const float* inverses, const Panels& panels, const Panels::Panel& panel) {
    const auto cosines = panel.lanes == kPanel         ? scores_of_.panel_cosines
                         : panel.lanes == kNarrowPanel ? scores_of_.narrow_cosines
                                                       : scores_of_.cosines;
    if (!panels.products()) {
      cosines(chunk, panels.of(panel, 0), inverses, scores_.data());
      return scores_.data();
    }
    const int64_t n = chunk.count * panel.lanes;
    if (!panels.is_negative(panels.terms() - 1)) std::fill(below_.begin(), below_.end(), 1.0f);
    for (int64_t term = 0; term < panels.terms(); ++term) {
      cosines(chunk, panels.of(panel, term), inverses, cosines_.data());
      const bool first = term == 0 || (panels.is_negative(term) && !panels.is_negative(term - 1));
      scores_of_.multiply(cosines_.data(), n, first, panels.is_negative(term) ? below_.data() : scores_.data());
    }
    scores_of_.divide(scores_.data(), below_.data(), n, scores_.data());
    return scores_.data();
  }

  const RowScores& scores_of_ = best_row_scores();
  const VectorTable& table_;
  std::vector<float> inverses_, scores_, below_, cosines_, widened_;
};

// Hands out blocks of rows, in ascending order, to threads.
class Blocks {
 public:
  Blocks(const VectorTable& table, const VectorQueries& queries, size_t threads) : count_(table.count) {
    const int64_t row_bytes = static_cast<int64_t>(sizeof(float)) * std::max<int64_t>(table.dimensions, 1);
    rows_ = std::max(kBlockBytes / row_bytes / kChunk, int64_t{1}) * kChunk;
    const double work = static_cast<double>(count_) * table.dimensions * queries.count *
                        static_cast<double>(queries.positives + queries.negatives);
    const auto worth = static_cast<size_t>(std::min(work / kWorthAThread, 1e6)) + 1;
    threads_ = std::min({threads, worth, static_cast<size_t>((count_ + rows_ - 1) / rows_)});
    threads_ = std::max(threads_, size_t{1});
  }

  size_t threads() const { return threads_; }
  int64_t rows() const { return rows_; }

  // Calls function(begin, end) for each block that this thread gets.
  template <class Function>
  void each(const Function& function) {
    for (;;) {
      const int64_t begin = next_.fetch_add(rows_);
      if (begin >= count_) return;
      function(begin, std::min(begin + rows_, count_));
    }
  }

 private:
  int64_t count_, rows_;
  size_t threads_;
  std::atomic<int64_t> next_{0};
};

}  // namespace pyembed
