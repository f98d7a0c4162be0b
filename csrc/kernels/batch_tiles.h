// The step of a batch by products of matrices, whose factors are rounded to bfloat16; their sums are float32, as are
// the rows that these are added to. Spec: pyembed/reference.py section 12. PE_ISA names the namespace.
//
// A product sums over pairs of numbers, so rows are rounded twice over: along the columns, two numbers of a row beside
// each other, as scores sum; and across the rows, the numbers that two rows have in a column, as updates sum.
#pragma once

namespace pyembed::PE_ISA {

// Which tile holds what: sums [16, 16]; factors of scores, [16, 16] pairs; factors of updates, [16, 8] and [8, 16].
enum Tile { kSum0, kSum1, kSum2, kSum3, kErrors, kTurnedErrors, kOutputs, kContexts };
constexpr int kScored = kSum0, kAlongIn = kSum2, kTurnedOut = kSum3;
constexpr int64_t kTileBytes = 4 * kTileRows;  // of a row

inline TileShapes batch_shapes() {
  TileShapes shapes;
  for (int tile = kSum0; tile <= kContexts; ++tile) {
    shapes.bytes[tile] = tile == kErrors || tile == kTurnedErrors ? kTileBytes / 2 : kTileBytes;
    shapes.rows[tile] = tile == kOutputs || tile == kContexts ? kTileRows / 2 : kTileRows;
  }
  return shapes;
}

// What a thread sets up before it trains batches. Scratch of rows that are not there is multiplied, too, but by 0.
struct BatchUnits {
  explicit BatchUnits(const BatchScratch& scratch) : tiles(batch_shapes()) {
    __builtin_memset(scratch.tiles.along_in, 0, scratch.tiles.bytes);
  }
  ShapedTiles tiles;
};

PE_INLINE void put(void* to, __m512i x) { _mm512_store_si512(to, x); }

// To bfloat16, which is the upper half of each number; the lower is of no use.
PE_INLINE __m512i rounded(Float x) { return _mm512_add_epi32(_mm512_castps_si512(x), _mm512_set1_epi32(0x8000)); }

PE_INLINE __m512i pairs_of(__m512i low, __m512i high) {
  return _mm512_mask_blend_epi16(0xAAAAAAAAu, _mm512_srli_epi32(low, 16), high);
}

// Rounds 32 columns of `count` rows from column d on, of which `low` and `high` load 16 each. along: [rows, 16];
// across: [rows / 2, stride].
template <class Low, class High>
PE_INLINE void round_rows(float* const* rows, int64_t count, const float* nothing, int64_t d, const Low& low,
                          const High& high, int32_t* along, int32_t* across, int64_t stride) {
  for (int64_t r = 0; r < count; r += 2, along += 2 * kTileRows, across += stride) {
    const float *first = rows[r] + d, *second = (r + 1 < count ? rows[r + 1] : nothing) + d;
    const __m512i a = rounded(low(first)), b = rounded(high(first + kTileRows));
    const __m512i c = rounded(low(second)), e = rounded(high(second + kTileRows));
    put(along, pairs_of(a, b));
    put(along + kTileRows, pairs_of(c, e));
    put(across, pairs_of(a, c));
    put(across + kTileRows, pairs_of(b, e));
  }
}

// Of four registers, numbers 4L to 4L + 3 of turned[i] are number 4L + i of each.
PE_INLINE void turn_quads(const __m512i (&x)[4], __m512i (&turned)[4]) {
  const __m512i a = _mm512_unpacklo_epi32(x[0], x[1]), b = _mm512_unpackhi_epi32(x[0], x[1]);
  const __m512i c = _mm512_unpacklo_epi32(x[2], x[3]), e = _mm512_unpackhi_epi32(x[2], x[3]);
  turned[0] = _mm512_unpacklo_epi64(a, c);
  turned[1] = _mm512_unpackhi_epi64(a, c);
  turned[2] = _mm512_unpacklo_epi64(b, e);
  turned[3] = _mm512_unpackhi_epi64(b, e);
}

// turned [4, 16] from the first four of each of rows [16, 16].
PE_INLINE void turn_rows(const int32_t* rows, int32_t* turned) {
  __m512i x[4], columns[4];
  unrolled<4>([&](auto i) PE_LAMBDA {
    const auto four = [&](int L) PE_LAMBDA {
      return _mm_load_si128(reinterpret_cast<const __m128i*>(rows + (4 * L + decltype(i)::value) * kTileRows));
    };
    x[i] = _mm512_castsi128_si512(four(0));
    x[i] = _mm512_mask_broadcast_i32x4(x[i], 0x00F0, four(1));
    x[i] = _mm512_mask_broadcast_i32x4(x[i], 0x0F00, four(2));
    x[i] = _mm512_mask_broadcast_i32x4(x[i], 0xF000, four(3));
  });
  turn_quads(x, columns);
  unrolled<4>([&](auto i) PE_LAMBDA { put(turned + i * kTileRows, columns[i]); });
}

// Rows of turned errors stand in the order in which turning leaves them: in place t the output 4 (t % 4) + t / 4.
constexpr int turned_place(int t) { return 4 * (t % 4) + t / 4; }

// Errors of 8 pairs of contexts with 16 outputs: turned [16, 8] pairs.
PE_INLINE void turn_errors(const __m512i (&pairs)[8], uint16_t* turned) {
  __m512i x[4], first[4], second[4];
  unrolled<4>([&](auto i) PE_LAMBDA { x[i] = pairs[i]; });
  turn_quads(x, first);
  unrolled<4>([&](auto i) PE_LAMBDA { x[i] = pairs[4 + i]; });
  turn_quads(x, second);
  const __m512i low = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), high = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
  unrolled<4>([&](auto i) PE_LAMBDA {
    put(turned + 4 * i * kTileRows, _mm512_permutex2var_epi64(first[i], low, second[i]));
    put(turned + (4 * i + 2) * kTileRows, _mm512_permutex2var_epi64(first[i], high, second[i]));
  });
}

