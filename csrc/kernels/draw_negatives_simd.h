// Negatives alone, for explicit pairs: those of a run of positions, one position a lane. The draws are those of
// draws.h. Included inside PE_TARGET_BEGIN, with PE_ISA naming the namespace.
#pragma once

namespace pyembed::PE_ISA {

// Of the positions first .. first + count - 1: ids [count, K].
inline void draw_negatives(const Draws& draws, uint64_t first, int64_t count, int32_t* ids) {
  const int64_t K = draws.negative;
  for (int64_t begin = 0; begin < count; begin += kDrawLanes) {
    const int used = count - begin < kDrawLanes ? static_cast<int>(count - begin) : kDrawLanes;
    const Wide index = counting_from(first + static_cast<uint64_t>(begin));
    const auto put = [&](int64_t j, Wide drawn) {
      for (int i = 0; i < used; ++i) ids[(begin + i) * K + j] = static_cast<int32_t>(drawn[i]);
    };
    for (int64_t j = 0; j < K; j += 2) {
      Wide words[4];
      random_lanes(draws.seed, draws.epoch, Stream::negative, static_cast<uint32_t>(j / 2), index, words);
      put(j, noise_lanes(draws, words[0], words[1]));
      if (j + 1 < K) put(j + 1, noise_lanes(draws, words[2], words[3]));
    }
  }
}

}  // namespace pyembed::PE_ISA
