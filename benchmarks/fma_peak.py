"""How many floating-point operations a second this core can do at most, float32, measured in this very process."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from time import perf_counter

_SOURCE = Path(__file__).with_suffix(".cpp")
_STEPS = 1_000_000
_TRIES = 200
"""Half a second in all: a core that was idle takes a while to reach its speed, and other tenants come and go."""


def _library() -> ctypes.CDLL | None:
    """The loop, compiled now for this machine; None without a compiler."""
    compiler = shutil.which(os.environ.get("CXX", "c++"))
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "fma_peak.so"
        subprocess.run([compiler, "-O3", "-march=native", "-shared", "-fPIC", _SOURCE, "-o", library], check=True)
        loaded = ctypes.CDLL(str(library))
    loaded.multiply_add.restype = ctypes.c_double
    loaded.multiply_add.argtypes = [ctypes.c_long, ctypes.POINTER(ctypes.c_float)]
    return loaded


@cache
def fma_peak() -> float | None:
    """Operations a second on one core, the best of many tries; None without a compiler."""
    library = _library()
    if library is None:
        return None
    result = ctypes.c_float()
    best = 0.0
    for _ in range(_TRIES):
        started = perf_counter()
        operations = library.multiply_add(_STEPS, ctypes.byref(result))
        best = max(best, operations / (perf_counter() - started))
    return best
