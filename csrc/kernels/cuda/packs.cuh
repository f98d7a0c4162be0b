// Neighbouring elements of a row, loaded and stored at once: 16 bytes where all rows allow it, single elements
// elsewhere.
#pragma once

#include "kernels/bfloat16.h"
#include "kernels/cuda/portable.cuh"
#include "kernels/float16.h"

namespace pyembed {

template <class Real, int width>
struct Pack {
  Real value[width];
};

// The most elements of a pack that is computed with in this type.
template <class Element>
constexpr int kPackWidth = 16 / static_cast<int>(sizeof(Arithmetic<Element>));

// Columns that the lanes of a warp hold in a pack each.
template <int width>
constexpr int64_t kPackSpan = int64_t{kWarp} * width;

template <class Element, int width>
struct alignas(sizeof(Element) * width) StoredPack {
  Element element[width];
};

template <int width, class Element>
PE_DEVICE Pack<Arithmetic<Element>, width> load_pack(const Element* address) {
  const auto stored = *reinterpret_cast<const StoredPack<Element, width>*>(address);
  Pack<Arithmetic<Element>, width> pack;
  for (int i = 0; i < width; ++i) pack.value[i] = value_of(stored.element[i]);
  return pack;
}

template <int width, class Real>
PE_DEVICE void store_pack(Real* address, const Pack<Real, width>& pack) {
  StoredPack<Real, width> stored;
  for (int i = 0; i < width; ++i) stored.element[i] = pack.value[i];
  *reinterpret_cast<StoredPack<Real, width>*>(address) = stored;
}

template <class Real, int width>
PE_DEVICE void add_scaled(Pack<Real, width>& sum, Real factor, const Pack<Real, width>& pack) {
  for (int i = 0; i < width; ++i) sum.value[i] += factor * pack.value[i];
}

template <class Real, int width>
PE_DEVICE Real dot(const Pack<Real, width>& a, const Pack<Real, width>& b) {
  Real sum = 0;
  for (int i = 0; i < width; ++i) sum += a.value[i] * b.value[i];
  return sum;
}

// Whether a row begins at a multiple of a pack wherever it stands.
template <class Element>
bool holds_packs(const Element* table, int64_t stride) {
  constexpr int width = kPackWidth<Element>;
  return stride % width == 0 && reinterpret_cast<uintptr_t>(table) % (sizeof(Element) * width) == 0;
}

// --- Of rows that other warps change at the same time ---

template <int width, class Real>
PE_DEVICE Pack<Real, width> racing_load_pack(const Real* address) {
  Pack<Real, width> pack;
  if constexpr (width == 4) {
    const float4 found = racing_load4(address);
    pack = {{found.x, found.y, found.z, found.w}};
  } else {
    for (int i = 0; i < width; ++i) pack.value[i] = racing_load(address + i);
  }
  return pack;
}

template <int width, class Real>
PE_DEVICE void atomic_add_pack(Real* address, const Pack<Real, width>& pack) {
  if constexpr (width == 4) {
    atomic_add4(address, {pack.value[0], pack.value[1], pack.value[2], pack.value[3]});
  } else {
    for (int i = 0; i < width; ++i) atomic_add(address + i, pack.value[i]);
  }
}

}  // namespace pyembed
