// The scratch memory of one thread that trains batches of windows, on top of step_scratch.h.
// PE_ISA names the namespace.
#pragma once

namespace pyembed::PE_ISA {

constexpr int kTabledWindows = 6;  // of at most so many windows, the weights of every pattern stand in a table

// What a batch's products of bfloat16 matrices need, for 16 contexts and 16 outputs. K: columns, in whole factors
// of 32.
struct ProductScratch {
  int32_t *along_in, *along_out;     // [16, 16] rows in pairs of columns, 32 columns at a time
  int32_t* turned_out;               // [16, 16] along_out, turned
  int32_t *across_in, *across_out;   // [8, K] rows in pairs of rows
  float* scores;                     // [16, 16]
  uint16_t *errors, *turned_errors;  // [16, 16]
  float* sums;                       // [4, 16, 16] of what is to be added to the rows, or of parts of scores
  float* nothing;                    // [K], a row in place of those that are not there
  int32_t* along_hidden;             // [K / 16, kMostCbowWindows, 16] hidden vectors in pairs of columns
  int32_t* inside_pairs;             // [8, 16] 1 where the contexts of a pair are part of CBOW's windows
  uint16_t* inside;                  // [16, 16] the same of single contexts
  float *shares, *gradient_shares;   // [16] of each context in a window's hidden vector, and in its gradient
  int64_t most_contexts;             // of a batch, made even
  size_t bytes;

  static int64_t columns(int64_t dimensions) { return (dimensions + 31) / 32 * 32; }
};

inline ProductScratch carve_products(int64_t dimensions, char* memory) {
  const int64_t K = ProductScratch::columns(dimensions);
  char* next = memory;
  const auto take = [&](int64_t bytes) {
    char* const start = next;
    next += bytes;
    return static_cast<void*>(start);
  };
  const auto pairs = [&](int64_t count) { return static_cast<int32_t*>(take(count * 4)); };
  const auto floats = [&](int64_t count) { return static_cast<float*>(take(count * 4)); };
  ProductScratch scratch;
  scratch.along_in = pairs(16 * 16);
  scratch.along_out = pairs(16 * 16);
  scratch.turned_out = pairs(16 * 16);
  scratch.across_in = pairs(8 * K);
  scratch.across_out = pairs(8 * K);
  scratch.scores = floats(16 * 16);
  scratch.errors = static_cast<uint16_t*>(take(16 * 16 * 2));
  scratch.turned_errors = static_cast<uint16_t*>(take(16 * 16 * 2));
  scratch.sums = floats(4 * 16 * 16);
  scratch.nothing = floats(K);
  scratch.along_hidden = pairs(K * kMostCbowWindows);
  scratch.inside_pairs = pairs(8 * 16);
  scratch.inside = static_cast<uint16_t*>(take(16 * 16 * 2));
  scratch.shares = floats(16);
  scratch.gradient_shares = floats(16);
  scratch.bytes = static_cast<size_t>(next - memory);
  return scratch;
}

// What batches need that single windows do not. R: rows on the side of the contexts, at most 2W + P.
struct BatchScratch {
  StepScratch step;     // as of windows of R contexts and P + K outputs
  float* weights;       // [P + K, R] signed, group by group [R, G], in whole groups; and what registers write beyond
  float* pattern_rows;  // [2^P, stride] signed weights of a context in each pattern of windows; [1, stride] if many
  int32_t* patterns;    // [R], of each context: in bit p, whether it is one of window p
  float* quads;         // [R, P + K, 4] sums of four lanes each
  float* zeros;         // [D + kWidest], a row of either type
  float** coming;       // [P + P + K] rows to prefetch
  uint64_t* repeats;    // [P + K, kWidest / 2] whether an output equals an earlier one, a batch a lane
  float* hidden;        // [P, hidden_stride] CBOW's means, then their gradients
  int64_t hidden_stride;
  float** hidden_rows;     // [P]
  float* shares;           // [R, P] of each context in each window's hidden vector
  float* gradient_shares;  // [R, P] of each context in its gradient
  ProductScratch products;
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
  scratch.weights = floats((outputs + kWidest - 1) / kWidest * kWidest * R + 2 * kWidest);
  scratch.pattern_rows = floats(patterns * BatchScratch::pattern_stride(outputs));
  scratch.patterns = static_cast<int32_t*>(take((R + kWidest) * 4));
  scratch.quads = floats(R * outputs * 4 + 4 * kWidest);
  scratch.zeros = floats(columns);
  scratch.coming = pointers(P + outputs);
  scratch.repeats = static_cast<uint64_t*>(take(outputs * kWidest / 2 * 8));
  scratch.hidden = floats(P * columns);
  scratch.hidden_stride = columns;
  scratch.hidden_rows = pointers(P);
  scratch.shares = floats(R * P + kWidest);
  scratch.gradient_shares = floats(R * P + kWidest);
  scratch.products = carve_products(dimensions, next);
  scratch.products.most_contexts = (R + 1) / 2 * 2;
  scratch.bytes = static_cast<size_t>(next - static_cast<char*>(memory)) + scratch.products.bytes;
  return scratch;
}

}  // namespace pyembed::PE_ISA
