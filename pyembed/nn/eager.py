"""Whether PyTorch runs operations as they are called, on tensors that hold numbers and nothing else."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.overrides import has_torch_function_variadic


def is_transforming() -> bool:
    """Whether a transform of torch.func, vmap among them, or forward-mode differentiation is under way."""
    return torch._C._are_functorch_transforms_active() or torch.autograd.forward_ad._current_level >= 0


def is_eager(*tensors: Tensor) -> bool:
    """Whether nothing watches or rewrites what is done to these: no compiler, tracer, transform, mode or subclass."""
    return not (
        torch.compiler.is_compiling()
        or torch._C._get_tracing_state() is not None
        or torch._C._len_torch_dispatch_stack()
        or is_transforming()
        or has_torch_function_variadic(*tensors)
        or any(type(tensor) not in (Tensor, Parameter) for tensor in tensors)
    )
