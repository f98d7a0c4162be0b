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
__global__ void narrow_ids(const Id* ids, int64_t count, int64_t rows, int32_t* narrow, int32_t* bad) {
  for (int64_t i = thread_number(); i < count; i += thread_count()) {
    const Id id = ids[i];
    narrow[i] = static_cast<int32_t>(id);
    if (!is_row(id, rows)) atomicAdd(bad, 1);
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

// What a step computes with, once for all rows.
template <class Real>
struct Coefficients {
  Optimizer optimizer;
  Real lr, weight_decay, eps;
  Real new_share1, new_share2;             // 1 - beta
  Real bias1, root_of_bias2;               // 1 - beta1^t, sqrt(1 - beta2^t)
  double log_beta1, log_beta2, log_decay;  // of what a step without gradient multiplies by
  int64_t step;
  uint64_t seed;
};

template <class Real>
Coefficients<Real> coefficients(const RowStep& step) {
  const auto t = static_cast<double>(step.step);
  return {step.optimizer,
          static_cast<Real>(step.lr),
          static_cast<Real>(step.weight_decay),
          static_cast<Real>(step.eps),
          static_cast<Real>(1 - step.beta1),
          static_cast<Real>(1 - step.beta2),
          static_cast<Real>(1 - std::pow(step.beta1, t)),
          static_cast<Real>(std::sqrt(1 - std::pow(step.beta2, t))),
          std::log(step.beta1),
          std::log(step.beta2),
          std::log1p(-step.lr * step.weight_decay),
          step.step,
          step.seed};
}

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

  // Of one row.
  struct Scales {
    Real rate;                    // row-wise adagrad's
    Real sum;                     // row-wise adagrad's, new
    Real decay1, decay2, shrink;  // adamw's
  };

  TrainedRows<Element> table;
  Coefficients<Real> with;

  PE_DEVICE bool measures() const { return with.optimizer == Optimizer::rowwise_adagrad; }

  // The gradient with the weight decay that is a part of it: of all optimisers but adamw.
  PE_DEVICE Columns decayed(int64_t row, int64_t column, Columns gradient) const {
    add_scaled(gradient, with.weight_decay, load_pack<width>(table.weight + row * table.stride + column));
    return gradient;
  }

  PE_DEVICE Real measure(int64_t row, int64_t column, const Columns& sum) const {
    const Columns gradient = decayed(row, column, sum);
    return dot(gradient, gradient);
  }

  PE_DEVICE Scales scales(int64_t row, Real sum_of_squares) const {
    Scales scales{with.lr, 0, 1, 1, 1};
    if (with.optimizer == Optimizer::rowwise_adagrad) {
      scales.sum = table.sum[row] + sum_of_squares / static_cast<Real>(table.dimensions);
      scales.rate = with.lr / (std::sqrt(scales.sum) + with.eps);
    } else if (with.optimizer == Optimizer::adamw) {
      const auto steps = static_cast<double>(with.step - table.last_step[row]);
      scales.decay1 = std::exp(static_cast<Real>(steps * with.log_beta1));
      scales.decay2 = std::exp(static_cast<Real>(steps * with.log_beta2));
      scales.shrink = std::exp(static_cast<Real>(steps * with.log_decay));
    }
    return scales;
  }

  PE_DEVICE void change(int64_t row, int64_t column, const Columns& sum, const Scales& scales) const {
    Element* const address = table.weight + row * table.stride + column;
    Columns weight = load_pack<width>(address);
    const int64_t state = row * table.dimensions + column;
    if (with.optimizer == Optimizer::adamw) {
      step_adamw(weight, sum, state, scales);
    } else {
      Columns gradient = sum;
      add_scaled(gradient, with.weight_decay, weight);
      if (with.optimizer == Optimizer::adagrad) {
        step_adagrad(weight, gradient, state);
      } else {
        add_scaled(weight, -scales.rate, gradient);
      }
    }
    store_rounded<width>(address, weight, with.seed, with.step, row, column);
  }

  PE_DEVICE void step_adagrad(Columns& weight, const Columns& gradient, int64_t state) const {
    Columns sum = load_pack<width>(table.sum + state);
    for (int i = 0; i < width; ++i) {
      sum.value[i] += gradient.value[i] * gradient.value[i];
      weight.value[i] -= with.lr * gradient.value[i] / (std::sqrt(sum.value[i]) + with.eps);
    }
    store_pack(table.sum + state, sum);
  }

  PE_DEVICE void step_adamw(Columns& weight, const Columns& gradient, int64_t state, const Scales& scales) const {
    Columns mean = load_pack<width>(table.exp_avg + state), square = load_pack<width>(table.exp_avg_sq + state);
    for (int i = 0; i < width; ++i) {
      const Real g = gradient.value[i];
      mean.value[i] = scales.decay1 * mean.value[i] + with.new_share1 * g;
      square.value[i] = scales.decay2 * square.value[i] + with.new_share2 * g * g;
      const Real direction = mean.value[i] / with.bias1 / (std::sqrt(square.value[i]) / with.root_of_bias2 + with.eps);
      weight.value[i] = scales.shrink * weight.value[i] - with.lr * direction;
    }
    store_pack(table.exp_avg + state, mean);
    store_pack(table.exp_avg_sq + state, square);
  }

  PE_DEVICE void finish(int64_t row, const Scales& scales) const {
    if (with.optimizer == Optimizer::rowwise_adagrad) table.sum[row] = scales.sum;
    if (with.optimizer == Optimizer::adamw) table.last_step[row] = static_cast<int32_t>(with.step);
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
cudaError_t launch_narrow_ids(const Id* ids, int64_t count, int64_t rows, int32_t* narrow, int32_t* bad, void* stream) {
  return PE_LAUNCH(narrow_ids<Id>, blocks_for(count), kBlockThreads, 0, stream, ids, count, rows, narrow, bad);
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
cudaError_t launch_update_rows(const TrainedRows<Element>& table, const SortedRows& sorted, const Element* gradient,
                               int64_t gradient_stride, const RowStep& step,
                               const SegmentScratch<Arithmetic<Element>>& scratch, void* stream) {
  using Real = Arithmetic<Element>;
  const DenseRows<Element> entries{gradient, gradient_stride, Real(1)};
  const int64_t D = table.dimensions;
  const bool packs = D % kPackWidth<Element> == 0 && holds_packs(table.weight, table.stride) &&
                     holds_packs(gradient, gradient_stride) &&
                     (step.optimizer == Optimizer::rowwise_adagrad || state_holds_packs(table.sum, D)) &&
                     state_holds_packs(table.exp_avg, D) && state_holds_packs(table.exp_avg_sq, D);
  const auto run = [&](auto width) {
    constexpr int columns = decltype(width)::value;
    const UpdateRows<Element, columns> update{table, coefficients<Real>(step)};
    return sum_sorted_rows<columns>(sorted, D, entries, update, scratch, stream);
  };
  return packs ? run(std::integral_constant<int, kPackWidth<Element>>{}) : run(std::integral_constant<int, 1>{});
}

#define PE_INSTANTIATE(Id)                                                                                            \
  template cudaError_t launch_narrow_ids<Id>(const Id*, int64_t, int64_t, int32_t*, int32_t*, void*);                 \
  template cudaError_t launch_lookup<Id>(const void*, int64_t, int64_t, int64_t, const Id*, int64_t, void*, int32_t*, \
                                         void*);
PE_INSTANTIATE(int32_t)
PE_INSTANTIATE(int64_t)
#undef PE_INSTANTIATE

#define PE_INSTANTIATE(Element)                                                                                    \
  template cudaError_t launch_update_rows<Element>(const TrainedRows<Element>&, const SortedRows&, const Element*, \
                                                   int64_t, const RowStep&,                                        \
                                                   const SegmentScratch<Arithmetic<Element>>&, void*);
PE_INSTANTIATE(float)
PE_INSTANTIATE(double)
PE_INSTANTIATE(Float16)
PE_INSTANTIATE(BFloat16)
#undef PE_INSTANTIATE

}  // namespace pyembed
