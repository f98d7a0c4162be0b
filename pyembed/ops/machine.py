"""Which kernels this machine has, and the one that a backend stands for."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from pyembed.config import Backend
from pyembed.ops.extension import LOAD_ERROR
from pyembed.ops.torch_kernels import KERNELS


class MachineError(RuntimeError):
    """This machine lacks the device, or this build a compiled kernel for it."""


@dataclass(frozen=True)
class Status:
    """Which kernels are in use on this machine."""

    native: bool
    """Whether the compiled kernels are loaded."""
    reason: str | None
    """Why not, where they are not."""
    simd: str
    """Instruction set of the compiled kernels: avx512, avx2, neon, plain, or none."""
    bfloat16_products: str
    """By what the compiled kernels multiply matrices of bfloat16: amx, avx512_bf16, or none."""
    cuda: bool
    """Whether torch sees a CUDA device."""
    cuda_kernels: bool
    """Whether the compiled kernels for CUDA devices are loaded, which takes no device; without them PyTorch's run."""


@cache
def status() -> Status:
    """What is in use, for `pyembed info` and for reports."""
    return Status(
        native=LOAD_ERROR is None,
        reason=LOAD_ERROR,
        simd=_name(torch.ops.pyembed.simd_name),
        bfloat16_products=_name(torch.ops.pyembed.bfloat16_products_name),
        cuda=torch.cuda.is_available(),
        cuda_kernels=is_native("skipgram_step_", device="cuda"),
    )


def _name(op: Callable[..., Any]) -> str:
    return bytes(op(torch.empty(0)).tolist()).decode()


def is_native(name: str, backend: Backend = "auto", device: torch.device | str = "cpu") -> bool:
    """Whether the op of this name runs compiled code for these arguments."""
    key = torch.device(device).type.upper()
    return backend != "torch" and torch._C._dispatch_has_kernel_for_dispatch_key(f"pyembed::{name}", key)


def kernel(name: str, backend: Backend = "auto", device: torch.device | str = "cpu") -> Callable[..., Any]:
    """The op of this name: through the dispatcher, or its PyTorch kernel for backend "torch".

    Raises:
        MachineError: backend is "native" and there is no compiled kernel for the device.
    """
    if backend == "torch":
        return KERNELS[name]
    if backend == "native" and not is_native(name, backend, device):
        why = LOAD_ERROR or "this build has none"
        raise MachineError(
            f"backend 'native': expected a compiled kernel for {device}, found none ({why}); use 'torch'"
        )
    op: Callable[..., Any] = getattr(torch.ops.pyembed, name)
    return op


def require_machine(name: str, backend: Backend, device: str) -> None:
    """Finds out before any work whether the op can run there.

    Raises:
        MachineError: it cannot; the message says why.
    """
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch raises either
        # The first sentence: what follows is advice on installing torch.
        reason = re.split(r"\.\s|\n", str(error))[0]
        raise MachineError(f"device {device!r}: torch cannot use it here: {reason}") from error
    kernel(name, backend, device)
