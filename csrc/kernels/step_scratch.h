// The scratch memory of one thread in a SIMD training step, carved from one allocation of the caller's.
// PE_ISA names the namespace.
#pragma once

namespace pyembed::PE_ISA {

struct StepScratch {
  float* errors;               // [2, 2N + kWidest] step sizes of two contexts with all outputs, twice
  float* changed;              // [N, D + kWidest] outputs' rows while a window trains
  float* hidden;               // [D + kWidest] CBOW's mean
  float* exact;                // exact_scratch_size()
  float** context_rows;        // [2W]
  float** output_rows;         // [N]
  const float** ahead_rows;    // [1 + N] rows to prefetch
  uint64_t* lanes;             // [N, kWidest / 2]
  int32_t* context_ids;        // [2W]
  int32_t* radius;             // [kDrawAhead + kLookAhead]
  int32_t* outputs;            // [kDrawAhead + kLookAhead, N]
  uint8_t* repeated;           // [kDrawAhead + kLookAhead]
  size_t bytes;
};

constexpr int kWidest = 16;    // lanes of the widest registers, so that one size of scratch serves every instruction set
constexpr int kLookAhead = 2;  // windows between the prefetch of a row and its use

inline StepScratch carve(const Draws& draws, int64_t dimensions, void* memory) {
  const int64_t contexts = 2 * static_cast<int64_t>(draws.window), outputs = 1 + static_cast<int64_t>(draws.negative);
  char* next = static_cast<char*>(memory);
  const auto take = [&](int64_t bytes) {
    char* const start = next;
    next += (bytes + 63) / 64 * 64;
    return static_cast<void*>(start);
  };
  const auto floats = [&](int64_t count) { return static_cast<float*>(take(count * static_cast<int64_t>(sizeof(float)))); };
  constexpr int64_t drawn = kDrawAhead + kLookAhead;
  StepScratch scratch;
  scratch.errors = floats(2 * (2 * outputs + kWidest));
  scratch.changed = floats(outputs * (dimensions + kWidest));
  scratch.hidden = floats(dimensions + kWidest);
  scratch.exact = floats(exact_scratch_size(draws));
  scratch.context_rows = static_cast<float**>(take(contexts * static_cast<int64_t>(sizeof(float*))));
  scratch.output_rows = static_cast<float**>(take(outputs * static_cast<int64_t>(sizeof(float*))));
  scratch.ahead_rows = static_cast<const float**>(take((1 + outputs) * static_cast<int64_t>(sizeof(float*))));
  scratch.lanes = static_cast<uint64_t*>(take(outputs * kWidest / 2 * 8));
  scratch.context_ids = static_cast<int32_t*>(take(contexts * 4));
  scratch.radius = static_cast<int32_t*>(take(drawn * 4));
  scratch.outputs = static_cast<int32_t*>(take(drawn * outputs * 4));
  scratch.repeated = static_cast<uint8_t*>(take(drawn));
  scratch.bytes = static_cast<size_t>(next - static_cast<char*>(memory));
  return scratch;
}

}  // namespace pyembed::PE_ISA
