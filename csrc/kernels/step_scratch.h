// The scratch memory of one thread in a SIMD training step, carved from one allocation of the caller's.
// PE_ISA names the namespace.
#pragma once

namespace pyembed::PE_ISA {

constexpr int kWidest = 16;  // lanes of the widest registers, so that one size of scratch serves every instruction set
constexpr int kGroup = 6;    // outputs treated together
constexpr int kDrawAhead = 64;  // windows drawn at a time: their rows' addresses stay in the first-level cache
constexpr int kLookAhead = 2;   // windows between the prefetch of a row and its use
constexpr int kRun = 8;         // pointers copied at a time

struct StepScratch {
  float* errors;            // [N, 2W] step sizes, group by group [2W, G]; and what whole registers write beyond
  float* in_before;         // [2W, 2 * kWidest] columns of the contexts as the window found them
  float* copies;            // [N, D + kWidest] rows of repeated outputs
  float* before;            // [N, D + kWidest] the same before the window
  float* hidden;            // [D + kWidest] CBOW's mean
  float** context_rows;     // [2W + 2 kRun] of the window at work
  float** output_rows;      // [N] of a window whose outputs repeat
  float** token_rows;       // [2W + kDrawAhead + kLookAhead + 2 kRun], from the token W before the first center on
  float** drawn_rows;       // [kDrawAhead + kLookAhead, N]
  uint64_t* lanes;          // [N, kWidest / 2]
  int32_t* radius;          // [kRadii]
  int32_t* outputs;         // [kDrawAhead + kLookAhead, N]
  uint8_t* repeated;        // [kDrawAhead + kLookAhead]
  float* staged;            // [2W + N, D + kWidest] widened rows
  float** staged_contexts;  // [2W]
  float** staged_outputs;   // [N]
  uint32_t* noise;          // [D + 8 * kWidest]
  uint64_t* rounding_keys;  // [kDrawAhead], of which the low halves count
  int32_t* pair_outputs;    // [2, 2W, N] of this window and the next, where every pair has its own
  float** pair_rows;        // [2, 2W, N]
  size_t bytes;
};

constexpr int kRadii = kDrawAhead + 4 * kWidest;  // radii are drawn in fours, as many fours as a register has lanes

inline StepScratch carve(const Draws& draws, int64_t dimensions, void* memory) {
  const int64_t contexts = 2 * static_cast<int64_t>(draws.window), outputs = 1 + static_cast<int64_t>(draws.negative);
  char* next = static_cast<char*>(memory);
  dimensions = (dimensions + kWidest - 1) / kWidest * kWidest;  // a step may see rows that zeros fill up
  const auto take = [&](int64_t bytes) {
    char* const start = next;
    next += (bytes + 63) / 64 * 64;
    return static_cast<void*>(start);
  };
  const auto floats = [&](int64_t count) {
    return static_cast<float*>(take(count * static_cast<int64_t>(sizeof(float))));
  };
  const auto pointers = [&](int64_t count) {
    return static_cast<float**>(take(count * static_cast<int64_t>(sizeof(float*))));
  };
  constexpr int64_t drawn = kDrawAhead + kLookAhead;
  StepScratch scratch;
  scratch.errors = floats(outputs * contexts + 2 * kWidest);
  scratch.in_before = floats(contexts * 2 * kWidest);
  scratch.hidden = floats(dimensions + kWidest);
  scratch.copies = floats(outputs * (dimensions + kWidest));
  scratch.before = floats(outputs * (dimensions + kWidest));
  scratch.context_rows = pointers(contexts + 2 * kRun);
  scratch.output_rows = pointers(outputs);
  scratch.token_rows = pointers(contexts + drawn + 2 * kRun);
  scratch.drawn_rows = pointers(drawn * outputs);
  scratch.lanes = static_cast<uint64_t*>(take(outputs * kWidest / 2 * 8));
  scratch.radius = static_cast<int32_t*>(take(kRadii * 4));
  scratch.outputs = static_cast<int32_t*>(take(drawn * outputs * 4));
  scratch.repeated = static_cast<uint8_t*>(take(drawn));
  scratch.staged = floats((contexts + outputs) * (dimensions + kWidest));
  scratch.staged_contexts = pointers(contexts);
  scratch.staged_outputs = pointers(outputs);
  scratch.noise = static_cast<uint32_t*>(take((dimensions + 8 * kWidest) * 4));
  scratch.rounding_keys = static_cast<uint64_t*>(take(kDrawAhead * 8));
  scratch.pair_outputs = static_cast<int32_t*>(take(2 * contexts * outputs * 4));
  scratch.pair_rows = pointers(2 * contexts * outputs);
  scratch.bytes = static_cast<size_t>(next - static_cast<char*>(memory));
  return scratch;
}

}  // namespace pyembed::PE_ISA
