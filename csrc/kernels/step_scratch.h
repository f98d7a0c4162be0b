// The scratch memory of one thread in a SIMD training step, carved from one allocation of the caller's.
// PE_ISA names the namespace.
#pragma once

namespace pyembed::PE_ISA {

struct StepScratch {
  float* errors;             // [groups, W, kTile] step sizes
  float* in_before;          // [2W, kWidest] columns of the contexts as the window found them
  float* copies;             // [N, D + kWidest] rows of repeated outputs
  float* before;             // [N, D + kWidest] the same before the window
  float* hidden;             // [D + kWidest] CBOW's mean
  float** context_rows;      // [2W + 1]: the walk may write one past the last
  float** output_rows;       // [N]
  const float** ahead_rows;  // [1 + N] rows to prefetch
  uint64_t* lanes;           // [N, kWidest / 2]
  int32_t* radius;           // [kDrawAhead + kLookAhead]
  int32_t* outputs;          // [kDrawAhead + kLookAhead, N]
  uint8_t* repeated;         // [kDrawAhead + kLookAhead]
  size_t bytes;
};

constexpr int kWidest = 16;  // lanes of the widest registers, so that one size of scratch serves every instruction set
constexpr int kGroup = 6;    // outputs treated together: with two contexts, what the registers hold
constexpr int kTile = 16;    // step sizes of two contexts with a group, in whole registers
constexpr int kLookAhead = 2;  // windows between the prefetch of a row and its use

inline StepScratch carve(const Draws& draws, int64_t dimensions, void* memory) {
  const int64_t contexts = 2 * static_cast<int64_t>(draws.window), outputs = 1 + static_cast<int64_t>(draws.negative);
  char* next = static_cast<char*>(memory);
  const auto take = [&](int64_t bytes) {
    char* const start = next;
    next += (bytes + 63) / 64 * 64;
    return static_cast<void*>(start);
  };
  const auto floats = [&](int64_t count) {
    return static_cast<float*>(take(count * static_cast<int64_t>(sizeof(float))));
  };
  constexpr int64_t drawn = kDrawAhead + kLookAhead;
  StepScratch scratch;
  scratch.errors = floats((outputs + kGroup - 1) / kGroup * draws.window * kTile);
  scratch.in_before = floats(contexts * kWidest);
  scratch.hidden = floats(dimensions + kWidest);
  scratch.copies = floats(outputs * (dimensions + kWidest));
  scratch.before = floats(outputs * (dimensions + kWidest));
  scratch.context_rows = static_cast<float**>(take((contexts + 1) * static_cast<int64_t>(sizeof(float*))));
  scratch.output_rows = static_cast<float**>(take(outputs * static_cast<int64_t>(sizeof(float*))));
  scratch.ahead_rows = static_cast<const float**>(take((1 + outputs) * static_cast<int64_t>(sizeof(float*))));
  scratch.lanes = static_cast<uint64_t*>(take(outputs * kWidest / 2 * 8));
  scratch.radius = static_cast<int32_t*>(take(drawn * 4));
  scratch.outputs = static_cast<int32_t*>(take(drawn * outputs * 4));
  scratch.repeated = static_cast<uint8_t*>(take(drawn));
  scratch.bytes = static_cast<size_t>(next - static_cast<char*>(memory));
  return scratch;
}

}  // namespace pyembed::PE_ISA
