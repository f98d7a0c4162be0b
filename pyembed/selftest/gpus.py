"""The GPUs that the model knows, by their makers' figures."""

from __future__ import annotations

from dataclasses import dataclass

from pyembed.selftest.architectures import ARCHITECTURES, Architecture


@dataclass(frozen=True)
class Gpu:
    """One GPU at its highest sustained clock."""

    name: str
    """Part of what the driver calls it."""
    architecture: Architecture
    multiprocessors: int
    clock: float
    """Hz."""
    memory_bandwidth: float
    """Bytes a second, of the device's memory."""
    l2_bytes: int
    l2_bandwidth: float
    """Bytes a second, read."""
    l2_source: str
    """Where that figure comes from: makers rarely publish it."""


_MB, _TB = 1 << 20, 1e12

GPUS = (
    Gpu("T4", ARCHITECTURES[75], 40, 1.590e9, 0.320 * _TB, 4 * _MB, 1.27 * _TB, "measured: Jia et al. 2019"),
    Gpu("A100", ARCHITECTURES[80], 108, 1.410e9, 2.039 * _TB, 40 * _MB, 7.2 * _TB, "published: 5,120 bytes a clock"),
    Gpu("H100", ARCHITECTURES[90], 132, 1.755e9, 3.35 * _TB, 50 * _MB, 5.5 * _TB, "measured by others, PCIe model"),
    Gpu("L40S", ARCHITECTURES[89], 142, 2.520e9, 0.864 * _TB, 96 * _MB, 5.0 * _TB, "assumed, as an RTX 4090"),
    Gpu("B200", ARCHITECTURES[100], 148, 1.965e9, 8.0 * _TB, 126 * _MB, 10.0 * _TB, "assumed"),
)
"""T4, A100 SXM 80 GB, H100 SXM, L40S, B200, at boost clocks; the H100's is what it keeps up under load."""


def gpu_named(name: str) -> Gpu | None:
    """The GPU that the driver calls so; None: the model does not know it."""
    words = name.replace("-", " ").split()
    return next((gpu for gpu in GPUS if gpu.name in words), None)
