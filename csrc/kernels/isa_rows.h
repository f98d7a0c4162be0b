// All kernels that work on rows by their ids, explicit pairs' and embeddings', compiled once for each instruction set
// on top of one of the simd_*.h. Included inside PE_TARGET_BEGIN, with PE_ISA naming the namespace; the standard
// headers come before, see isa_*_rows.cpp.
#pragma once

#include "kernels/simd_math.h"
// in order: each builds on those before
#include "kernels/pair_rows_simd.h"
#include "kernels/pairs_simd.h"
#include "kernels/row_steps.h"

namespace pyembed::PE_ISA {

extern const CpuRowKernels row_kernels;

constexpr CpuRowKernels row_kernels = {pair_entries<float>(), pair_entries<double>(), row_entries<float>(),
                                       row_entries<double>(), row_entries<Float16>(), row_entries<BFloat16>()};

}  // namespace pyembed::PE_ISA
