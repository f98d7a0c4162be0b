// What kernels of batches by products of bfloat16 have in common, compiled once for each kind of units. Included inside
// PE_TARGET_BEGIN, with PE_ISA naming the namespace; the standard headers come before, and after it what the units do
// and batch_steps.h, see isa_amx_batches.cpp.
#pragma once

#include "kernels/unroll.h"
//
#include "kernels/simd_avx512.h"
//
#include "kernels/simd_math.h"
// in order: each builds on those before
#include "kernels/weighted_scores.h"
#include "kernels/draw_ahead.h"
#include "kernels/step_scratch.h"
#include "kernels/batch_scratch.h"
#include "kernels/staged_rows.h"
#include "kernels/columns.h"
#include "kernels/product_groups.h"
#include "kernels/batch_weights.h"
#include "kernels/batch_walk.h"
#include "kernels/product_rows.h"
#include "kernels/batch_products.h"
