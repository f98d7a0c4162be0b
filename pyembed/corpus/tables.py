"""Sampling tables: what counts become once, in float64, so that every later draw compares integers only."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

_FULL = 2**32


def keep_thresholds(counts: npt.NDArray[np.int64], sample: float) -> npt.NDArray[np.uint32]:
    """counts: int64[V] -> uint32[V]; a token is kept where its random word is at most its word's threshold.

    The probability is reference.keep_probability's; a probability of 1 keeps every token, without exception.
    """
    if sample == 0:
        return np.full(len(counts), _FULL - 1, dtype=np.uint32)
    scaled = np.maximum(counts, 1) / (counts.sum(dtype=np.float64) * sample)
    probability = np.minimum((np.sqrt(scaled) + 1) / scaled, 1.0)
    threshold: npt.NDArray[np.float64] = np.ceil(probability * _FULL) - 1
    return threshold.astype(np.uint32)


def alias_table(counts: npt.NDArray[np.int64], exponent: float) -> npt.NDArray[np.int32]:
    """The noise distribution, proportional to counts ** exponent, as columns of Walker's alias method.

    counts: int64[V], >= 0, not all 0. Returns int32[V, 2]: the bits of a uint32 threshold beside the alias, so that a
    draw is one access. A column is its own id where the second random word is below the threshold, else the alias.

    Raises:
        ValueError: every count is 0.

    Source: Vose, "A linear algorithm for generating random numbers with a given distribution", 1991.
    """
    occurs = counts > 0
    if not occurs.any():
        raise ValueError("counts: expected at least one above 0, found none")
    logarithms = exponent * np.log(np.maximum(counts, 1))
    # relative to the largest weight, so that no exponent overflows; a word that never occurs is never drawn
    weights = np.where(occurs, np.exp(logarithms - logarithms[occurs].max()), 0.0)
    probability, alias = _vose(weights * (len(counts) / weights.sum()))
    table = np.empty((len(counts), 2), dtype=np.uint32)
    table[:, 0] = np.minimum(np.floor(probability * _FULL), _FULL - 1)
    table[:, 1] = alias
    return table.view(np.int32)


@numba.njit(cache=True)
def _vose(scaled: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """scaled: float64[V] with mean 1. Each column gives what it lacks to 1 to a column that has more."""
    size = len(scaled)
    probability = scaled.copy()
    alias = np.arange(size)
    small, large = np.empty(size, np.int64), np.empty(size, np.int64)
    smalls = larges = 0
    for column in range(size):
        if probability[column] < 1.0:
            small[smalls] = column
            smalls += 1
        else:
            large[larges] = column
            larges += 1
    while smalls > 0 and larges > 0:
        smalls -= 1
        poor, rich = small[smalls], large[larges - 1]
        alias[poor] = rich
        probability[rich] -= 1.0 - probability[poor]
        if probability[rich] < 1.0:
            larges -= 1
            small[smalls] = rich
            smalls += 1
    # What is left is 1 but for rounding.
    for i in range(smalls):
        probability[small[i]] = 1.0
    for i in range(larges):
        probability[large[i]] = 1.0
    return probability, alias
