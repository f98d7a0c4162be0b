// The products of a batch by the tiles of AMX. Spec: pyembed/reference.py section 12. PE_ISA names the namespace.
#pragma once

namespace pyembed::PE_ISA {

// Which tile holds what: sums [16, 16]; factors of scores, [16, 16] pairs; factors of updates, [16, 8] and [8, 16].
enum Tile { kSum0, kSum1, kSum2, kSum3, kErrors, kTurnedErrors, kOutputs, kContexts };
constexpr int kScored = kSum0, kAlongIn = kSum2, kTurnedOut = kSum3;
constexpr int64_t kTileBytes = 4 * kProductRows;  // of a row

inline TileShapes batch_shapes() {
  TileShapes shapes;
  for (int tile = kSum0; tile <= kContexts; ++tile) {
    shapes.bytes[tile] = tile == kErrors || tile == kTurnedErrors ? kTileBytes / 2 : kTileBytes;
    shapes.rows[tile] = tile == kOutputs || tile == kContexts ? kProductRows / 2 : kProductRows;
  }
  return shapes;
}

constexpr int64_t kSumsApart = 2 * kProductRows * kProductRows;  // from a register's sums to the next one's

// A batch's rows, and the tiles that multiply them.
template <class Element>
class BatchRowsOfStep : public ProductRows<Element> {
 public:
  BatchRowsOfStep(const BatchScratch& scratch, int64_t D) : ProductRows<Element>(scratch, D) {}

 private:
  ShapedTiles tiles_{batch_shapes()};
};

template <class Window>
class BatchProducts : public BatchFactors<Window> {
  using Factors = BatchFactors<Window>;
  using Factors::batch_, Factors::scratch_, Factors::D_, Factors::stride_, Factors::C_;
  using typename Factors::Element;

 public:
  PE_INLINE BatchProducts(const Window& batch, int64_t D, const BatchScratch& scratch) : Factors(batch, D, scratch) {}

  PE_INLINE void score() const {
    clear_tile<kScored>();
    for_each_columns<2>(D_, [&](auto registers, auto is_tail, int64_t d, int tail) PE_LAMBDA {
      this->template put_columns<decltype(registers)::value, decltype(is_tail)::value>(d, tail);
      load_tile<kAlongIn>(scratch_.along_in, kTileBytes);
      load_tile<kTurnedOut>(scratch_.turned_out, kTileBytes);
      multiply_tiles<kScored, kAlongIn, kTurnedOut>();
    });
    store_tile<kScored>(scratch_.scores, kTileBytes);
  }

  PE_INLINE void update() const {
    load_tile<kErrors>(scratch_.errors, kTileBytes / 2);
    load_tile<kTurnedErrors>(scratch_.turned_errors, kTileBytes / 2);
    Element* outputs[kProductRows];
    this->turned_outputs(outputs);
    for_each_columns_updated<2>([&](auto registers, auto is_tail, int64_t d, int tail) PE_LAMBDA {
      constexpr int M = decltype(registers)::value;
      constexpr bool Tail = decltype(is_tail)::value;
      unrolled<M>([&](auto m) PE_LAMBDA { multiply<decltype(m)::value>(d + m * kProductRows); });
      const auto add = [&](Element* row, int product, int64_t place) PE_LAMBDA {
        const float* const sums = sums_of(product) + place * kProductRows;
        this->updates_.template change<M, Tail>(row, d, tail, place, [&](Float(&values)[M]) PE_LAMBDA {
          unrolled<M>([&](auto m) PE_LAMBDA { values[m] += load(sums + m * kSumsApart); });
        });
      };
      for (int64_t c = 0; c < C_; ++c) add(batch_.context_rows[c], 0, c);
      for (int64_t t = 0; t < kProductRows; ++t) add(outputs[t], 1, t);
    });
  }

 private:
  // As for_each_columns(), and brings in the next batch's rows meanwhile.
  template <int M, class F>
  PE_INLINE void for_each_columns_updated(const F& f) const {
    const int64_t count = batch_.prefetch.count, registers = (D_ + kWidth - 1) / kWidth;
    int64_t coming = 0, step = 0;
    for_each_columns<M>(D_, [&](auto width, auto is_tail, int64_t d, int tail) PE_LAMBDA {
      step += decltype(width)::value;
      for (; coming < count * step / registers; ++coming) batch_.prefetch.bring_in(coming, D_);
      f(width, is_tail, d, tail);
    });
  }

  float* sums_of(int product) const { return scratch_.sums + product * kProductRows * kProductRows; }

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
};

}  // namespace pyembed::PE_ISA
