"""Exact search for the rows that score best, for many queries at once: what a search is, and the compiled one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from pyembed.compiled_text import native
from pyembed.config import usable_cores
from pyembed.vectors.arrays import BoolArray, Float32Array, Int64Array
from pyembed.vectors.numpy_search import NumpySearch
from pyembed.vectors.queries import Excluded, Queries
from pyembed.vectors.rows import Rows

_QUERIES_AT_ONCE = 4_096
"""Queries of one call, between which an interrupt is seen."""


class Search(Protocol):
    """Looks at all rows for each query. Rows that hold NaN or infinity are never found."""

    def scores(self, rows: Rows, queries: Queries) -> Float32Array:
        """Every row's score for every query, [Q, V]; NaN for rows that hold NaN or infinity."""

    def nearest(self, rows: Rows, queries: Queries, k: int, excluded: Excluded) -> tuple[Int64Array, Float32Array]:
        """For each query the rows of the highest score, best first; of equal ones the first row comes first.

        Args:
            rows: [V, D], V >= 1.
            queries: Q >= 1.
            k: rows wanted, >= 1.
            excluded: rows that are not to be found.

        Returns:
            Rows int64[Q, k] and scores float32[Q, k]; where there are fewer rows, any with a score of -inf stand in.
        """

    def unbeaten(self, rows: Rows, queries: Queries, bars: Float32Array, excluded: Excluded) -> BoolArray:
        """[Q]: whether no row but the excluded ones scores above the query's bar, float32[Q]."""


class CompiledSearch:
    """In C++, on all cores: a tile of scores at a time, so that neither all of them nor a copy of the rows is held."""

    def scores(self, rows: Rows, queries: Queries) -> Float32Array:
        scores: Float32Array = native.vector_scores(*_asked(rows, queries), usable_cores())
        return scores

    def nearest(self, rows: Rows, queries: Queries, k: int, excluded: Excluded) -> tuple[Int64Array, Float32Array]:
        found = [
            native.nearest_rows(*_asked(rows, queries.part(part)), *_barred(excluded.part(part)), k, usable_cores())
            for part in _parts(queries)
        ]
        return np.concatenate([rows for rows, _ in found]), np.concatenate([scores for _, scores in found])

    def unbeaten(self, rows: Rows, queries: Queries, bars: Float32Array, excluded: Excluded) -> BoolArray:
        return np.concatenate(
            [
                native.unbeaten_queries(
                    *_asked(rows, queries.part(part)), *_barred(excluded.part(part)), bars[part], usable_cores()
                )
                for part in _parts(queries)
            ]
        )


def _parts(queries: Queries) -> Iterator[slice]:
    for first in range(0, len(queries), _QUERIES_AT_ONCE):
        yield slice(first, first + _QUERIES_AT_ONCE)


def _asked(rows: Rows, queries: Queries) -> tuple[object, Float32Array, Float32Array, bool]:
    return rows.values(), queries.positive, queries.negative, queries.products


def _barred(excluded: Excluded) -> tuple[Int64Array, Int64Array]:
    return excluded.starts, excluded.rows


EXACT: Search = NumpySearch() if native is None else CompiledSearch()
"""The fastest that there is here."""
