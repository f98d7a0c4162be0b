// All kernels of batches of windows, compiled once for each instruction set on top of one of the simd_*.h. Included
// inside PE_TARGET_BEGIN, with PE_ISA naming the namespace; the standard headers come before, see isa_*_batches.cpp.
#pragma once

#include "kernels/simd_math.h"
// in order: each builds on those before
#include "kernels/weighted_scores.h"
#include "kernels/draw_ahead.h"
#include "kernels/step_scratch.h"
#include "kernels/batch_scratch.h"
#include "kernels/staged_rows.h"
#include "kernels/repeated_outputs.h"
#include "kernels/window_walk.h"
#include "kernels/pair_walk.h"
#include "kernels/columns.h"
#include "kernels/scores.h"
#include "kernels/skipgram_simd.h"
#include "kernels/batch_weights.h"
#include "kernels/batch_walk.h"
#include "kernels/batch_vectors.h"
#include "kernels/batch_steps.h"
#include "kernels/cbow_vectors.h"
#include "kernels/cbow_batch_steps.h"

namespace pyembed::PE_ISA {

extern const CpuBatchKernels batch_kernels;

constexpr CpuBatchKernels batch_kernels = {skipgram_batch_step<float>, skipgram_batch_step<BFloat16>,
                                           cbow_batch_step<float>, cbow_batch_step<BFloat16>};

}  // namespace pyembed::PE_ISA
