// Looking rows up, and changing the rows that were looked up by their gradient, in one pass over what is touched.
// Implements pyembed/reference.py section 10; may differ in the order of summation.
#include <cmath>

#include "kernels/cuda/row_launches.h"
#include "kernels/cuda/segments.cuh"

namespace pyembed {
namespace {

template <class Id>
PE_DEVICE bool is_row(Id id, int64_t rows) {
  return 0 <= id && id < rows;
}

template <class Id>
__global__ void narrow_ids(const Id* ids, int64_t count, int64_t rows, const bool* left_out, int32_t* narrow,
                           int32_t* bad) {
  for (int64_t i = thread_number(); i < count; i += thread_count()) {
    const Id id = ids[i];
    const bool good = is_row(id, rows);
    if (!good) atomicAdd(bad, 1);
    narrow[i] = good && left_out && left_out[id] ? -1 : static_cast<int32_t>(id);
  }
}

// `lanes` neighbouring threads a row, a power of two; a unit is what a thread copies at once.
template <class Unit, class Id>
__global__ void lookup(const Unit* table, int64_t table_rows, int64_t stride, int64_t units, int lanes, const Id* ids,
                       int64_t count, Unit* rows, int32_t* bad) {
  const int64_t lane = thread_number() & (lanes - 1), step = thread_count() / lanes;
  for (int64_t i = thread_number() / lanes; i < count; i += step) {
    const Id id = ids[i];
    if (!is_row(id, table_rows)) {
      if (lane == 0) atomicAdd(bad, 1);
      continue;
    }
    for (int64_t u = lane; u < units; u += lanes) rows[i * units + u] = table[id * stride + u];
  }
}

// Entries whose gradients are rows of grad, which several may share.
template <class ElementType>
struct GradientRows {
  using Element = ElementType;
  EntryGradients<Element> given;
  int64_t stride;

  PE_DEVICE Entry<Element> entry(int64_t place) const {
    return {given.grad + (given.bags ? given.bags[place] : place) * stride,
            given.factors ? given.factors[place] : Arithmetic<Element>(1)};
  }
};

// Stores a pack of a row: as it is, rounded to the nearest, or stochastically with bits of the element's own.
template <int width, class Real>
PE_DEVICE void store_rounded(Real* address, const Pack<Real, width>& pack, uint64_t, int64_t, int64_t, int64_t) {
  store_pack(address, pack);
}

template <int width>
PE_DEVICE void store_rounded(Float16* address, const Pack<float, width>& pack, uint64_t, int64_t, int64_t, int64_t) {
  StoredPack<Float16, width> stored;
  for (int i = 0; i < width; ++i) stored.element[i] = nearest_float16(pack.value[i]);
  *reinterpret_cast<StoredPack<Float16, width>*>(address) = stored;
}

template <int width>
PE_DEVICE void store_rounded(BFloat16* address, const Pack<float, width>& pack, uint64_t seed, int64_t step,
                             int64_t row, int64_t column) {
  const Words4 words = random_words(seed, static_cast<uint32_t>(step), Stream::rounding, static_cast<uint64_t>(row),
                                    static_cast<uint32_t>(column / 4));
  StoredPack<BFloat16, width> stored;
  for (int i = 0; i < width; ++i) {
    const int place = static_cast<int>((column + i) % 4);
    const uint32_t word = place < 2 ? words.word[0] : words.word[1];
    stored.element[i] = round_stochastically(pack.value[i], (place % 2 == 0 ? word : word >> 16) & 0xFFFF);
  }
  *reinterpret_cast<StoredPack<BFloat16, width>*>(address) = stored;
}

// The sink of segments.cuh that steps the optimiser.
template <class Element, int width>
struct UpdateRows {
  using Real = Arithmetic<Element>;
  using Columns = Pack<Real, width>;
  using Scales = RowScales<Real>;

  TrainedRows<Element> table;
  Coefficients<Real> with;

  PE_DEVICE Element* weight(int64_t row, int64_t column) const { return table.weight + row * table.stride + column; }

  // The norm, where gradients are clipped, and then what row-wise adagrad adds up.
  PE_DEVICE int measures() const { return with.clips + (with.optimizer == Optimizer::rowwise_adagrad); }

  PE_DEVICE bool clips_now(int measure) const { return with.clips && measure == 0; }

  PE_DEVICE Scales scales(int64_t row) const { return scales_of_row(with, table.last_step, table.last_log_decay, row); }

  PE_DEVICE Real measure(int measure, int64_t row, int64_t column, const Columns& sum, const Scales& scales) const {
    if (clips_now(measure)) return dot(sum, sum);
    const Columns old = load_pack<width>(weight(row, column));
    Real squares = 0;
    for (int i = 0; i < width; ++i) {
      const Real gradient = decayed(with, scales, sum.value[i], old.value[i]);
      squares += gradient * gradient;
    }
    return squares;
  }

  PE_DEVICE void take(int measure, int64_t row, Real sum, Scales& scales) const {
    if (clips_now(measure)) {
      clip(with, sum, scales);
    } else {
      set_rowwise_rate(with, sum, table.squares[row], table.dimensions, scales);
    }
  }

  PE_DEVICE void change(int64_t row, int64_t column, const Columns& sum, const Scales& scales) const {
    switch (with.optimizer) {
      case Optimizer::momentum:
        return step<Optimizer::momentum>(row, column, sum, scales);
      case Optimizer::adagrad:
        return step<Optimizer::adagrad>(row, column, sum, scales);
      case Optimizer::adamw:
        return step<Optimizer::adamw>(row, column, sum, scales);
      default:
        return step<Optimizer::sgd>(row, column, sum, scales);
    }
  }