// As weighted_step_sizes(), to 13 bits: they are rounded to 8 next. 2^rest and log2 by the polynomials of degree 3 and
// 5 of least relative error, 8e-5 and 6e-5.
PE_INLINE Float rough_step_sizes(Float score, Float weight, Float rate, WeightedLoss& loss) {
  const Float factors = (Float)(((Int)weight & INT32_MIN) ^ (Int)broadcast(-kLog2e));
  const Float exponent = score * factors;
  const Float most = at_most(126.0f, exponent), clamped = at_least(-126.0f, most);
  const Float rest = _mm512_reduce_ps(clamped, _MM_FROUND_TO_NEG_INF);
  const Float power = fma(rest * rest, fma(rest, broadcast(0.07802452f), broadcast(0.22606716f)),
                          fma(rest, broadcast(0.69583354f), broadcast(0.99992522f)));
  const Float growth = _mm512_scalef_ps(power, clamped), sum = broadcast(1.0f) + growth;
  const Float t = _mm512_getmant_ps(sum, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_zero) - broadcast(1.0f), square = t * t;
  const Float high = fma(square, broadcast(0.05965144f), fma(t, broadcast(-0.22711921f), broadcast(0.44189865f)));
  const Float low = fma(t, broadcast(-0.71698737f), broadcast(1.4426132f));
  const Float powers = fma(t, fma(square, high, low), _mm512_getexp_ps(sum)) + (exponent - most);
  loss.powers = fma((Float)((Int)weight & INT32_MAX), powers, loss.powers);
  return growth * _mm512_rcp14_ps(sum) * (weight * rate);
}

template <class Window>
class TileStep {
 public:
  PE_INLINE TileStep(const Window& batch, int64_t D, const BatchScratch& scratch)
      : batch_(batch),
        scratch_(scratch.tiles),
        D_(D),
        stride_((D + 2 * kTileRows - 1) / (2 * kTileRows) * 2 * kTileRows),
        C_(batch.context_count),
        N_(batch.N) {}

  PE_INLINE void score() const {
    const auto all = [&](const float* x) PE_LAMBDA { return load(x); };
    const auto none = [&](const float*) PE_LAMBDA { return zero(); };
    clear_tile<kScored>();
    int64_t d = 0;
    for (; d + 2 * kTileRows <= D_; d += 2 * kTileRows) score_columns(d, kTileRows, all, all);
    if (d < D_) {
      const int tail = static_cast<int>(D_ - d) % kTileRows;
      const auto some = [tail](const float* x) PE_LAMBDA { return load_first(x, tail); };
      D_ - d < kTileRows ? score_columns(d, D_ - d, some, none) : score_columns(d, kTileRows, all, some);
    }
    store_tile<kScored>(scratch_.scores, kTileBytes);
  }

  // Turns scores into errors, rate included.
  PE_INLINE void size_steps(const float* weights, WeightedLoss& loss) const {
    const Float rate = broadcast(batch_.rate);
    const auto errors = [&](int64_t c) PE_LAMBDA {
      if (c >= C_) return _mm512_setzero_si512();
      const int64_t place = c * kTileRows;
      return rounded(rough_step_sizes(load(scratch_.scores + place), load(weights + place), rate, loss));
    };
    const auto put_row = [&](int64_t c, __m512i numbers) PE_LAMBDA {
      _mm256_store_si256(reinterpret_cast<__m256i*>(scratch_.errors + c * kTileRows),
                         _mm512_cvtepi32_epi16(_mm512_srli_epi32(numbers, 16)));
    };
    __m512i pairs[kTileRows / 2];
    unrolled<kTileRows / 2>([&](auto i) PE_LAMBDA {
      const __m512i even = errors(2 * i), odd = errors(2 * i + 1);
      put_row(2 * i, even);
      put_row(2 * i + 1, odd);
      pairs[i] = pairs_of(even, odd);
    });
    turn_errors(pairs, scratch_.turned_errors);
  }

