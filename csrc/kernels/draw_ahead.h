// Draws radii and outputs of a run of windows ahead of their use, in loops over lanes that the compiler vectorises.
// The draws are those of draws.h. Included inside PE_TARGET_BEGIN, with PE_ISA naming the namespace.
#pragma once

namespace pyembed::PE_ISA {

constexpr int kDrawLanes = 16;
constexpr int kDrawAhead = 256;  // windows drawn at a time: their outputs stay in the first-level cache

// philox of kDrawLanes counters that differ in their index alone.
PE_INLINE void random_lanes(uint64_t seed, uint32_t epoch, Stream stream, uint32_t slot, uint64_t first_index,
                            uint32_t (&words)[4][kDrawLanes]) {
  uint32_t c0[kDrawLanes], c1[kDrawLanes], c2[kDrawLanes], c3[kDrawLanes];
  for (int i = 0; i < kDrawLanes; ++i) {
    const uint64_t index = first_index + static_cast<uint64_t>(i);
    c0[i] = static_cast<uint32_t>(index);
    c1[i] = static_cast<uint32_t>(index >> 32);
    c2[i] = epoch;
    c3[i] = (static_cast<uint32_t>(stream) << 24) + slot;
  }
  uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < kDrawLanes; ++i) {
      const uint64_t product0 = 0xD2511F53ull * c0[i], product1 = 0xCD9E8D57ull * c2[i];
      c0[i] = static_cast<uint32_t>(product1 >> 32) ^ c1[i] ^ k0;
      c1[i] = static_cast<uint32_t>(product1);
      c2[i] = static_cast<uint32_t>(product0 >> 32) ^ c3[i] ^ k1;
      c3[i] = static_cast<uint32_t>(product0);
    }
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  for (int i = 0; i < kDrawLanes; ++i) {
    words[0][i] = c0[i];
    words[1][i] = c1[i];
    words[2][i] = c2[i];
    words[3][i] = c3[i];
  }
}

// Radii of the centers at positions first .. first + count - 1, into radius [at least count].
inline void draw_radii(const Draws& draws, uint64_t first, int64_t count, int32_t* radius) {
  uint32_t words[4][kDrawLanes];
  const uint64_t last = first + static_cast<uint64_t>(count) - 1;
  for (uint64_t index = first >> 2; index <= last >> 2; index += kDrawLanes) {
    random_lanes(draws.seed, draws.epoch, Stream::radius, 0, index, words);
    for (int i = 0; i < kDrawLanes; ++i) {
      for (int word = 0; word < 4; ++word) {
        const uint64_t position = 4 * (index + static_cast<uint64_t>(i)) + static_cast<uint64_t>(word);
        if (position < first || position > last) continue;
        radius[position - first] = 1 + static_cast<int32_t>(high_product(words[word][i], draws.window));
      }
    }
  }
}

// Outputs of the centers at positions first .. first + count - 1, whose ids are given: outputs [count, 1 + K], the
// center first. repeated [count] says whether two of a window's outputs are the same row.
inline void draw_outputs(const Draws& draws, uint64_t first, int64_t count, const int32_t* centers, int32_t* outputs,
                         uint8_t* repeated) {
  const int N = 1 + draws.negative;
  for (int64_t begin = 0; begin < count; begin += kDrawLanes) {
    const int lanes = count - begin < kDrawLanes ? static_cast<int>(count - begin) : kDrawLanes;
    int32_t* rows = outputs + begin * N;
    for (int i = 0; i < lanes; ++i) rows[i * N] = centers[begin + i];
    for (int j = 0; j < draws.negative; j += 2) {
      uint32_t words[4][kDrawLanes];
      random_lanes(draws.seed, draws.epoch, Stream::negative, static_cast<uint32_t>(j / 2),
                   first + static_cast<uint64_t>(begin), words);
      for (int i = 0; i < lanes; ++i) rows[i * N + 1 + j] = static_cast<int32_t>(noise_id(draws, words[0][i], words[1][i]));
      if (j + 1 == draws.negative) break;
      for (int i = 0; i < lanes; ++i) rows[i * N + 2 + j] = static_cast<int32_t>(noise_id(draws, words[2][i], words[3][i]));
    }
    for (int i = 0; i < lanes; ++i) {
      int same = 0;
      for (int n = 1; n < N; ++n) {
        for (int m = 0; m < n; ++m) same |= rows[i * N + n] == rows[i * N + m];
      }
      repeated[begin + i] = static_cast<uint8_t>(same);
    }
  }
}

}  // namespace pyembed::PE_ISA
