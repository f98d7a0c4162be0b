// Draws radii and outputs of a run of windows ahead of their use, one window a lane. The draws are those of draws.h.
// Included inside PE_TARGET_BEGIN, with PE_ISA naming the namespace.
#pragma once

namespace pyembed::PE_ISA {

constexpr int kDrawLanes = kWidth / 2;  // lanes of Wide
constexpr int kDrawAhead = 256;         // windows drawn at a time: their outputs stay in the first-level cache

PE_INLINE Wide all_lanes(uint64_t x) { return Wide{} + x; }

// first, first + 1, ... one a lane.
PE_INLINE Wide counting_from(uint64_t first) {
  uint64_t lanes[kDrawLanes];
  for (int i = 0; i < kDrawLanes; ++i) lanes[i] = first + static_cast<uint64_t>(i);
  Wide x;
  __builtin_memcpy(&x, lanes, sizeof x);
  return x;
}

// philox of the indices in the lanes, as random_words(). Only the low half of each lane of the words counts.
PE_INLINE void random_lanes(uint64_t seed, uint32_t epoch, Stream stream, uint32_t slot, Wide index, Wide (&words)[4]) {
  Wide c0 = index, c1 = index >> 32, c2 = all_lanes(epoch);
  Wide c3 = all_lanes((static_cast<uint32_t>(stream) << 24) + slot);
  uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  PE_UNROLL
  for (int round = 0; round < 10; ++round) {
    const Wide product0 = multiply_low(all_lanes(0xD2511F53u), c0), product1 = multiply_low(all_lanes(0xCD9E8D57u), c2);
    c0 = (product1 >> 32) ^ c1 ^ all_lanes(k0);
    c2 = (product0 >> 32) ^ c3 ^ all_lanes(k1);
    c1 = product1;
    c3 = product0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  words[0] = c0;
  words[1] = c1;
  words[2] = c2;
  words[3] = c3;
}

// Radii of the centers at positions first .. first + count - 1, into radius [at least count].
inline void draw_radii(const Draws& draws, uint64_t first, int64_t count, int32_t* radius) {
  const uint64_t past_last = first + static_cast<uint64_t>(count);
  for (uint64_t index = first >> 2; 4 * index < past_last; index += kDrawLanes) {
    Wide words[4];
    random_lanes(draws.seed, draws.epoch, Stream::radius, 0, counting_from(index), words);
    uint64_t scaled[4][kDrawLanes];  // high half: radius - 1
    PE_UNROLL
    for (int word = 0; word < 4; ++word) {
      const Wide product = multiply_low(words[word], all_lanes(static_cast<uint64_t>(draws.window)));
      __builtin_memcpy(scaled[word], &product, sizeof product);
    }
    for (int lane = 0; lane < kDrawLanes; ++lane) {
      for (int word = 0; word < 4; ++word) {
        const uint64_t position = 4 * (index + static_cast<uint64_t>(lane)) + static_cast<uint64_t>(word);
        if (position < first || position >= past_last) continue;
        radius[position - first] = 1 + static_cast<int32_t>(scaled[word][lane] >> 32);
      }
    }
  }
}

PE_INLINE Wide noise_lanes(const Draws& draws, Wide column_word, Wide accept_word) {
  const Wide low_half = all_lanes(0xFFFFFFFFu);
  const Wide column = multiply_low(column_word, all_lanes(draws.vocabulary)) >> 32;
  const Wide entry = gather(reinterpret_cast<const uint64_t*>(draws.alias_table), column);  // threshold low, alias high
  const Wide accept = (Wide)((accept_word & low_half) < (entry & low_half));
  return (accept & column) | (~accept & (entry >> 32));
}

// Outputs of the centers at positions first .. first + count - 1, whose ids are given: outputs [count, 1 + K], the
// center first. repeated [count] says whether two of a window's outputs are the same row. lanes: [1 + K, kWidest / 2].
inline void draw_outputs(const Draws& draws, uint64_t first, int64_t count, const int32_t* centers, uint64_t* lanes,
                         int32_t* outputs, uint8_t* repeated) {
  const int N = 1 + draws.negative;
  const auto put = [lanes](int n, Wide ids) { __builtin_memcpy(lanes + n * kDrawLanes, &ids, sizeof ids); };
  const auto get = [lanes](int n) {
    Wide ids;
    __builtin_memcpy(&ids, lanes + n * kDrawLanes, sizeof ids);
    return ids;
  };
  for (int64_t begin = 0; begin < count; begin += kDrawLanes) {
    const int used = count - begin < kDrawLanes ? static_cast<int>(count - begin) : kDrawLanes;
    for (int i = 0; i < used; ++i) lanes[i] = static_cast<uint32_t>(centers[begin + i]);
    const Wide index = counting_from(first + static_cast<uint64_t>(begin));
    for (int j = 0; j < draws.negative; j += 2) {
      Wide words[4];
      random_lanes(draws.seed, draws.epoch, Stream::negative, static_cast<uint32_t>(j / 2), index, words);
      put(1 + j, noise_lanes(draws, words[0], words[1]));
      if (j + 1 < draws.negative) put(2 + j, noise_lanes(draws, words[2], words[3]));
    }
    Wide same{};
    for (int n = 1; n < N; ++n) {
      const Wide ids = get(n);
      for (int m = 0; m < n; ++m) same |= (Wide)(ids == get(m));
    }
    for (int i = 0; i < used; ++i) {
      int32_t* row = outputs + (begin + i) * N;
      for (int n = 0; n < N; ++n) row[n] = static_cast<int32_t>(lanes[n * kDrawLanes + i]);
      repeated[begin + i] = same[i] != 0;
    }
  }
}

}  // namespace pyembed::PE_ISA
