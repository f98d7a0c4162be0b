// The rows of a window as a step computes with them: those of float32 tables where they lie; those of bfloat16 tables
// widened into scratch rows before the step and rounded stochastically after it. Spec: pyembed/reference.py section 8.
// PE_ISA names the namespace.
#pragma once

namespace pyembed::PE_ISA {

typedef uint32_t Bits __attribute__((vector_size(4 * kWidth)));
typedef uint16_t HalfBits __attribute__((vector_size(2 * kWidth)));

// A scratch row holds of each two registers of columns first the even ones, then the odd ones, because both come out of
// a register of bfloat16 at one instruction each; what is left after whole pairs of registers stays in order, and zeros
// fill the last register. Steps do not care, for all rows are alike.
PE_INLINE int64_t staged_columns(int64_t D) { return (D + kWidth - 1) / kWidth * kWidth; }

constexpr uint32_t kHighHalf = 0xFFFF0000u;

PE_INLINE void widen_row(const BFloat16* row, int64_t D, float* staged) {
  int64_t d = 0;
  for (; d + 2 * kWidth <= D; d += 2 * kWidth) {
    Bits both;
    __builtin_memcpy(&both, row + d, sizeof both);
    store(staged + d, (Float)(both << 16));
    store(staged + d + kWidth, (Float)(both & kHighHalf));
  }
  for (; d < D; d += kWidth) {
    HalfBits some{};
    if (D - d >= kWidth) {
      __builtin_memcpy(&some, row + d, sizeof some);
    } else {
      __builtin_memcpy(&some, row + d, static_cast<size_t>(D - d) * sizeof *row);
    }
    store(staged + d, (Float)(__builtin_convertvector(some, Bits) << 16));
  }
}

// noise: a number below 2^16 for each column, in the order of the scratch row.
PE_INLINE void round_row(const float* staged, const uint32_t* noise, int64_t D, BFloat16* row) {
  const auto add_noise = [&](int64_t d) PE_LAMBDA {
    Bits some;
    __builtin_memcpy(&some, noise + d, sizeof some);
    return (Bits)load(staged + d) + some;
  };
  int64_t d = 0;
  for (; d + 2 * kWidth <= D; d += 2 * kWidth) {
    const Bits both = add_noise(d) >> 16 | (add_noise(d + kWidth) & kHighHalf);
    __builtin_memcpy(row + d, &both, sizeof both);
  }
  for (; d < D; d += kWidth) {
    const HalfBits some = __builtin_convertvector(add_noise(d) >> 16, HalfBits);
    if (D - d >= kWidth) {
      __builtin_memcpy(row + d, &some, sizeof some);
    } else {
      __builtin_memcpy(row + d, &some, static_cast<size_t>(D - d) * sizeof *row);
    }
  }
}

// Fills noise with uniform numbers below 2^16, at least `count` and whole registers: two of each hashed counter.
PE_INLINE void draw_noise(uint32_t key, int64_t count, uint32_t* noise) {
  Bits counter{};
  for (int lane = 0; lane < kWidth; ++lane) counter[lane] = key + static_cast<uint32_t>(lane) * 0x9E3779B9u;
  for (int64_t d = 0; d < count; d += 2 * kWidth) {
    Bits hash = counter;
    hash = (hash ^ hash >> 16) * 0xD2511F53u;
    hash = (hash ^ hash >> 15) * 0xCD9E8D57u;
    hash ^= hash >> 16;
    const Bits low = hash & 0xFFFFu, high = hash >> 16;
    __builtin_memcpy(noise + d, &low, sizeof low);
    __builtin_memcpy(noise + d + kWidth, &high, sizeof high);
    counter += kWidth * 0x9E3779B9u;
  }
}

constexpr int64_t kShifts = 4;  // rows that share no number of noise in one column

// Keys of the noise of `count` <= kDrawAhead windows at positions first, first + 1, ...
inline void draw_rounding_keys(const Draws& draws, uint64_t first, int64_t count, uint64_t* keys) {
  for (int64_t w = 0; w < count; w += kDrawLanes) {
    Wide words[4];
    random_lanes(draws.seed, draws.epoch, Stream::rounding, 0, counting_from(first + static_cast<uint64_t>(w)), words);
    __builtin_memcpy(keys + w, &words[0], sizeof words[0]);
  }
}

// The noise of window w of those whose keys were drawn, for rows of D columns. A number of it serves several rows, but
// neighbouring ones in different columns, so that the errors of two rows hardly add up in their dot product.
PE_INLINE void draw_noise_of_rows(const StepScratch& scratch, int64_t w, int64_t D) {
  draw_noise(static_cast<uint32_t>(scratch.rounding_keys[w]), (kShifts - 1) * 2 * kWidth + D, scratch.noise);
}

// Where a window's rows lie.
template <class Element>
struct WindowRows {
  Element* const* contexts;
  int64_t context_count;
  Element* const* outputs;
  int64_t output_count;
};

template <class Element>
class StepRows;

template <>
class StepRows<float> {
 public:
  StepRows(const StepScratch&, int64_t) {}
  PE_INLINE void draw_keys(const Draws&, uint64_t, int64_t) {}
  PE_INLINE WindowRows<float> open(const WindowRows<float>& rows) { return rows; }
  PE_INLINE void close(const WindowRows<float>&, int64_t) {}
};

template <>
class StepRows<BFloat16> {
 public:
  StepRows(const StepScratch& scratch, int64_t D)
      : scratch_(scratch), D_(D), stride_((D + kWidest - 1) / kWidest * kWidest) {}

