// The kernels for AMX, on a processor without it.
#pragma once

#include "kernels/cpu_kernels.h"

namespace pyembed {

// Null where there is no AVX-512, which they take besides.
const CpuProductKernels* emulated_amx_kernels();

}  // namespace pyembed
