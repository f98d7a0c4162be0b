// Rows of a table in a warp's shared memory, always as float32: they come by copies that arrive later, and go back as
// what they changed by, or whole. A lane handles four columns in every 128. Spec: pyembed/reference.py section 8.
#pragma once

#include "kernels/cuda/launches.h"
#include "kernels/cuda/row_access.cuh"
#include "kernels/cuda/warp_layout.h"

namespace pyembed {

PE_DEVICE float4 operator+(float4 a, float4 b) { return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w); }
PE_DEVICE float4 operator-(float4 a, float4 b) { return make_float4(a.x - b.x, a.y - b.y, a.z - b.z, a.w - b.w); }
PE_DEVICE float4 operator*(float size, float4 a) { return make_float4(size * a.x, size * a.y, size * a.z, size * a.w); }
PE_DEVICE void add_product(float4& sum, float size, float4 a) {
  sum.x += size * a.x;
  sum.y += size * a.y;
  sum.z += size * a.z;
  sum.w += size * a.w;
}
PE_DEVICE void add_product(float& sum, float4 a, float4 b) {
  sum += a.x * b.x;
  sum += a.y * b.y;
  sum += a.z * b.z;
  sum += a.w * b.w;
}

PE_DEVICE float4& four(float* address) { return *reinterpret_cast<float4*>(address); }

PE_DEVICE float4 values_of(BFloat16x4 elements) {
  return make_float4(value_of(elements.element[0]), value_of(elements.element[1]), value_of(elements.element[2]),
                     value_of(elements.element[3]));
}

PE_DEVICE BFloat16x4 round_stochastically(float4 values, LaneBits& bits) {
  BFloat16x4 rounded;
  rounded.element[0] = round_stochastically(values.x, bits.next());
  rounded.element[1] = round_stochastically(values.y, bits.next());
  rounded.element[2] = round_stochastically(values.z, bits.next());
  rounded.element[3] = round_stochastically(values.w, bits.next());
  return rounded;
}

PE_DEVICE void store4(float* address, float4 values, LaneBits&) { racing_store4(address, values); }
PE_DEVICE void store4(BFloat16* address, float4 values, LaneBits& bits) {
  racing_store4(address, round_stochastically(values, bits));
}

PE_DEVICE void add4(float* address, float4 delta, LaneBits&) { atomic_add4(address, delta); }
PE_DEVICE void add4(BFloat16* address, float4 delta, LaneBits& bits) {
  BFloat16x4 found = racing_load4(address);
  for (;;) {
    const BFloat16x4 expected = found;
    found = compare_and_swap4(address, expected, round_stochastically(values_of(expected) + delta, bits));
    bool same = true;
    for (int i = 0; i < 4; ++i) same &= found.element[i].bits == expected.element[i].bits;
    if (same) return;
  }
}

// Four columns of a row go back: what they changed by, or all of them.
template <WriteBack write_back, class Element>
PE_DEVICE void write_back4(Element* address, float4 value, float4 delta, LaneBits& bits) {
  if (write_back == WriteBack::add) {
    add4(address, delta, bits);
  } else {
    store4(address, value, bits);
  }
}

// Slots for rows of one table.
template <class Element>
struct RowSlots {
  Element* table;
  int64_t stride;  // of the table, in elements
  int columns;
  float* values;  // [slots, columns]

  PE_DEVICE float* row(int slot) const { return values + slot * columns; }
  PE_DEVICE Element* table_row(int id) const { return table + id * stride; }

  // Visits this lane's columns, four at a time.
  template <class Visit>
  PE_DEVICE void for_each_four(const Visit& visit) const {
    PE_ROLLED
    for (int d = 4 * lane_index(); d < columns; d += kColumnsAtOnce) visit(d);
  }

  // Starts to copy a row into a slot. Elements narrower than float land in the slot's last bytes, until widen().
  PE_DEVICE void load_later(int slot, int id) const {
    constexpr int elements = 16 / sizeof(Element);  // of one copy
    const int wide = static_cast<int>(sizeof(float) / sizeof(Element));
    auto* const landing = reinterpret_cast<Element*>(row(slot)) + (wide - 1) * columns;
    const Element* const source = table_row(id);
    PE_ROLLED
    for (int d = elements * lane_index(); d < columns; d += elements * kWarp) copy_later(landing + d, source + d);
  }

  // A row goes back from where it lies; base: what it was when it came, if it goes back as what it changed by.
  template <WriteBack write_back>
  PE_DEVICE void write_row_back(int slot, const float* base, int id, LaneBits& bits) const {
    Element* const target = table_row(id);
    for_each_four([&](int d) {
      const float4 value = four(row(slot) + d);
      const float4 delta = write_back == WriteBack::add ? value - *reinterpret_cast<const float4*>(base + d) : value;
      write_back4<write_back>(target + d, value, delta, bits);
    });
  }

  PE_DEVICE void copy_row(int slot, float* to) const {
    for_each_four([&](int d) { four(to + d) = four(row(slot) + d); });
  }

  // Turns what has landed into float32. Ascending columns never overwrite elements that are still to be read: the
  // landed ones take half the room and end where the row ends.
  PE_DEVICE void widen(int slot) const { widen(slot, Element{}); }

 private:
  PE_DEVICE void widen(int, float) const {}
  PE_DEVICE void widen(int slot, BFloat16) const {
    float* const to = row(slot);
    const auto* const landed = reinterpret_cast<const BFloat16*>(to) + columns;
    for (int first = 0; first < columns; first += kColumnsAtOnce) {
      const int d = first + 4 * lane_index();
      float4 wide{};
      if (d < columns) wide = values_of(*reinterpret_cast<const BFloat16x4*>(landed + d));
      __syncwarp();  // all lanes have read before one writes
      if (d < columns) four(to + d) = wide;
      __syncwarp();
    }
  }
};

}  // namespace pyembed