  void draw_keys(const Draws& draws, uint64_t first, int64_t count) {
    draw_rounding_keys(draws, first, count, scratch_.rounding_keys);
  }

  // Widens the rows of a window. A context that stands twice has one scratch row, so that no update of it is lost.
  PE_INLINE WindowRows<float> open(const WindowRows<BFloat16>& rows) {
    float* row = scratch_.staged;
    uint64_t seen = 0;  // a bit for each row, which others may have too
    for (int64_t c = 0; c < rows.context_count; ++c, row += stride_) {
      const uint64_t bit = uint64_t{1} << (reinterpret_cast<uintptr_t>(rows.contexts[c]) * 0x9E3779B97F4A7C15u >> 58);
      int64_t first = c;
      if (seen & bit) first = first_same(rows.contexts, c);
      seen |= bit;
      scratch_.staged_contexts[c] = scratch_.staged + first * stride_;
      if (first == c) widen_row(rows.contexts[c], D_, row);
    }
    for (int64_t n = 0; n < rows.output_count; ++n, row += stride_) {
      scratch_.staged_outputs[n] = row;
      widen_row(rows.outputs[n], D_, row);
    }
    return {scratch_.staged_contexts, rows.context_count, scratch_.staged_outputs, rows.output_count};
  }

  // Rounds the rows of window w of those whose keys were drawn. The outputs go from the last to the first, which is the
  // one that the step has trained where some are equal.
  PE_INLINE void close(const WindowRows<BFloat16>& rows, int64_t w) {
    draw_noise_of_rows(scratch_, w, D_);
    int64_t shift = 0;
    const auto round = [&](const float* staged, BFloat16* row)
                           PE_LAMBDA { round_row(staged, scratch_.noise + shift++ % kShifts * 2 * kWidth, D_, row); };
    for (int64_t c = 0; c < rows.context_count; ++c) round(scratch_.staged_contexts[c], rows.contexts[c]);
    for (int64_t n = rows.output_count - 1; n >= 0; --n) round(scratch_.staged_outputs[n], rows.outputs[n]);
  }

 private:
  static int64_t first_same(BFloat16* const* rows, int64_t c) {
    int64_t first = 0;
    while (rows[first] != rows[c]) ++first;
    return first;
  }

  const StepScratch& scratch_;
  int64_t D_, stride_;
};

// Columns of the rows that a step sees.
template <class Element>
PE_INLINE int64_t step_columns(int64_t D) {
  return std::is_same_v<Element, float> ? D : staged_columns(D);
}

template <class Element>
PE_INLINE int64_t step_columns(const Tables<Element>& tables) {
  return step_columns<Element>(tables.dimensions);
}

}  // namespace pyembed::PE_ISA
