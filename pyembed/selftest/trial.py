"""Trains the demonstration's corpus on a device and on one CPU thread, and compares what came out."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pyembed.config import TrainConfig
from pyembed.demo.run import TRAINING, DemoResult, run_demo
from pyembed.selftest.results import Trial
from pyembed.vectors import KeyedVectors

_WORDS = slice(50, 450)
"""Ranks of the words whose neighbors are compared: frequent, but for those that stand beside everything."""
_NEIGHBORS = 10
_ALLOWED_LOSS = 0.02
_ALLOWED_AGREEMENT = 0.05


def trial(device: str, *, training: TrainConfig = TRAINING) -> Trial:
    """Three runs of the demonstration: on the device, and on one CPU thread with the same and with another seed.

    All train window after window, which is what every device has a compiled kernel for.
    """
    training = replace(training, negatives_from="window")
    one_thread = replace(training, device="cpu", threads=1)
    on_device = _demo(replace(training, device=device))
    on_cpu = _demo(one_thread)
    other_seed = _demo(replace(one_thread, seed=training.seed + 1))
    return Trial(
        device_loss=on_device.report.epochs[-1].loss,
        cpu_loss=on_cpu.report.epochs[-1].loss,
        device_agreement=agreement(on_device.vectors, on_cpu.vectors),
        seed_agreement=agreement(other_seed.vectors, on_cpu.vectors),
        device_seconds=on_device.report.stages["train"],
        cpu_seconds=on_cpu.report.stages["train"],
        allowed_loss=_ALLOWED_LOSS,
        allowed_agreement=_ALLOWED_AGREEMENT,
    )


def _demo(training: TrainConfig) -> DemoResult:
    with tempfile.TemporaryDirectory() as folder:
        return run_demo(Path(folder), training=training, progress=False)


def agreement(one: KeyedVectors, other: KeyedVectors) -> float:
    """Share of a frequent word's nearest words that both name, mean over words, 0 to 1. Both have the same words."""
    ours, theirs = _nearest(one), _nearest(other)
    common = [len(set(a) & set(b)) for a, b in zip(ours.tolist(), theirs.tolist(), strict=True)]
    return sum(common) / ours.size


def _nearest(vectors: KeyedVectors) -> NDArray[np.int64]:
    unit = vectors.vectors / np.linalg.norm(vectors.vectors, axis=1, keepdims=True)
    queries = unit[_WORDS] if len(unit) > _WORDS.start else unit
    nearest: NDArray[np.int64] = np.argsort(-(queries @ unit.T), axis=1)[:, 1 : _NEIGHBORS + 1]  # the first is itself
    return nearest
