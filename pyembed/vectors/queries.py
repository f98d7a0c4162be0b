"""What a search is asked: vectors to score rows by, and rows that do not count."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from pyembed.vectors.arrays import Float32Array, Int64Array

_MUL_EPSILON = 1e-6
"""Added to the product that 3CosMul divides by (Levy and Goldberg 2014, equation 4)."""


@dataclass(frozen=True)
class Queries:
    """Q queries; see `by_cosine` and `by_products`. Higher scores are better."""

    positive: Float32Array
    """[P, Q, D], P >= 1, each of length 1 or 0."""
    negative: Float32Array
    """[N, Q, D], likewise; N may be 0."""
    products: bool
    """Scores are products of cosines; without it they are cosines, P is 1 and N is 0."""

    def __len__(self) -> int:
        return int(self.positive.shape[1])

    @property
    def dimensions(self) -> int:
        """D."""
        return int(self.positive.shape[2])

    @property
    def terms(self) -> list[Float32Array]:
        """All of them, [Q, D] each, the positive ones first."""
        return [*self.positive, *self.negative]

    def part(self, queries: slice | Int64Array) -> Queries:
        """Some of the queries."""
        positive, negative = (np.ascontiguousarray(side[:, queries]) for side in (self.positive, self.negative))
        return Queries(positive, negative, self.products)

    def combine(self, cosines: Sequence[Any]) -> Any:
        """Scores from cosines to each of the terms: arrays, or tensors, of any one shape."""
        if not self.products:
            return cosines[0]
        halves = [(1 + cosine) / 2 for cosine in cosines]
        return math.prod(halves[: len(self.positive)]) / (math.prod(halves[len(self.positive) :]) + _MUL_EPSILON)

    def of_own(self, rows: Float32Array, norms: Float32Array) -> Float32Array:
        """[Q]: for each query the score of one row of its own, [Q, D], of lengths [Q]."""
        scores: Float32Array = self.combine([np.einsum("ij,ij->i", rows, term) / norms for term in self.terms])
        return scores


def by_cosine(queries: Float32Array) -> Queries:
    """Scores are cosines to each query, [Q, D], of length 1 each."""
    return Queries(queries[None], np.empty((0, *queries.shape), dtype=np.float32), products=False)


def by_products(positive: Float32Array, negative: Float32Array) -> Queries:
    """Products of cosines to the positive terms, [P, Q, D], over that to the negative ones, [N, Q, D] (3CosMul).

    A cosine c is taken as (1 + c) / 2.
    """
    return Queries(positive, negative, products=True)


@dataclass(frozen=True)
class Excluded:
    """For each query rows that do not count."""

    starts: Int64Array
    """[Q + 1]: where each query's begin among all."""
    rows: Int64Array
    """Ascending for each query."""

    @classmethod
    def of(cls, lists: Sequence[Sequence[int]]) -> Excluded:
        starts = np.cumsum([0, *map(len, lists)], dtype=np.int64)
        return cls(starts, np.fromiter(chain.from_iterable(map(sorted, lists)), np.int64, int(starts[-1])))

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def queries(self) -> Int64Array:
        """The query of each of the rows."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    def part(self, queries: slice) -> Excluded:
        """Of some queries that follow one another."""
        first, last, _ = queries.indices(len(self))
        starts = self.starts[first : last + 1]
        return Excluded(starts - starts[0], self.rows[starts[0] : starts[-1]])
