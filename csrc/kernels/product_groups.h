// Outputs in groups of the rows of a product, in place of those of scores.h. PE_ISA names the namespace.
#pragma once

namespace pyembed::PE_ISA {

// A group is whole: of outputs that are not there, weights are 0.
constexpr int kGroupOutputs = kProductRows;
PE_INLINE int group_width(int) { return kGroupOutputs; }

template <class F>
PE_INLINE void for_each_group(int N, const F& f) {
  for (int n = 0; n < N; n += kGroupOutputs) f(std::integral_constant<int, kGroupOutputs>{}, n);
}

// Of contexts scored together, as skipgram_simd.h: no rows are brought in meanwhile.
template <int G>
constexpr int kTileWith = kProductRows + 1;

constexpr int kUsualOutputs = 0;

template <int N>
PE_INLINE int batch_outputs(const Draws& draws) {
  return draws.sharing + draws.negative;
}

}  // namespace pyembed::PE_ISA
