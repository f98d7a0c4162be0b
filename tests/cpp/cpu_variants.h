// What the tests of the CPU kernels share: every instruction set of this machine, noise tables, memory without slack.
#pragma once

#include <cstdint>
#include <cstdio>
#include <random>
#include <vector>

#include "kernels/cpu_kernels.h"

namespace pyembed {

inline std::vector<const CpuKernels*> cpu_variants() {
  std::vector<const CpuKernels*> variants;
  for (const CpuKernels* kernels : {avx512_kernels(), avx2_kernels(), neon_kernels(), plain_kernels()}) {
    if (kernels) variants.push_back(kernels);
  }
  return variants;
}

inline void print_variants(const char* tests) {
  std::printf("%s: all promises hold for", tests);
  for (const CpuKernels* kernels : cpu_variants()) std::printf(" %s", kernels->name);
  std::printf("\n");
}

// Any alias table will do, whatever distribution it stands for: [vocabulary, 2].
inline std::vector<uint32_t> random_alias_table(uint32_t vocabulary, std::mt19937& random) {
  std::vector<uint32_t> table(2 * vocabulary);
  for (uint32_t id = 0; id < vocabulary; ++id) {
    table[2 * id] = static_cast<uint32_t>(random());
    table[2 * id + 1] = static_cast<uint32_t>(random() % vocabulary);
  }
  return table;
}

}  // namespace pyembed
