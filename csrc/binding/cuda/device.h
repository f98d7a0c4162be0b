// What the bindings of CUDA kernels ask of the device: whether a tensor lies on one, and the stream that work goes to.
// The execution shim of the tests has a file of this path with the same names, and comes first on its include path.
#pragma once

#include <cuda_runtime.h>
#include <torch/csrc/stable/accelerator.h>

#include <string>

#include "binding/checks.h"

// STABLE_TORCH_LIBRARY_IMPL(PE_OPS, PE_OPS_KEY, library) registers kernels.
#define PE_OPS pyembed
#define PE_OPS_KEY CUDA

namespace pyembed {

inline bool on_device(const Tensor& tensor) { return tensor.is_cuda(); }

// Makes the device of a tensor the current one for as long as it lives, and names the stream that torch works on there.
class DeviceStream {
 public:
  explicit DeviceStream(const Tensor& tensor)
      : guard_(tensor.get_device_index()),
        handle_(torch::stable::accelerator::getCurrentStream(tensor.get_device_index()).nativeHandle()) {
    // torch's guard told torch's copy of the CUDA runtime; this library has its own.
    const cudaError_t error = cudaSetDevice(tensor.get_device_index());
    require(error == cudaSuccess, std::string("CUDA: ") + cudaGetErrorString(error));
  }

  void* get() const { return handle_; }

 private:
  torch::stable::accelerator::DeviceGuard guard_;
  void* handle_;
};

}  // namespace pyembed
