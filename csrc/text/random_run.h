// Random words of many indices in a row, by the fastest way that this processor has.
#pragma once

#include "kernels/draws.h"

namespace pyembed {

// Writes the words of a stream at index first .. first + n - 1, slot 0, to words [n, 4]. There is to be room for n up
// to the next multiple of 8.
using RandomRun = void (*)(uint64_t seed, uint32_t epoch, Stream stream, uint64_t first, int64_t n, uint32_t* words);

void portable_random_run(uint64_t seed, uint32_t epoch, Stream stream, uint64_t first, int64_t n, uint32_t* words);

// Null where this build or this processor lacks AVX-512.
RandomRun avx512_random_run();

}  // namespace pyembed
