// What every binding of CUDA kernels needs: errors of the device raised, and arguments whose contents the device
// checks.
#pragma once

#include <string>

#include "binding/checks.h"
#include "binding/cuda/device.h"
#include "kernels/cuda/launches.h"

namespace pyembed {

inline void require_success(cudaError_t error) {
  require(error == cudaSuccess, std::string("CUDA: ") + cudaGetErrorString(error));
}

// The place of the tensor by which the others are measured.
inline Place place_of(const Tensor& tensor, const char* name) {
  require(on_device(tensor), std::string(name) + ": expected all tensors on one GPU, got this one elsewhere");
  return {tensor.device(), "on the GPU of the other tensors"};
}

// One element of a tensor of integers of one dimension, for a message.
template <class Integer>
int64_t element(const Tensor& tensor, int64_t index) {
  Tensor one = torch::stable::narrow(const_cast<Tensor&>(tensor), 0, index, 1);
  return on_host(one).template const_data_ptr<Integer>()[0];
}

// The block and the draws of an op, with nothing in them that points beyond a table. Reading what the device found is
// the one time that an op waits for it. first: the op's first tensor, on whose device it works.
class DeviceWindows : public WindowArguments {
 public:
  template <class... Rest>
  explicit DeviceWindows(const Tensor& first, const char* name, const Rest&... rest)
      : WindowArguments(place_of(first, name), rest...), stream_(first) {
    Tensor found = torch::stable::new_empty(ids_, {3}, ScalarType::Long);
    require_success(launch_check_block(block, draws, found.mutable_data_ptr<int64_t>(), stream()));
    const Tensor bad = on_host(found);
    report(bad.const_data_ptr<int64_t>());
  }

  void* stream() const { return stream_.get(); }

 private:
  // bad: as launch_check_block leaves it.
  void report(const int64_t* bad) const {
    if (const int64_t s = bad[1]; s >= 0) {
      require_ends(element<int64_t>(sentence_starts_, 0), element<int64_t>(sentence_starts_, block.sentences));
      refuse_start(s);
    }
    if (const int64_t t = bad[0]; t >= 0) {
      refuse_id("ids", draws.vocabulary, element<int32_t>(ids_, t), std::to_string(t));
    }
    if (const int64_t row = bad[2]; row >= 0) {
      const Tensor flat = torch::stable::flatten(alias_table_, 0, 1);
      refuse_alias(static_cast<uint32_t>(element<int32_t>(flat, 2 * row + 1)), row);
    }
  }

  DeviceStream stream_;
};

}  // namespace pyembed
