// What the warps of a GPU do to each other, played on one CPU thread: the walkers of csrc/kernels/cuda/skipgram.cu take
// turns, a window each, and every row is read and written back when theirs would be. Compiled by gpu_staleness.py.
#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/pair_math.h"
#include "kernels/training.h"

using namespace pyembed;

namespace {

// A row of in_vectors that a walker holds.
struct Held {
  int32_t id;
  int tokens;  // within reach that are this word
  bool changed;
  std::vector<float> value, base;  // now, and when it came
};

struct Walker {
  int64_t center, end;
  SentenceCursor cursor;
  Span reach;  // tokens whose rows are held
  std::vector<Held> held;

  Held& of(int32_t id) {
    return *std::find_if(held.begin(), held.end(), [id](const Held& row) { return row.id == id; });
  }
};

struct Simulation {
  const TokenBlock& block;
  const Draws& draws;
  const Tables<float>& tables;
  LearningRate rate;
  int32_t frequent;
  double loss = 0;

  float* in_row(int32_t id) const { return tables.in + id * tables.in_stride; }
  float* out_row(int32_t id) const { return tables.out + id * tables.out_stride; }

  void fetch(Held& row) const {
    row.value.assign(in_row(row.id), in_row(row.id) + tables.dimensions);
    row.base = row.value;
    row.changed = false;
  }
  void write_back(const Held& row) const {
    float* const target = in_row(row.id);
    for (int64_t d = 0; d < tables.dimensions; ++d) target[d] += row.value[d] - row.base[d];
  }

  void enter(Walker& walker, int32_t id) const {
    for (Held& row : walker.held) {
      if (row.id == id) {
        ++row.tokens;
        return;
      }
    }
    walker.held.push_back({id, 1, false, {}, {}});
    fetch(walker.held.back());
  }
  void leave(Walker& walker, int32_t id) const {
    Held& row = walker.of(id);
    if (--row.tokens > 0) return;
    if (row.changed) write_back(row);
    std::swap(row, walker.held.back());
    walker.held.pop_back();
  }

  void train_window(Walker& walker) {
    const int64_t center = walker.center, D = tables.dimensions;
    walker.cursor.advance_to(center);
    const Span reach = window_span(walker.cursor, center, draws.window);
    while (walker.reach.first < reach.first) leave(walker, block.ids[walker.reach.first++]);
    while (walker.reach.past_last < reach.past_last) enter(walker, block.ids[walker.reach.past_last++]);

    std::vector<int32_t> outputs(static_cast<size_t>(draws.negative) + 1);
    const auto position = static_cast<uint64_t>(center);
    outputs[0] = block.ids[center];
    negative_ids(draws, position, 0, outputs.data() + 1);
    const size_t N = outputs.size();
    std::vector<float> values(N * static_cast<size_t>(D)), changes(values.size(), 0.0f), errors(N);
    for (size_t n = 0; n < N; ++n) std::memcpy(&values[n * D], out_row(outputs[n]), sizeof(float) * D);

    const Span window = window_span(walker.cursor, center, window_radius(draws, position));
    const auto size = static_cast<float>(-learning_rate(block, rate, center));
    for (int64_t c = 0; c < window.contexts(); ++c) {
      Held& context = walker.of(block.ids[window.context(c, center)]);
      context.changed = true;
      for (size_t n = 0; n < N; ++n) {
        const float* const output = &values[n * D];
        float score = 0;
        for (int64_t d = 0; d < D; ++d) score += context.value[d] * output[d];
        const auto result = loss_and_error(score, n == 0);
        const bool skipped = n > 0 && outputs[n] == outputs[0];
        errors[n] = skipped ? 0 : size * result.error;
        loss += skipped ? 0 : static_cast<double>(result.loss);
      }
      for (int64_t d = 0; d < D; ++d) {
        const float old = context.value[d];
        for (size_t n = 0; n < N; ++n) {
          context.value[d] += errors[n] * values[n * D + d];
          changes[n * D + d] += errors[n] * old;
        }
      }
    }
    for (size_t n = 0; n < N; ++n) {
      float* const output = out_row(outputs[n]);
      for (int64_t d = 0; d < D; ++d) output[d] += changes[n * D + d];
    }
    for (Held& row : walker.held) {
      if (row.id < frequent && row.changed) {
        write_back(row);
        fetch(row);
      }
    }
    if (++walker.center < walker.end) return;
    while (walker.reach.first < walker.reach.past_last) leave(walker, block.ids[walker.reach.first++]);
  }
};

}  // namespace

// Trains a block of an epoch in place with `warps` walkers; returns the sum of losses. Tables: [V, dimensions].
extern "C" double train_block(const int32_t* ids, const int64_t* sentence_starts, int64_t tokens, int64_t sentences,
                              int64_t center_begin, int64_t center_end, const uint32_t* alias_table,
                              uint32_t vocabulary, int window, int negative, uint64_t seed, uint32_t epoch, float* in,
                              float* out, int64_t dimensions, double lr_begin, double lr_end, int64_t warps,
                              int32_t frequent) {
  const TokenBlock block{ids, sentence_starts, tokens, sentences, 0, center_begin, center_end};
  const Draws draws{alias_table, vocabulary, window, negative, kPerWindow, seed, epoch};
  const Tables<float> tables{in, out, dimensions, dimensions, dimensions};
  Simulation simulation{block, draws, tables, {lr_begin, lr_end}, frequent};
  const int64_t share = (center_end - center_begin + warps - 1) / warps;
  std::vector<Walker> walkers;
  for (int64_t begin = center_begin; begin < center_end; begin += share) {
    const SentenceCursor cursor = sentence_of(block, begin);
    const int64_t first = window_span(cursor, begin, window).first;
    walkers.push_back({begin, std::min(begin + share, center_end), cursor, {first, first}, {}});
  }
  for (int64_t turn = 0; turn < share; ++turn) {
    for (Walker& walker : walkers) {
      if (walker.center < walker.end) simulation.train_window(walker);
    }
  }
  return simulation.loss;
}
