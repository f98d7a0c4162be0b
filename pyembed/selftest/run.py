"""The whole self-test of one device."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import torch

from pyembed import ops
from pyembed.bench.machine import machine
from pyembed.ops import require_machine
from pyembed.selftest.promises import checks
from pyembed.selftest.results import Report
from pyembed.selftest.speed import speeds
from pyembed.selftest.trial import trial

_OPS = ("draw_windows", "keep_tokens", "skipgram_step_", "skipgram_loss", "cbow_step_", "cbow_loss", "pair_step_")


def selftest(device: str, *, announce: Callable[[str], None] = lambda _: None) -> Report:
    """Tries the promises of the ops, times them, and trains the demonstration's corpus. A minute or so.

    Args:
        device: "cpu", "cuda", "cuda:1".
        announce: told what begins, and of each check that fails.

    Raises:
        pyembed.ops.MachineError: torch cannot use the device.
    """
    require_machine("skipgram_step_", "auto", device)
    started = perf_counter()
    report = Report(device, machine() | _gpu(device), {name: ops.is_native(name, device=device) for name in _OPS})
    announce("trying the promises")
    for check in checks(device):
        report.checks.append(check)
        if not check.passed:
            announce(f"failed: {check.promise}, {check.case}: {check.error or check.deviation}")
    announce("timing steps")
    report.speeds.extend(speeds(device))
    announce("training the demonstration three times")
    report.trial = trial(device)
    report.seconds = perf_counter() - started
    return report


def _gpu(device: str) -> dict[str, Any]:
    if torch.device(device).type == "cpu":
        return {}
    found = torch.cuda.get_device_properties(device)
    return {
        "gpu": found.name,
        "compute_capability": f"{found.major}.{found.minor}",
        "multiprocessors": found.multi_processor_count,
        "gpu_memory": found.total_memory,
        "cuda": torch.version.cuda,
    }
