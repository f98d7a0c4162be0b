"""Correlations, how likely they are by chance, and bootstrap intervals."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pyembed.vectors.arrays import Float64Array, Int64Array


class Correlation(NamedTuple):
    """A correlation, -1 to 1, and the probability of one as far from 0 where there is none."""

    statistic: float
    pvalue: float


class Interval(NamedTuple):
    """Where a score lies, with some confidence."""

    low: float
    high: float


def pearson(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Pearson's correlation of two sequences of equal length; NaN where one is constant, short of two, or holds NaN."""
    values = np.stack([np.asarray(sequence, dtype=np.float64) for sequence in (first, second)])
    centered = values - values.mean(axis=1, keepdims=True) if values.shape[1] else values
    scale = float(np.sqrt((centered**2).sum(axis=1).prod()))
    return float(np.clip(centered[0] @ centered[1] / scale, -1, 1)) if scale else float("nan")


def spearman(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Spearman's rank correlation, ties at their mean rank; NaN where one is constant, short of two, or holds NaN."""
    return pearson(*(_mean_ranks(np.asarray(values, dtype=np.float64)) for values in (first, second)))


def _mean_ranks(values: Float64Array) -> Float64Array:
    """Ranks from 1; equal values share the mean of theirs. NaN, which has no place among others, leaves none to any."""
    if np.isnan(values).any():
        return np.full(values.shape, np.nan)
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    mean_rank: Float64Array = np.cumsum(sizes) - (sizes - 1) / 2
    return mean_rank[group]


def correlation_pvalue(correlation: float, pairs: int) -> float:
    """Two-sided, by Student's t distribution with `pairs` - 2 degrees of freedom; NaN below three pairs."""
    if pairs < 3 or math.isnan(correlation):
        return float("nan")
    return _incomplete_beta((pairs - 2) / 2, 0.5, 1 - correlation**2)


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function, by its continued fraction (DLMF 8.17.22), in Lentz's way."""
    if x <= 0 or x >= 1:
        return min(max(x, 0.0), 1.0)
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, 1 - x)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    fraction, numerator, denominator = 1.0, 1.0, 0.0
    for step in range(2_000):
        m = step // 2
        if step == 0:
            term = 1.0
        elif step % 2:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        denominator = 1 / (1 + term * denominator)
        numerator = 1 + term / numerator
        fraction *= numerator * denominator
        if abs(numerator * denominator - 1) < 1e-15:
            break
    return front * (fraction - 1)


def bootstrap(
    statistic: Callable[[Int64Array], float], items: int, *, confidence: float, resamples: int, seed: int
) -> Interval:
    """The middle `confidence` of a statistic over resamples of the items, drawn with replacement.

    Args:
        statistic: of int64[items], numbers of items, each of 0 to items - 1.
        items: how many there are; the interval of less than two is NaN.
        confidence: 0 to 1, both excluded.
        resamples: how often, >= 1.
        seed: of the draws; equal seeds give equal intervals.
    """
    if items < 2:
        return Interval(float("nan"), float("nan"))
    draws = np.random.default_rng(seed).integers(items, size=(resamples, items))
    values = np.array([statistic(draw) for draw in draws])
    tail = (1 - confidence) / 2
    values = values[~np.isnan(values)]
    if not values.size:
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(values, [tail, 1 - tail]).tolist()
    return Interval(low, high)
