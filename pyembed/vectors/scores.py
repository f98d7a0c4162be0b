"""How well rows answer queries: by the cosine (3CosAdd), or by products of cosines (3CosMul)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from pyembed.vectors.arrays import Float32Array, Int64Array

_MUL_EPSILON = np.float32(1e-6)
"""Added to the product that 3CosMul divides by (Levy and Goldberg 2014, equation 4)."""


_SMALL_PRODUCT = 1 << 18
"""Multiplications up to which OpenBLAS, and so numpy, computes a product of matrices on the thread that asks for it."""


def rows_of_a_small_product(queries: int, dimensions: int) -> int:
    """How many rows at once make a small product with so many queries; 0 where either are too few to be fast."""
    rows = min(32, _SMALL_PRODUCT // (queries * dimensions))
    return rows if rows >= 8 and queries >= 4 else 0


class Score(Protocol):
    """Scores of rows for a number of queries, higher is better. Rows come with their lengths."""

    def __len__(self) -> int:
        """Q, how many queries."""

    def part(self, queries: slice | Int64Array) -> Score:
        """Of some of the queries."""

    def of_block(self, rows: Float32Array, norms: Float32Array | None, out: Float32Array) -> Float32Array:
        """Puts into `out`, [n, Q], and returns: each of the rows [n, D], of lengths [n] or 1, for each query."""

    def of_own(self, rows: Float32Array, norms: Float32Array) -> Float32Array:
        """[Q]: for each query one row of its own, [Q, D], of lengths [Q]."""


@dataclass(frozen=True)
class CosAdd:
    """The cosine, for queries of length 1."""

    queries: Float32Array
    """[Q, D]."""

    def __len__(self) -> int:
        return len(self.queries)

    def part(self, queries: slice | Int64Array) -> CosAdd:
        return CosAdd(self.queries[queries])

    def of_block(self, rows: Float32Array, norms: Float32Array | None, out: Float32Array) -> Float32Array:
        # As a stack of products where each is small: BLAS then leaves threads to us.
        height = rows_of_a_small_product(len(self), rows.shape[1])
        whole = len(rows) // height * height if height else 0
        if whole:
            stack = rows[:whole].reshape(-1, height, rows.shape[1])
            np.matmul(stack, self._columns, out=out[:whole].reshape(-1, height, len(self)))
        np.matmul(rows[whole:], self._columns, out=out[whole:])
        if norms is not None:
            out /= norms[:, None]
        return out

    @cached_property
    def _columns(self) -> Float32Array:
        return np.ascontiguousarray(self.queries.T)

    def of_own(self, rows: Float32Array, norms: Float32Array) -> Float32Array:
        scores: Float32Array = np.einsum("ij,ij->i", rows, self.queries) / norms
        return scores


@dataclass(frozen=True)
class CosMul:
    """Product of cosines to the positive terms over that to the negative ones, a cosine c taken as (1 + c) / 2."""

    positive: Float32Array
    """[P, Q, D], P >= 1, usually of length 1 each."""
    negative: Float32Array
    """[N, Q, D], likewise; N may be 0."""

    def __len__(self) -> int:
        return int(self.positive.shape[1])

    def part(self, queries: slice | Int64Array) -> CosMul:
        return CosMul(self.positive[:, queries], self.negative[:, queries])

    def of_block(self, rows: Float32Array, norms: Float32Array | None, out: Float32Array) -> Float32Array:
        terms = (*self.positive, *self.negative)
        cosines = (CosAdd(term).of_block(rows, norms, np.empty_like(out)) for term in terms)
        return self._combine(cosines, np.ones_like(out), out)

    def of_own(self, rows: Float32Array, norms: Float32Array) -> Float32Array:
        cosines = (CosAdd(term).of_own(rows, norms) for term in (*self.positive, *self.negative))
        return self._combine(cosines, np.ones(len(rows), dtype=np.float32), None)

    def _combine(self, cosines: Iterable[Float32Array], ones: Float32Array, out: Float32Array | None) -> Float32Array:
        above, below = ones, ones.copy()
        for number, cosine in enumerate(cosines):
            product = above if number < len(self.positive) else below
            product *= (1 + cosine) / 2
        scores: Float32Array = np.divide(above, below + _MUL_EPSILON, out=out)
        return scores