  template <Optimizer optimizer>
  PE_DEVICE void step(int64_t row, int64_t column, const Columns& sum, const Scales& scales) const {
    const int64_t state = row * table.dimensions + column;
    Columns changed = load_pack<width>(weight(row, column)), average{}, squares{};
    if constexpr (kAverages<optimizer>) average = load_pack<width>(table.average + state);
    if constexpr (kSquares<optimizer>) squares = load_pack<width>(table.squares + state);
    for (int i = 0; i < width; ++i) {
      step_element<optimizer>(with, scales, sum.value[i], changed.value[i], average.value[i], squares.value[i]);
    }
    if constexpr (kAverages<optimizer>) store_pack(table.average + state, average);
    if constexpr (kSquares<optimizer>) store_pack(table.squares + state, squares);
    store_rounded<width>(weight(row, column), changed, with.seed, with.step, row, column);
  }

  PE_DEVICE void finish(int64_t row, const Scales& scales) const {
    if (with.optimizer == Optimizer::rowwise_adagrad) table.squares[row] = scales.squares;
    if (table.last_step) table.last_step[row] = static_cast<int32_t>(with.step);
    if (table.last_log_decay) table.last_log_decay[row] = with.log_decay;
  }
};

template <class Real>
bool state_holds_packs(const Real* state, int64_t dimensions) {
  return !state || holds_packs(state, dimensions);
}

}  // namespace

int64_t segment_slots(int64_t count) {
  int64_t slots = 0;
  for (int tile = tile_of(count); count > tile; tile = kWarp) {
    count = 2 * tiles_of(count, tile);
    slots += count;
  }
  return slots;
}

template <class Id>
cudaError_t launch_narrow_ids(const Id* ids, int64_t count, int64_t rows, const bool* left_out, int32_t* narrow,
                              int32_t* bad, void* stream) {
  return PE_LAUNCH(narrow_ids<Id>, blocks_for(count), kBlockThreads, 0, stream, ids, count, rows, left_out, narrow,
                   bad);
}

template <class Id>
cudaError_t launch_lookup(const void* table, int64_t table_rows, int64_t table_stride_bytes, int64_t row_bytes,
                          const Id* ids, int64_t count, void* rows, int32_t* bad, void* stream) {
  const auto run = [&](auto unit) {
    using Unit = decltype(unit);
    const auto bytes = static_cast<int64_t>(sizeof(Unit));
    const int64_t units = row_bytes / bytes;
    int lanes = 1;
    while (lanes < kWarp && lanes < units) lanes *= 2;
    return PE_LAUNCH((lookup<Unit, Id>), blocks_for(count * lanes), kBlockThreads, 0, stream,
                     static_cast<const Unit*>(table), table_rows, table_stride_bytes / bytes, units, lanes, ids, count,
                     static_cast<Unit*>(rows), bad);
  };
  const uint64_t places = reinterpret_cast<uintptr_t>(table) | reinterpret_cast<uintptr_t>(rows) |
                          static_cast<uint64_t>(table_stride_bytes) | static_cast<uint64_t>(row_bytes);
  if (places % 16 == 0) return run(float4{});
  if (places % 4 == 0) return run(uint32_t{});
  return run(uint16_t{});
}

template <class Element>
cudaError_t launch_update_rows(const TrainedRows<Element>& table, const SortedRows& sorted,
                               const EntryGradients<Element>& given, const RowStep& step,
                               const SegmentScratch<Arithmetic<Element>>& scratch, void* stream) {
  using Real = Arithmetic<Element>;
  const int64_t D = table.dimensions;
  const GradientRows<Element> entries{given, D};
  const bool packs = D % kPackWidth<Element> == 0 && holds_packs(table.weight, table.stride) &&
                     holds_packs(given.grad, D) && state_holds_packs(table.average, D) &&
                     (step.optimizer == Optimizer::rowwise_adagrad || state_holds_packs(table.squares, D));
  const auto run = [&](auto width) {
    constexpr int columns = decltype(width)::value;
    const UpdateRows<Element, columns> update{table, coefficients<Real>(step)};
    return sum_sorted_rows<columns>(sorted, D, entries, update, scratch, stream);
  };
  return packs ? run(std::integral_constant<int, kPackWidth<Element>>{}) : run(std::integral_constant<int, 1>{});
}

#define PE_INSTANTIATE(Id)                                                                                            \
  template cudaError_t launch_narrow_ids<Id>(const Id*, int64_t, int64_t, const bool*, int32_t*, int32_t*, void*);    \
  template cudaError_t launch_lookup<Id>(const void*, int64_t, int64_t, int64_t, const Id*, int64_t, void*, int32_t*, \
                                         void*);
PE_INSTANTIATE(int32_t)
PE_INSTANTIATE(int64_t)
#undef PE_INSTANTIATE

#define PE_INSTANTIATE(Element)                                                                    \
  template cudaError_t launch_update_rows<Element>(const TrainedRows<Element>&, const SortedRows&, \
                                                   const EntryGradients<Element>&, const RowStep&, \
                                                   const SegmentScratch<Arithmetic<Element>>&, void*);
PE_INSTANTIATE(float)
PE_INSTANTIATE(double)
PE_INSTANTIATE(Float16)
PE_INSTANTIATE(BFloat16)
#undef PE_INSTANTIATE

}  // namespace pyembed
