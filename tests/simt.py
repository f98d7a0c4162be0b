"""The CUDA kernels and their binding, run on the CPU by the execution shim of tests/cpp/simt.

They are ops of a namespace of their own, pyembed_simt, with the schemas of the package's, on tensors of the CPU.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from pyembed import ops
from pyembed.ops import calls, machine, pair_calls, row_calls
from pyembed.ops.registration import SCHEMAS, register_autograd, register_lookup_autograd

LIBRARY = Path(__file__).parent.parent / "build" / "cpp" / "libpyembed_simt_ops.so"


@cache
def _load() -> torch.library.Library:
    """The definitions, which last as long as they are held."""
    library = torch.library.Library("pyembed_simt", "DEF")
    for name, schema in SCHEMAS.items():
        library.define(name + schema)
    torch.ops.load_library(str(LIBRARY))
    for model in ("skipgram", "cbow", "pair"):
        register_autograd("pyembed_simt", model)
    register_lookup_autograd("pyembed_simt")
    for room in (calls, pair_calls, row_calls):
        room.kernel = kernel  # type: ignore[attr-defined]
    return library


def require() -> None:
    """Skips the test where the library is not built."""
    if not LIBRARY.exists():
        pytest.skip(f"the CUDA kernels are not built for the CPU: no {LIBRARY.name}; run `make cpp-test`")
    _load()


class Kernels(NamedTuple):
    """Whose kernels a test runs, and where its tensors lie."""

    backend: Any
    device: str

    def ready(self) -> Kernels:
        """The same; skips the test where they are not to be had."""
        if self.backend == "simt":
            require()
        if self.backend == "native" and self.device == "cpu" and not ops.status().native:
            pytest.skip(f"the compiled kernels are missing: {ops.status().reason}")
        return self


CPU_KERNELS = [
    pytest.param(Kernels("torch", "cpu"), id="torch"),
    pytest.param(Kernels("native", "cpu"), id="native"),
]
"""Where the kernels of the CPU run, as CUDA_KERNELS."""

CUDA_KERNELS = [
    pytest.param(Kernels("simt", "cpu"), id="simt"),
    pytest.param(Kernels("native", "cuda"), id="cuda", marks=pytest.mark.gpu),
]
"""Where the CUDA kernels run: parameters of a fixture."""


def set_seed(seed: int) -> None:
    """Decides who goes on where lanes, warps or blocks might: 0, all in order; 1, backwards; else shuffled."""
    ctypes.CDLL(str(LIBRARY)).pyembed_simt_set_seed(ctypes.c_uint64(seed))


def op(name: str) -> Callable[..., Any]:
    """The op of this name on the shim."""
    found: Callable[..., Any] = getattr(torch.ops.pyembed_simt, name)
    return found


def kernel(name: str, backend: Any = "auto", device: torch.device | str = "cpu") -> Callable[..., Any]:
    """As ops.kernel, which knows one backend less."""
    return op(name) if backend == "simt" else machine.kernel(name, backend, device)


class _Stream:
    """Where nothing is done later there is nothing to wait for."""

    def __init__(self, _device: torch.device) -> None:
        pass

    def synchronize(self) -> None:
        pass


def take_the_cpu_for_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the trainer go the way of a GPU on device "cpu": all ops run on the shim, torch's streams do nothing."""
    require()
    monkeypatch.setattr(calls, "kernel", lambda name, *_: op(name))
    monkeypatch.setattr(ops, "is_native", lambda *_: True)
    monkeypatch.setattr(torch.cuda, "Stream", _Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda _stream: nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", _Stream)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda _tensor, _stream: None)
