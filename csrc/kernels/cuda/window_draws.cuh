// What a warp draws and computes for its windows, many at a time: a lane for each. Spec: pyembed/reference.py sections
// 2, 3.1 and 7.
#pragma once

#include "kernels/cuda/portable.cuh"
#include "kernels/cuda/warp_layout.h"

namespace pyembed {

// Indices of tokens are 32 bits wide here, to spare registers: trains_fast() sees that they are enough.

// A run of tokens.
struct Tokens {
  int begin, end;
};

// Radius and learning rate of the centers of a run, in the order of the run.
class RunOfCenters {
 public:
  PE_DEVICE RunOfCenters(const TokenBlock& block, const Draws& draws, const LearningRate& rate, int first)
      : block_(block), draws_(draws), rate_(rate), first_(first) {}

  // Call for every center of the run in turn, before asking for what is its.
  PE_DEVICE void reach(int center) {
    lane_ = (center - first_) % kWarp;
    if (lane_ != 0) return;
    const int own = center + lane_index();  // beyond the block's end it is never asked for
    radius_ = window_radius(draws_, block_.first_position + static_cast<uint64_t>(own));
    size_ = static_cast<float>(-learning_rate(block_, rate_, own));
  }

  PE_DEVICE int radius() const { return __shfl_sync(kAllLanes, radius_, lane_); }
  // Minus the learning rate.
  PE_DEVICE float size() const { return __shfl_sync(kAllLanes, size_, lane_); }

 private:
  const TokenBlock& block_;
  const Draws& draws_;
  const LearningRate& rate_;
  int first_;
  int lane_ = 0;
  int radius_ = 0;
  float size_ = 0;
};

// Ids of successive tokens, 64 of them in the lanes' registers.
class RunOfTokens {
 public:
  PE_DEVICE RunOfTokens(const TokenBlock& block, int first) : block_(block), group_(first / kWarp) {
    low_ = load(group_);
    high_ = load(group_ + 1);
  }

  // The id of a token at most kWarp + 1 after the earliest one that is still asked for.
  PE_DEVICE int id(int token) const {
    const int from_low = __shfl_sync(kAllLanes, low_, token % kWarp);
    const int from_high = __shfl_sync(kAllLanes, high_, token % kWarp);
    return token / kWarp == group_ ? from_low : from_high;
  }

  // No token before this one will be asked for again.
  PE_DEVICE void forget_before(int token) {
    if (token / kWarp == group_) return;
    group_ = token / kWarp;
    low_ = high_;
    high_ = load(group_ + 1);
  }

 private:
  PE_DEVICE int load(int group) const {
    const int64_t token = int64_t{group} * kWarp + lane_index();
    return token < block_.tokens ? block_.ids[token] : -1;
  }

  const TokenBlock& block_;
  int group_;
  int low_, high_;
};

// The sentence of successive centers; its borders stay in registers.
class RunOfSentences {
 public:
  PE_DEVICE RunOfSentences(const TokenBlock& block, int first) : block_(block) {
    next_ = block.sentence_starts + sentence_of(block, first).sentence;
    borders_.begin = static_cast<int>(*next_++);
    borders_.end = static_cast<int>(*next_);
  }

  // The tokens at most `distance` from a center. Call with ascending centers.
  PE_DEVICE Tokens around(int center, int distance) {
    while (borders_.end <= center) borders_ = {borders_.end, static_cast<int>(*++next_)};
    const int low = center - distance, high = center + distance + 1;
    return {low < borders_.begin ? borders_.begin : low, high > borders_.end ? borders_.end : high};
  }

 private:
  const TokenBlock& block_;
  const int64_t* next_;  // the end of the sentence
  Tokens borders_;
};

// The negatives of successive windows, or of a window's successive contexts where every pair has its own, drawn
// kDrawsAhead lists at a time.
class DrawnNegatives {
 public:
  PE_DEVICE DrawnNegatives(const TokenBlock& block, const Draws& draws, int first, int32_t* drawn)
      : block_(block), draws_(draws), first_(first), drawn_(drawn) {}

  // Lane j < K receives negative j of the center's window, or of that context of it, the others -1. Call for every
  // center and context in turn.
  PE_DEVICE int of(int center, int context) {
    const int place = (draws_.sharing == kPerPair ? context : center - first_) % kDrawsAhead;
    if (place == 0) draw(center, context);
    return lane_index() < draws_.negative ? drawn_[place * draws_.negative + lane_index()] : -1;
  }

 private:
  PE_DEVICE void draw(int center, int context) {
    const int K = draws_.negative, pairs = (K + 1) / 2;  // two negatives a call of philox
    __syncwarp();                                        // nobody reads the last ones any more
    for (int i = lane_index(); i < kDrawsAhead * pairs; i += kWarp) {
      const int place = i / pairs, pair = i % pairs;
      uint64_t position = block_.first_position + static_cast<uint64_t>(center);
      int slot = pair;
      if (draws_.sharing == kPerPair) {
        slot += (context + place) * pairs;
      } else {
        position += static_cast<uint64_t>(place);
        if (draws_.sharing > kPerWindow) position -= position % static_cast<uint64_t>(draws_.sharing);
      }
      const Words4 words =
          random_words(draws_.seed, draws_.epoch, Stream::negative, position, static_cast<uint32_t>(slot));
      int32_t* const ids = drawn_ + place * K + 2 * pair;
      ids[0] = static_cast<int32_t>(noise_id(draws_, words.word[0], words.word[1]));
      if (2 * pair + 1 < K) ids[1] = static_cast<int32_t>(noise_id(draws_, words.word[2], words.word[3]));
    }
    __syncwarp();
  }

  const TokenBlock& block_;
  const Draws& draws_;
  int first_;
  int32_t* drawn_;
};

}  // namespace pyembed
