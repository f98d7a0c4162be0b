// Everything that is compiled once for each instruction set, on top of one of the simd_*.h, and its table of entries.
// Included inside PE_TARGET_BEGIN, with PE_ISA naming the namespace; the standard headers come before, see isa_*.cpp.
#pragma once

#include "kernels/simd_math.h"
// in order: each builds on those before
#include "kernels/draw_ahead.h"
#include "kernels/step_scratch.h"
#include "kernels/repeated_outputs.h"
#include "kernels/window_walk.h"
#include "kernels/scores.h"
#include "kernels/skipgram_simd.h"
#include "kernels/cbow_simd.h"

namespace pyembed::PE_ISA {

inline void draw_windows(const Draws& draws, uint64_t first, int64_t count, const int32_t* centers, uint64_t* lanes,
                         int32_t* radius, int32_t* outputs, uint8_t* repeated) {
  draw_radii(draws, first, count, radius);
  draw_outputs(draws, first, count, centers, lanes, outputs, repeated);
}

constexpr CpuKernels entries(const char* name) { return {name, skipgram_step, cbow_step, draw_windows}; }

}  // namespace pyembed::PE_ISA
