// Draws radii and outputs of a run of windows ahead of their use, one window a lane. The draws are those of draws.h.
// Included inside PE_TARGET_BEGIN, with PE_ISA naming the namespace.
#pragma once

namespace pyembed::PE_ISA {

constexpr int kDrawLanes = kWidth / 2;  // lanes of Wide

PE_INLINE Wide all_lanes(uint64_t x) { return Wide{} + x; }

// first, first + 1, ... one a lane.
PE_INLINE Wide counting_from(uint64_t first) {
  uint64_t lanes[kDrawLanes];
  for (int i = 0; i < kDrawLanes; ++i) lanes[i] = first + static_cast<uint64_t>(i);
  Wide x;
  __builtin_memcpy(&x, lanes, sizeof x);
  return x;
}

// philox of the slots and indices in the lanes, as random_words(). Only the low half of each lane of the words counts.
PE_INLINE void random_lanes(uint64_t seed, uint32_t epoch, Stream stream, Wide slot, Wide index, Wide (&words)[4]) {
  Wide c0 = index, c1 = index >> 32, c2 = all_lanes(epoch);
  Wide c3 = all_lanes(static_cast<uint32_t>(stream) << 24) + slot;
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

PE_INLINE void random_lanes(uint64_t seed, uint32_t epoch, Stream stream, uint32_t slot, Wide index, Wide (&words)[4]) {
  random_lanes(seed, epoch, stream, all_lanes(slot), index, words);
}

// Radii of the centers at positions first .. first + count - 1. radius: [count + 4 * kWidest], scratch; returns where
// in it the first center's is.
inline const int32_t* draw_radii(const Draws& draws, uint64_t first, int64_t count, int32_t* radius) {
  if (!draws.shrink_windows) {
    for (int64_t i = 0; i < count; ++i) radius[i] = draws.window;
    return radius;
  }
  const uint64_t past_last = first + static_cast<uint64_t>(count), four = first >> 2;
  for (uint64_t index = four; 4 * index < past_last; index += kDrawLanes) {
    Wide words[4];
    random_lanes(draws.seed, draws.epoch, Stream::radius, 0, counting_from(index), words);
    uint64_t pairs[2][kDrawLanes];  // the radii of two positions in each lane
    const auto radii_of = [&](int word) PE_LAMBDA {
      return (multiply_low(words[word], all_lanes(static_cast<uint64_t>(draws.window))) >> 32) + all_lanes(1);
    };
    const Wide low = radii_of(0) | radii_of(1) << 32, high = radii_of(2) | radii_of(3) << 32;
    __builtin_memcpy(pairs[0], &low, sizeof low);
    __builtin_memcpy(pairs[1], &high, sizeof high);
    int32_t* const to = radius + 4 * (index - four);
    for (int lane = 0; lane < kDrawLanes; ++lane) {
      __builtin_memcpy(to + 4 * lane, &pairs[0][lane], 8);
      __builtin_memcpy(to + 4 * lane + 2, &pairs[1][lane], 8);
    }
  }
  return radius + (first & 3);
}

PE_INLINE Wide noise_lanes(const Draws& draws, Wide column_word, Wide accept_word) {
  const Wide low_half = all_lanes(0xFFFFFFFFu);
  const Wide column = multiply_low(column_word, all_lanes(draws.vocabulary)) >> 32;
  const Wide entry = gather(reinterpret_cast<const uint64_t*>(draws.alias_table), column);  // threshold low, alias high
  const Wide accept = (Wide)((accept_word & low_half) < (entry & low_half));
  return (accept & column) | (~accept & (entry >> 32));
}

// Where the negatives of the windows at positions first, first + 1, ... are drawn: at the first of each pool.
PE_INLINE Wide negatives_index(const Draws& draws, uint64_t first) {
  if (draws.sharing <= kPerWindow) return counting_from(first);
  uint64_t lanes[kDrawLanes];
  for (int i = 0; i < kDrawLanes; ++i) {
    const uint64_t position = first + static_cast<uint64_t>(i);
    lanes[i] = position - position % static_cast<uint64_t>(draws.sharing);
  }
  Wide index;
  __builtin_memcpy(&index, lanes, sizeof index);
  return index;
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
    const Wide index = negatives_index(draws, first + static_cast<uint64_t>(begin));
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

// Where the row of an id begins that the thread is to train: in the table or among the copies.
template <class Element>
PE_INLINE Element* find_row(int32_t id, Element* table, int64_t stride, const HotRows<Element>& hot) {
  const uint32_t copy = static_cast<uint32_t>(id) - hot.first;
  return copy < hot.count ? hot.copies + copy * hot.stride : table + id * stride;
}

// Those of these ids. Strides are below 2^32 bytes.
template <class Element>
PE_INLINE void find_rows(const int32_t* ids, int64_t count, Element* table, int64_t stride, const HotRows<Element>& hot,
                         Element** rows) {
  const auto lanes_of = [&](int64_t elements) { return all_lanes(static_cast<uint64_t>(elements) * sizeof(Element)); };
  const Wide bytes = lanes_of(stride), copy_bytes = lanes_of(hot.stride);
  const Wide base = all_lanes(reinterpret_cast<uintptr_t>(table));
  const Wide copy_base = all_lanes(reinterpret_cast<uintptr_t>(hot.copies));
  const Wide first = all_lanes(hot.first), copies = all_lanes(hot.count);
  typedef int32_t Ids __attribute__((vector_size(4 * kDrawLanes)));
  int64_t i = 0;
  for (; i + kDrawLanes <= count; i += kDrawLanes) {
    Ids some;
    __builtin_memcpy(&some, ids + i, sizeof some);
    const Wide row = __builtin_convertvector(some, Wide), copy = row - first;
    const Wide is_hot = (Wide)(copy < copies);
    const auto pick = [&](Wide a, Wide b) { return (is_hot & a) | (~is_hot & b); };
    const Wide found = pick(copy_base, base) + multiply_low(pick(copy, row), pick(copy_bytes, bytes));
    __builtin_memcpy(rows + i, &found, sizeof found);
  }
  for (; i < count; ++i) rows[i] = find_row(ids[i], table, stride, hot);
}

}  // namespace pyembed::PE_ISA
