"""Exact search by all scores: what stands in where nothing is compiled, and how any other array library can do it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from pyembed.vectors.arrays import BoolArray, Float32Array, Int64Array
from pyembed.vectors.queries import Excluded, Queries
from pyembed.vectors.rows import Rows

_SCORES_AT_ONCE = 1 << 23
"""Scores held at the same time."""
_ROWS_AT_ONCE = 16_384
"""Rows whose lengths are taken at the same time."""


class ScoredSearch(ABC):
    """A `Search` that holds all scores of some queries at a time, in arrays of whatever library computes them."""

    @abstractmethod
    def scores(self, rows: Rows, queries: Queries) -> Float32Array:
        """As `Search.scores`."""

    @abstractmethod
    def _counting(self, rows: Rows, queries: Queries, excluded: Excluded) -> Any:
        """Scores [Q, V], -inf for what does not count."""

    @abstractmethod
    def _candidates(self, scores: Any, k: int) -> tuple[Int64Array, Int64Array, Float32Array]:
        """(query, row, score) of all scores that are as high as the query's k-th best, 1 <= k <= V, and not -inf."""

    @abstractmethod
    def _highest(self, scores: Any) -> Float32Array:
        """Each query's best score, [Q]."""

    def nearest(self, rows: Rows, queries: Queries, k: int, excluded: Excluded) -> tuple[Int64Array, Float32Array]:
        found = np.zeros((len(queries), k), dtype=np.int64)
        best = np.full((len(queries), k), -np.inf, dtype=np.float32)
        for part in self._parts(rows, queries):
            scores = self._counting(rows, queries.part(part), excluded.part(part))
            query, row, score = self._candidates(scores, min(k, rows.shape[0]))
            order = np.lexsort((row, -score, query))
            query, row, score = query[order], row[order], score[order]
            place = np.arange(len(query)) - np.searchsorted(query, query)
            chosen = place < k
            target = part.start + query[chosen], place[chosen]
            found[target], best[target] = row[chosen], score[chosen]
        return found, best

    def unbeaten(self, rows: Rows, queries: Queries, bars: Float32Array, excluded: Excluded) -> BoolArray:
        stands = np.empty(len(queries), dtype=np.bool_)
        for part in self._parts(rows, queries):
            stands[part] = self._highest(self._counting(rows, queries.part(part), excluded.part(part))) <= bars[part]
        return stands

    def _parts(self, rows: Rows, queries: Queries) -> list[slice]:
        at_once = max(1, _SCORES_AT_ONCE // rows.shape[0])
        return [slice(first, first + at_once) for first in range(0, len(queries), at_once)]


class NumpySearch(ScoredSearch):
    """By numpy's products of matrices."""

    def scores(self, rows: Rows, queries: Queries) -> Float32Array:
        scores = np.empty((len(queries), rows.shape[0]), dtype=np.float32)
        for start in range(0, rows.shape[0], _ROWS_AT_ONCE):
            block, norms = rows.block(start, min(start + _ROWS_AT_ONCE, rows.shape[0]))
            with np.errstate(invalid="ignore", over="ignore"):
                cosines = [term @ block.T / norms for term in queries.terms]
            scores[:, start : start + len(block)] = queries.combine(cosines)
            scores[:, start + np.flatnonzero(~np.isfinite(norms))] = np.nan
        return scores

    def _counting(self, rows: Rows, queries: Queries, excluded: Excluded) -> Float32Array:
        scores = self.scores(rows, queries)
        scores[np.isnan(scores)] = -np.inf
        scores[excluded.queries, excluded.rows] = -np.inf
        return scores

    def _candidates(self, scores: Float32Array, k: int) -> tuple[Int64Array, Int64Array, Float32Array]:
        last = np.partition(scores, scores.shape[1] - k, axis=1)[:, -k, None]
        query, row = np.nonzero((scores >= last) & (scores > -np.inf))
        return query, row, scores[query, row]

    def _highest(self, scores: Float32Array) -> Float32Array:
        highest: Float32Array = scores.max(axis=1)
        return highest
