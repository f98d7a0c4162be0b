// The scratch memory of one thread that trains batches of windows, on top of step_scratch.h.
// PE_ISA names the namespace.
#pragma once

namespace pyembed::PE_ISA {

constexpr int kTabledWindows = 6;  // of at most so many windows, the weights of every pattern stand in a table

// What batches need that single windows do not. R: rows on the side of the contexts, at most 2W + P.
struct BatchScratch {
  StepScratch step;     // as of windows of R contexts and P + K outputs
  float* weights;       // [P + K, R] signed, group by group [R, G]; and what whole registers write beyond
  float* pattern_rows;  // [2^P, stride] signed weights of a context in each pattern of windows; [1, stride] if many
  int32_t* patterns;    // [R], of each context: in bit p, whether it is one of window p
  float* quads;         // [R, P + K, 4] sums of four lanes each
  float* zeros;         // [D + kWidest], a row of either type
  float** coming;       // [P + P + K] rows to prefetch
  float* hidden;        // [P, hidden_stride] CBOW's means, then their gradients
  int64_t hidden_stride;
  float** hidden_rows;     // [P]
  float* shares;           // [R, P] of each context in each window's hidden vector
  float* gradient_shares;  // [R, P] of each context in its gradient
  size_t bytes;

  static int64_t pattern_stride(int64_t outputs) { return (outputs + 2 * kWidest - 1) / kWidest * kWidest; }
};

// draws.sharing: P; draws.negative: K, drawn for a batch.
inline BatchScratch carve_batch(const Draws& draws, int64_t dimensions, void* memory) {
  const int64_t P = draws.sharing, R = 2 * static_cast<int64_t>(draws.window) + P, outputs = P + draws.negative;
  Draws alike = draws;
  alike.window += (draws.sharing + 1) / 2;
  alike.negative = static_cast<int>(outputs - 1);
  BatchScratch scratch;
  scratch.step = carve(alike, dimensions, memory);
  char* next = static_cast<char*>(memory) + scratch.step.bytes;
  const auto take = [&](int64_t bytes) {
    char* const start = next;
    next += (bytes + 63) / 64 * 64;
    return static_cast<void*>(start);
  };
  const auto floats = [&](int64_t count) { return static_cast<float*>(take(count * 4)); };
  const auto pointers = [&](int64_t count) { return static_cast<float**>(take(count * 8)); };
  const int64_t patterns = P <= kTabledWindows ? int64_t{1} << P : 1;
  const int64_t columns = (dimensions + kWidest - 1) / kWidest * kWidest + kWidest;
  scratch.weights = floats(outputs * R + 2 * kWidest);
  scratch.pattern_rows = floats(patterns * BatchScratch::pattern_stride(outputs));
  scratch.patterns = static_cast<int32_t*>(take((R + kWidest) * 4));
  scratch.quads = floats(R * outputs * 4 + 4 * kWidest);
  scratch.zeros = floats(columns);
  scratch.coming = pointers(P + outputs);
  scratch.hidden = floats(P * columns);
  scratch.hidden_stride = columns;
  scratch.hidden_rows = pointers(P);
  scratch.shares = floats(R * P + kWidest);
  scratch.gradient_shares = floats(R * P + kWidest);
  scratch.bytes = static_cast<size_t>(next - static_cast<char*>(memory));
  return scratch;
}

}  // namespace pyembed::PE_ISA
