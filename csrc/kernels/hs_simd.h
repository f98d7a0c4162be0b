// Hierarchical softmax: the steps of skip-gram and CBOW with the nodes of the center's path as outputs.
// Implements pyembed/reference.py section 11 by means of skipgram_simd.h and cbow_simd.h. PE_ISA names the namespace.
#pragma once

namespace pyembed::PE_ISA {

template <class Element>
struct PathWindow : StepWindow<int, Element> {
  const uint8_t* bits;  // [N]

  // Of at most kGroup outputs from number n on.
  PE_INLINE LabelBits labels(int n) const {
    LabelBits labels{0};
    for (int g = 0; g < kGroup && n + g < this->N; ++g) labels.bits |= uint32_t{bits[n + g] == 0} << g;
    return labels;
  }
};

// As walk_windows(). tables.out: the nodes' vectors.
template <class Element, class Step>
PE_INLINE LossSum walk_paths(const TokenBlock& block, const Draws& draws, const Paths& paths,
                             const Tables<Element>& tables, const LearningRate& rate, int64_t begin, int64_t end,
                             const StepScratch& scratch, LossLanes& loss, const Step& step) {
  struct Path {
    Element** rows;  // [N]
    const uint8_t* bits;
    int N;
  };
  Path found[kDrawAhead + kLookAhead];
  if (begin >= end) return {0, 0};
  LossSum sum{0, 0};
  StepRows<Element> step_rows(scratch, tables.dimensions);
  CenterWalk<Element> centers(block, draws, tables, rate, begin, scratch);
  for (int64_t first = begin; first < end; first += kDrawAhead) {
    const int64_t last = end - first < kDrawAhead ? end : first + kDrawAhead;
    const int64_t paths_found = past_look_ahead(block, last) - first;
    centers.prepare(first, last);
    Element** rows = reinterpret_cast<Element**>(scratch.drawn_rows);
    for (int64_t i = 0; i < paths_found; ++i) {
      const int32_t word = block.ids[first + i];
      const int64_t start = paths.starts[word], N = paths.starts[word + 1] - start;
      find_rows(paths.nodes + start, N, tables.out, tables.out_stride, tables.hot_out, rows);
      found[i] = {rows, paths.bits + start, static_cast<int>(N)};
      rows += N;
    }
    step_rows.draw_keys(draws, block.first_position + static_cast<uint64_t>(first), last - first);
    for (int64_t w = 0; w < last - first; ++w) {
      const CenterWindow<Element> center = centers.at(first + w);
      if (center.C == 0) continue;
      const Path &path = found[w], &ahead = found[w + kLookAhead < paths_found ? w + kLookAhead : w];
      const WindowRows<Element> lying{center.contexts, center.C, path.rows, path.N};
      const WindowRows<float> rows_of_step = step_rows.open(lying);
      const Prefetch<int, Element> prefetch{center.entering, ahead.rows, ahead.N};
      sum.pairs += step(PathWindow<Element>{
          {rows_of_step.contexts, center.C, rows_of_step.outputs, center.rate, path.N, prefetch}, path.bits});
      step_rows.close(lying, w);
      if (loss.splits > kSplits) sum.loss += take_loss(loss);
    }
  }
  sum.loss += take_loss(loss);
  return sum;
}

template <class Element>
LossSum skipgram_hs_step(const TokenBlock& block, const Draws& draws, const Paths& paths, const Tables<Element>& tables,
                         const LearningRate& rate, int64_t begin, int64_t end, void* memory) {
  const StepScratch scratch = carve(draws, tables.dimensions, memory);
  LossLanes loss = no_loss();
  const auto step = [&](const PathWindow<Element>& window) PE_LAMBDA {
    skipgram_window(window, step_columns(tables), scratch, loss);
    return window.context_count;
  };
  return walk_paths(block, draws, paths, tables, rate, begin, end, scratch, loss, step);
}

template <class Element>
LossSum cbow_hs_step(const TokenBlock& block, const Draws& draws, const Paths& paths, const CbowOptions& options,
                     const Tables<Element>& tables, const LearningRate& rate, int64_t begin, int64_t end,
                     void* memory) {
  const StepScratch scratch = carve(draws, tables.dimensions, memory);
  LossLanes loss = no_loss();
  const auto step = [&](const PathWindow<Element>& window) PE_LAMBDA {
    cbow_window(window, options, step_columns(tables), scratch, loss);
    return int64_t{1};
  };
  return walk_paths(block, draws, paths, tables, rate, begin, end, scratch, loss, step);
}

}  // namespace pyembed::PE_ISA
