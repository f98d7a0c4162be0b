#include "vectors/search.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "text/parallel.h"
#include "vectors/row_reader.h"
#include "vectors/row_scores.h"

namespace pyembed {
namespace {

constexpr float kNever = std::numeric_limits<float>::infinity();  // a bar that nothing passes

bool is_excluded(const ExcludedRows& excluded, int64_t query, int64_t row) {
  return std::binary_search(excluded.rows + excluded.starts[query], excluded.rows + excluded.starts[query + 1], row);
}

struct Hit {
  float score;
  int64_t row;
  // Better: in a heap the worst then is the first.
  bool operator<(const Hit& other) const { return score > other.score || (score == other.score && row < other.row); }
};

// One thread's best rows of each query. Rows come in ascending order, so one that equals the worst is no better.
class Best {
 public:
  Best(const Panels& panels, const ExcludedRows& excluded, int64_t k)
      : panels_(panels),
        excluded_(excluded),
        k_(static_cast<size_t>(k)),
        hits_(panels.chosen().size()),
        bars_(static_cast<size_t>(panels.slots()), kNever),
        places_(kChunk * kPanel) {
    std::fill_n(bars_.begin(), hits_.size(), -kNever);
  }

  void take(const Panels::Panel& panel, int64_t first_row, int64_t n, const float* scores) {
    const int64_t count = best_row_scores().above(scores, n, panel.lanes, bars_.data() + panel.first, places_.data());
    for (int64_t i = 0; i < count; ++i) {
      const int64_t place = places_[static_cast<size_t>(i)];
      offer(static_cast<size_t>(panel.first + place % panel.lanes), {scores[place], first_row + place / panel.lanes});
    }
  }

  const std::vector<Hit>& hits(size_t slot) const { return hits_[slot]; }

 private:
  void offer(size_t slot, Hit hit) {
    // The bar may have risen since this row passed it.
    if (!(hit.score > bars_[slot]) || is_excluded(excluded_, panels_.chosen()[slot], hit.row)) return;
    std::vector<Hit>& hits = hits_[slot];
    if (hits.size() == k_) {
      std::pop_heap(hits.begin(), hits.end());
      hits.back() = hit;
    } else {
      hits.push_back(hit);
    }
    std::push_heap(hits.begin(), hits.end());
    if (hits.size() == k_) bars_[slot] = hits.front().score;
  }

  const Panels& panels_;
  const ExcludedRows& excluded_;
  size_t k_;
  std::vector<std::vector<Hit>> hits_;
  std::vector<float> bars_;
  std::vector<int32_t> places_;
};

}  // namespace

void score_all(const VectorTable& table, const VectorQueries& queries, size_t threads, float* scores) {
  const Panels panels(queries, table.dimensions, all_of(queries));
  Blocks blocks(table, queries, threads);
  in_threads(blocks.threads(), [&](size_t) {
    Reader reader(table, blocks.rows());
    blocks.each([&](int64_t begin, int64_t end) {
      reader.read(begin, end, panels, [&](const Panels::Panel& panel, int64_t first, int64_t n, const float* found) {
        const int64_t lanes = std::min(panel.lanes, queries.count - panel.first);
        for (int64_t lane = 0; lane < lanes; ++lane) {
          float* const to = scores + (panel.first + lane) * table.count + first;
          for (int64_t i = 0; i < n; ++i) to[i] = found[i * panel.lanes + lane];
        }
      });
    });
  });
}

void find_nearest(const VectorTable& table, const VectorQueries& queries, const ExcludedRows& excluded, int64_t k,
                  size_t threads, int64_t* found, float* scores) {
  const Panels panels(queries, table.dimensions, all_of(queries));
  Blocks blocks(table, queries, threads);
  std::vector<std::unique_ptr<Best>> bests(blocks.threads());
  in_threads(blocks.threads(), [&](size_t thread) {
    bests[thread] = std::make_unique<Best>(panels, excluded, k);
    Best& best = *bests[thread];
    Reader reader(table, blocks.rows());
    blocks.each([&](int64_t begin, int64_t end) {
      reader.read(begin, end, panels,
                  [&](const Panels::Panel& panel, int64_t first, int64_t n, const float* chunk_scores) {
                    best.take(panel, first, n, chunk_scores);
                  });
    });
  });
  std::vector<Hit> hits;
  for (int64_t query = 0; query < queries.count; ++query) {
    hits.clear();
    for (const auto& best : bests) {
      const std::vector<Hit>& some = best->hits(static_cast<size_t>(query));
      hits.insert(hits.end(), some.begin(), some.end());
    }
    std::sort(hits.begin(), hits.end());
    hits.resize(static_cast<size_t>(k), {-kNever, 0});
    for (int64_t i = 0; i < k; ++i) {
      found[query * k + i] = hits[static_cast<size_t>(i)].row;
      scores[query * k + i] = hits[static_cast<size_t>(i)].score;
    }
  }
}

void find_unbeaten(const VectorTable& table, const VectorQueries& queries, const ExcludedRows& excluded,
                   const float* bars, size_t threads, uint8_t* stands) {
  Blocks blocks(table, queries, threads);
  std::unique_ptr<std::atomic<bool>[]> beaten(new std::atomic<bool>[static_cast<size_t>(queries.count)]);
  for (int64_t query = 0; query < queries.count; ++query) beaten[static_cast<size_t>(query)] = false;
  in_threads(blocks.threads(), [&](size_t) {
    Reader reader(table, blocks.rows());
    std::unique_ptr<Panels> panels;
    std::vector<float> slot_bars;
    std::vector<int32_t> places(kChunk * kPanel);
    // Leaves out the queries that were beaten, here or in another thread.
    const auto pack = [&](const std::vector<int64_t>& queries_so_far) {
      std::vector<int64_t> remaining;
      for (const int64_t query : queries_so_far) {
        if (!beaten[static_cast<size_t>(query)]) remaining.push_back(query);
      }
      panels = std::make_unique<Panels>(queries, table.dimensions, std::move(remaining));
      slot_bars.assign(static_cast<size_t>(panels->slots()), kNever);
      for (size_t slot = 0; slot < panels->chosen().size(); ++slot) slot_bars[slot] = bars[panels->chosen()[slot]];
    };
    pack(all_of(queries));
    blocks.each([&](int64_t begin, int64_t end) {
      reader.read(begin, end, *panels, [&](const Panels::Panel& panel, int64_t first, int64_t n, const float* scores) {
        float* const panel_bars = slot_bars.data() + panel.first;
        const int64_t count = best_row_scores().above(scores, n, panel.lanes, panel_bars, places.data());
        for (int64_t i = 0; i < count; ++i) {
          const int64_t place = places[static_cast<size_t>(i)], lane = place % panel.lanes;
          const int64_t query = panels->chosen()[static_cast<size_t>(panel.first + lane)];
          if (is_excluded(excluded, query, first + place / panel.lanes)) continue;
          beaten[static_cast<size_t>(query)] = true;
          panel_bars[lane] = kNever;
        }
      });
      const auto gone = std::count_if(panels->chosen().begin(), panels->chosen().end(),
                                      [&](int64_t query) { return beaten[static_cast<size_t>(query)].load(); });
      if (8 * gone > static_cast<int64_t>(panels->chosen().size())) pack(panels->chosen());
    });
  });
  for (int64_t query = 0; query < queries.count; ++query) stands[query] = !beaten[static_cast<size_t>(query)];
}

}  // namespace pyembed
