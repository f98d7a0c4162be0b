// Sums over the lanes of a warp for many values at once.
#pragma once

#include "kernels/cuda/portable.cuh"

namespace pyembed {

// In each group of `lanes` lanes, lane l receives the sum over the group of values[l / (lanes / count)]. For 16 values
// and 16 lanes that takes 15 shuffles, where one sum alone takes 4: half of the values change sides at each step, as in
// a transposition. count <= lanes, both powers of 2.
template <int lanes, class Real, int count>
PE_DEVICE Real transposed_sums(Real (&values)[count]) {
  int distance = lanes / 2;
  PE_UNROLL
  for (int half = count / 2; half > 0; half /= 2, distance /= 2) {
    const bool upper = (lane_index() & distance) != 0;
    PE_UNROLL
    for (int i = 0; i < count / 2; ++i) {
      if (i >= half) continue;
      const Real kept = upper ? values[i + half] : values[i], given = upper ? values[i] : values[i + half];
      values[i] = kept + __shfl_xor_sync(kAllLanes, given, distance);
    }
  }
  Real sum = values[0];
  PE_UNROLL
  for (; distance > 0; distance /= 2) sum += __shfl_xor_sync(kAllLanes, sum, distance);
  return sum;
}

}  // namespace pyembed
