"""How many words a second a GPU has the means for, and which of them is the scarcest.

A model, not a measurement: what a GPU has, divided by what a word costs. ASSUMPTIONS says what it takes on trust.
"""

from __future__ import annotations

from typing import NamedTuple

from pyembed.selftest.architectures import resident
from pyembed.selftest.gpu_costs import Cost, Setting, cost_of, shared_bytes
from pyembed.selftest.gpus import Gpu

ASSUMPTIONS = (
    "Words are trained words, those that subsampling has left. Every word is a center.",
    "No two rows of a window are the same, and no row is in a cache when a warp first wants it, unless both tables fit "
    "into the second-level cache: frequent rows make both better. Rows of frequent words, which go back and come anew "
    "after every window, are always in the second-level cache.",
    "A row goes to memory as often as it is written. Alias tables and ids come out of the second-level cache, a sector "
    "of 32 bytes an alias.",
    "An atomic addition takes as much of the second-level cache as two reads of the same bytes; a store as one.",
    "Instructions of a window are the sums of the parts below, counted in sm_90's machine code at 128 columns; other "
    "architectures issue as many. Branches are taken as in a window of distinct words. Within a quarter or so.",
    "A scheduler issues one instruction a clock. One warp alone issues one in four clocks, which is how long dependent "
    "arithmetic takes: with fewer than four warps a scheduler, latency is the limit.",
    "Shared memory serves 128 bytes a clock to a multiprocessor, without bank conflicts.",
    "Registers of a thread are the most that the kernels may take, 168; gpu_kernels.md has what they do take. Every "
    "warp is a block of its own.",
)

REGISTERS = 168
"""Of a thread, at most: __launch_bounds__ of train_windows."""
_CLOCKS_ALONE = 4.0
"""From one instruction of a warp to its next, with no other warp there."""
_SCHEDULERS = 4
_SHARED_BYTES_A_CLOCK = 128


class Prediction(NamedTuple):
    """What a GPU has the means for."""

    gpu: str
    words_per_second: float
    limit: str
    by_limit: dict[str, float]
    """Words a second, were this the only limit."""
    warps: int
    """That a multiprocessor runs at the same time."""
    cost: Cost


def predict(gpu: Gpu, setting: Setting) -> Prediction:
    """Words a second on a GPU, and what they are limited by."""
    cost = cost_of(setting)
    fit = resident(gpu.architecture, registers=REGISTERS, threads=32, shared_bytes=shared_bytes(setting))
    clocks = gpu.multiprocessors * gpu.clock
    warps = fit.warps * gpu.multiprocessors
    if setting.rows is not None:
        warps = min(warps, max(1, setting.rows // 4))  # csrc/kernels/cuda/grid.cuh, items_at_once
    cached = setting.rows is not None and 2 * setting.rows * setting.row_bytes <= gpu.l2_bytes
    by_limit = {
        "memory": float("inf") if cached else gpu.memory_bandwidth / cost.memory_bytes,
        "second-level cache": gpu.l2_bandwidth / cost.l2_bytes,
        "shared memory": clocks * _SHARED_BYTES_A_CLOCK / cost.shared_bytes,
        "arithmetic": clocks * gpu.architecture.float_lanes * 2 / cost.operations,
        "instructions": clocks * _SCHEDULERS / cost.instructions,
        "latency": gpu.clock * warps / (cost.instructions * _CLOCKS_ALONE),
    }
    limit = min(by_limit, key=lambda name: by_limit[name])
    return Prediction(gpu.name, by_limit[limit], limit, by_limit, fit.warps, cost)