  PE_INLINE void update() const {
    load_tile<kErrors>(scratch_.errors, kTileBytes / 2);
    load_tile<kTurnedErrors>(scratch_.turned_errors, kTileBytes / 2);
    float* outputs[kTileRows];
    unrolled<kTileRows>([&](auto t) PE_LAMBDA {
      constexpr int n = turned_place(decltype(t)::value);
      outputs[t] = n < N_ ? batch_.output_rows[n] : scratch_.nothing;
    });
    const int64_t count = batch_.prefetch.count, tiles = (D_ + kTileRows - 1) / kTileRows;
    int64_t coming = 0, step = 0;
    for_each_columns<2>(D_, [&](auto registers, auto is_tail, int64_t d, int tail) PE_LAMBDA {
      constexpr int M = decltype(registers)::value;
      constexpr bool Tail = decltype(is_tail)::value;
      step += M;
      for (; coming < count * step / tiles; ++coming) prefetch_row(batch_.prefetch.rows[coming]);
      unrolled<M>([&](auto m) PE_LAMBDA { multiply<decltype(m)::value>(d + m * kTileRows); });
      const auto add = [&](float* row, const float* sums, bool replaces) PE_LAMBDA {
        unrolled<M>([&](auto m) PE_LAMBDA {
          float* const to = row + d + m * kTileRows;
          const Float sum = load(sums + m * 2 * kTileRows * kTileRows);
          const Float old = replaces ? zero() : Tail ? load_first(to, tail) : load(to);
          Tail ? store_first(to, old + sum, tail) : store(to, old + sum);
        });
      };
      for (int64_t c = 0; c < C_; ++c) add(batch_.context_rows[c], sums_of(0) + c * kTileRows, Window::kGradients);
      for (int64_t t = 0; t < kTileRows; ++t) add(outputs[t], sums_of(1) + t * kTileRows, false);
    });
  }

 private:
  float* sums_of(int product) const { return scratch_.sums + product * kTileRows * kTileRows; }

  // Adds what the columns from d on, 32 of them, give to the scores; of these `numbers` pairs are not all 0.
  template <class Low, class High>
  PE_INLINE void score_columns(int64_t d, int64_t numbers, const Low& low, const High& high) const {
    const TileScratch& s = scratch_;
    round_rows(batch_.context_rows, C_, s.nothing, d, low, high, s.along_in, s.across_in + d, stride_);
    round_rows(batch_.output_rows, N_, s.nothing, d, low, high, s.along_out, s.across_out + d, stride_);
    for (int64_t j = 0; j < numbers; j += 4) turn_rows(s.along_out + j, s.turned_out + j * kTileRows);
    load_tile<kAlongIn>(s.along_in, kTileBytes);
    load_tile<kTurnedOut>(s.turned_out, kTileBytes);
    multiply_tiles<kScored, kAlongIn, kTurnedOut>();
  }

  // What is to be added to 16 columns of contexts and outputs.
  template <int M>
  PE_INLINE void multiply(int64_t d) const {
    constexpr int kIn = 2 * M, kOut = kIn + 1;
    load_tile<kOutputs>(scratch_.across_out + d, 4 * stride_);
    clear_tile<kIn>();
    multiply_tiles<kIn, kErrors, kOutputs>();
    store_tile<kIn>(sums_of(kIn), kTileBytes);
    load_tile<kContexts>(scratch_.across_in + d, 4 * stride_);
    clear_tile<kOut>();
    multiply_tiles<kOut, kTurnedErrors, kContexts>();
    store_tile<kOut>(sums_of(kOut), kTileBytes);
  }

  template <class Element>
  PE_INLINE void prefetch_row(const Element* row) const {
    for (int64_t d = 0; d < D_; d += 64 / static_cast<int64_t>(sizeof(Element))) prefetch_to_write(row + d);
  }

  const Window& batch_;
  const TileScratch& scratch_;
  const int64_t D_, stride_, C_, N_;
};

template <class Window>
PE_INLINE void train_batch(const Window& batch, int64_t D, const BatchScratch& scratch, WeightedLoss& loss) {
  const TileStep<Window> step(batch, D, scratch);
  step.score();
  step.size_steps(batch.weights, loss);
  step.update();
}

}  // namespace pyembed::PE_ISA
