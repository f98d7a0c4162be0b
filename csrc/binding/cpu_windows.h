// What an op on the CPU takes: its arguments, whose contents are looked at here, and the sum that a step returns.
#pragma once

#include "binding/checks.h"

namespace pyembed {

inline Place on_cpu() { return {torch::stable::Device(torch::headeronly::DeviceType::CPU), "on the CPU"}; }

// Arguments of an op with nothing in the block that points beyond a table. A wrong index would write outside of it, so
// every index is looked at; it costs a pass at memory speed.
template <class Arguments>
class CpuBlock : public Arguments {
 public:
  template <class... Rest>
  explicit CpuBlock(const Rest&... rest) : Arguments(on_cpu(), rest...) {
    const TokenBlock& block = this->block;
    const int64_t* starts = block.sentence_starts;
    this->require_ends(starts[0], starts[block.sentences]);
    for (int64_t s = 0; s < block.sentences; ++s) {
      if (starts[s] > starts[s + 1]) this->refuse_start(s + 1);
    }
    const uint32_t V = this->draws.vocabulary;
    uint32_t largest = 0;  // as unsigned, a negative id is a large one
    for (int64_t t = 0; t < block.tokens; ++t) {
      const uint32_t id = static_cast<uint32_t>(block.ids[t]);
      largest = id > largest ? id : largest;
    }
    if (largest >= V) {
      int64_t t = 0;
      while (static_cast<uint32_t>(block.ids[t]) < V) ++t;
      refuse_id("ids", V, block.ids[t], std::to_string(t));
    }
  }
};

// The block and the draws of an op, all of whose contents were looked at.
class CpuWindows : public CpuBlock<WindowArguments> {
 public:
  template <class... Rest>
  explicit CpuWindows(const Rest&... rest) : CpuBlock(rest...) {
    for (uint32_t v = 0; v < draws.vocabulary; ++v) {
      const uint32_t alias = draws.alias_table[2 * static_cast<uint64_t>(v) + 1];
      if (alias >= draws.vocabulary) refuse_alias(alias, v);
    }
  }
};

inline Tensor loss_and_pairs(const LossSum& sum) {
  Tensor result = torch::stable::empty({2}, ScalarType::Double);
  double* values = result.mutable_data_ptr<double>();
  values[0] = sum.loss;
  values[1] = static_cast<double>(sum.pairs);
  return result;
}

}  // namespace pyembed
