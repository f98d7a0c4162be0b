"""How far what a device computed is from what it should be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from pyembed.selftest.results import Check

Tables = tuple[Tensor, Tensor]
"""in_vectors and out_vectors."""


def check(promise: str, case: object, allowed: float, deviation: Callable[..., float], *arguments: Any) -> Check:
    """A check fails, and the others go on, when its op raises anything."""
    try:
        return Check(promise, str(case), deviation(*arguments), allowed)
    except Exception as error:
        return Check(promise, str(case), float("nan"), allowed, f"{type(error).__name__}: {error}")


def unequal(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """How many numbers differ; infinitely many, if there are more of one than of the other."""
    if [one.shape for one in found] != [one.shape for one in expected]:
        return float("inf")
    return float(sum(int((one.cpu() != other).sum()) for one, other in zip(found, expected, strict=True)))


def relative(found: Tensor, expected: Tensor) -> float:
    """The largest difference, beside the largest number of what was expected."""
    return float((found.detach().cpu().double() - expected).abs().max() / expected.abs().max())


def largest_difference(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    return max(float((one.double() - other).abs().max()) for one, other in zip(found, expected, strict=True))
