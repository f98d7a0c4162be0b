// keep_tokens on a GPU: which tokens of the corpus an epoch keeps.
#include <tuple>

#include "binding/cuda/checks.h"

namespace pyembed {
namespace {

// kept ids int32[], kept_before int64[m]
std::tuple<Tensor, Tensor> keep_tokens(Tensor ids, Tensor sentence_starts, Tensor keep_threshold,
                                       int64_t first_position, int64_t seed, int64_t epoch) {
  const Place place = place_of(ids, "ids");
  const DeviceStream stream(ids);
  const Tensor dense_ids = dense(place, ids, ScalarType::Int, "ids", "int32[n]");
  const Tensor starts = dense(place, sentence_starts, ScalarType::Long, "sentence_starts", "int64[m]");
  const Tensor thresholds = dense(place, keep_threshold, ScalarType::Int, "keep_threshold", "int32[V]");
  require(ids.dim() == 1, "ids: expected int32[n], got " + std::to_string(ids.dim()) + " dimensions");
  require(starts.dim() == 1, "sentence_starts: expected int64[m]");
  require(thresholds.dim() == 1 && thresholds.numel() < (int64_t{1} << 31), "keep_threshold: expected int32[V]");
  check_draw_key(first_position, seed, epoch);
  const RawTokens tokens{dense_ids.const_data_ptr<int32_t>(),
                         dense_ids.numel(),
                         static_cast<uint64_t>(first_position),
                         starts.const_data_ptr<int64_t>(),
                         starts.numel(),
                         reinterpret_cast<const uint32_t*>(thresholds.const_data_ptr<int32_t>()),
                         static_cast<uint32_t>(thresholds.numel()),
                         static_cast<uint64_t>(seed),
                         static_cast<uint32_t>(epoch)};
  Tensor kept = torch::stable::new_empty(ids, {tokens.tokens});
  Tensor kept_before = torch::stable::new_empty(starts, {tokens.sentences});
  Tensor scratch = torch::stable::new_empty(starts, {keep_scratch_size(tokens)});
  Tensor found = torch::stable::new_empty(starts, {3});
  require_success(launch_keep_tokens(tokens, kept.mutable_data_ptr<int32_t>(), kept_before.mutable_data_ptr<int64_t>(),
                                     scratch.mutable_data_ptr<int64_t>(), found.mutable_data_ptr<int64_t>(),
                                     stream.get()));
  const Tensor answer = on_host(found);  // how large the result is: the one time that the op waits for the device
  const int64_t* const numbers = answer.const_data_ptr<int64_t>();
  if (const int64_t t = numbers[1]; t >= 0) {
    refuse_id("ids", thresholds.numel(), element<int32_t>(dense_ids, t), std::to_string(t));
  }
  if (const int64_t s = numbers[2]; s >= 0) {
    require(false, "sentence_starts: expected to ascend from " + std::to_string(first_position) + " to " +
                       std::to_string(first_position + tokens.tokens - 1) + ", the positions of ids, got " +
                       std::to_string(element<int64_t>(starts, s)) + " at index " + std::to_string(s));
  }
  return {torch::stable::narrow(kept, 0, 0, numbers[0]), kept_before};
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(PE_OPS, PE_OPS_KEY, library) { library.impl("keep_tokens", TORCH_BOX(&keep_tokens)); }

}  // namespace pyembed
