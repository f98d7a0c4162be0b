// All kernels of windows and of draws, compiled once for each instruction set on top of one of the simd_*.h, and its
// table of entries. Included inside PE_TARGET_BEGIN, with PE_ISA naming the namespace; the standard headers come
// before, see isa_*.cpp.
#pragma once

#include "kernels/simd_math.h"
// in order: each builds on those before
#include "kernels/draw_ahead.h"
#include "kernels/step_scratch.h"
#include "kernels/staged_rows.h"
#include "kernels/repeated_outputs.h"
#include "kernels/window_walk.h"
#include "kernels/pair_walk.h"
#include "kernels/columns.h"
#include "kernels/scores.h"
#include "kernels/skipgram_simd.h"
#include "kernels/cbow_simd.h"
#include "kernels/hs_simd.h"
#include "kernels/draw_negatives_simd.h"

namespace pyembed::PE_ISA {

inline void draw_windows(const Draws& draws, uint64_t first, int64_t count, const int32_t* centers, uint64_t* lanes,
                         int32_t* radius, int32_t* outputs, uint8_t* repeated) {
  for (int64_t begin = 0; begin < count; begin += kDrawAhead) {
    const int64_t some = count - begin < kDrawAhead ? count - begin : kDrawAhead;
    int32_t scratch[kRadii];
    const int32_t* const drawn = draw_radii(draws, first + static_cast<uint64_t>(begin), some, scratch);
    __builtin_memcpy(radius + begin, drawn, static_cast<size_t>(some) * sizeof *drawn);
  }
  draw_outputs(draws, first, count, centers, lanes, outputs, repeated);
}

extern const CpuRowKernels row_kernels;      // isa_rows.h
extern const CpuBatchKernels batch_kernels;  // isa_batches.h

constexpr CpuKernels entries(const char* name) {
  return {name,
          skipgram_step<float>,
          skipgram_step<BFloat16>,
          cbow_step<float>,
          cbow_step<BFloat16>,
          skipgram_hs_step<float>,
          skipgram_hs_step<BFloat16>,
          cbow_hs_step<float>,
          cbow_hs_step<BFloat16>,
          draw_windows,
          draw_negatives,
          row_kernels,
          batch_kernels};
}

}  // namespace pyembed::PE_ISA
