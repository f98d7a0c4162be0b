// Stands for csrc/binding/cuda/device.h under the execution shim: the kernels run on the CPU, on tensors of the CPU, as
// ops of a namespace of their own beside the package's.
#pragma once

#include <cuda_runtime.h>

#include "binding/checks.h"

#define PE_OPS pyembed_simt
#define PE_OPS_KEY CPU

namespace pyembed {

inline bool on_device(const Tensor& tensor) { return tensor.is_cpu(); }

class DeviceStream {
 public:
  explicit DeviceStream(const Tensor&) {}

  void* get() const { return nullptr; }
};

}  // namespace pyembed
