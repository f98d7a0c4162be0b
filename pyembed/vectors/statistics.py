"""Correlations, how likely they are by chance, and bootstrap intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pyembed.vectors.arrays import BoolArray, Float64Array, Int64Array

_DRAWN_AT_ONCE = 1 << 20
"""Items of resamples: statistics take some tens of bytes for each."""


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
    x, y = (np.asarray(sequence, dtype=np.float64)[None] for sequence in (first, second))
    # Of equal values the mean may differ by rounding, and then they would seem to vary.
    is_constant = not x.size or np.ptp(x) == 0 or np.ptp(y) == 0
    return float("nan") if is_constant else float(_pearson(x, y, np.ones(x.shape))[0])


def spearman(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Spearman's rank correlation, ties at their mean rank; NaN where one is constant, short of two, or holds NaN."""
    return float(spearman_of_draws(first, second, np.ones((1, np.size(first)), dtype=np.int64))[0])


def spearman_of_draws(first: npt.ArrayLike, second: npt.ArrayLike, counts: Int64Array) -> Float64Array:
    """Spearman's rank correlations of sequences [n] whose items occur as often as `counts`, [draws, n], says: [draws].

    What `spearman` finds in sequences with each item repeated so often; NaN in a sequence leaves none of them any.
    """
    x, y = (_mean_ranks(np.asarray(sequence, dtype=np.float64), counts) for sequence in (first, second))
    return _pearson(x, y, counts)


def _pearson(first: Float64Array, second: Float64Array, weights: npt.NDArray[Any]) -> Float64Array:
    """Of values [draws or 1, n], each of them of a weight [draws, n]: [draws]."""
    totals = np.maximum(weights.sum(axis=1, keepdims=True), 1)
    first, second = (values - (weights * values).sum(axis=1, keepdims=True) / totals for values in (first, second))
    scale = np.sqrt((weights * first**2).sum(axis=1) * (weights * second**2).sum(axis=1))
    found: Float64Array = np.full(len(weights), np.nan)
    np.divide((weights * first * second).sum(axis=1), scale, out=found, where=scale > 0)
    return np.clip(found, -1, 1)


def _mean_ranks(values: Float64Array, counts: Int64Array) -> Float64Array:
    """Ranks from 1 of values [n] that occur `counts` times, [draws, n]; equal values share the mean of theirs.

    NaN, which has no place among others, leaves none to any.
    """
    if np.isnan(values).any() or not values.size:
        return np.full(counts.shape, np.nan)
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    drawn = np.add.reduceat(counts[:, np.argsort(group)], np.cumsum(sizes) - sizes, axis=1)
    mean_rank: Float64Array = np.cumsum(drawn, axis=1) - (drawn - 1) / 2
    return mean_rank[:, group]


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
    statistic: Callable[[Int64Array], Float64Array],
    items: BoolArray,
    *,
    confidence: float,
    resamples: int,
    seed: int,
) -> Interval:
    """The middle `confidence` of a statistic over resamples of the items, drawn with replacement.

    Args:
        statistic: float64[draws] of int64[draws, items], how often each item was drawn; NaN does not count.
        items: [items], which of them are drawn; the interval of less than two is NaN.
        confidence: 0 to 1, both excluded.
        resamples: how often, >= 1.
        seed: of the draws; equal seeds give equal intervals.
    """
    drawn = np.flatnonzero(items)
    values = np.full(0, np.nan)
    if len(drawn) > 1:
        values = np.concatenate([statistic(counts) for counts in _draws(drawn, len(items), resamples, seed)])
    values = values[~np.isnan(values)]
    if not values.size:
        return Interval(float("nan"), float("nan"))
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail]).tolist()
    return Interval(low, high)


def _draws(drawn: Int64Array, items: int, resamples: int, seed: int) -> Iterator[Int64Array]:
    """How often each of the items, 0 for those not drawn from, occurs: [draws, items], as many draws at once as fit."""
    generator = np.random.default_rng(seed)
    at_once = max(1, _DRAWN_AT_ONCE // items)
    for first in range(0, resamples, at_once):
        draws = drawn[generator.integers(len(drawn), size=(min(at_once, resamples - first), len(drawn)))]
        draws += items * np.arange(len(draws))[:, None]
        yield np.bincount(draws.ravel(), minlength=items * len(draws)).reshape(-1, items)
