"""Exact search for the rows of a matrix that score best, for many queries at once.

A large search works in blocks, so that neither all scores nor a copy of the matrix is ever held. Each block's rows fall
into groups, and only where a group's best score passes the bar, the k-th best of the blocks before, are its rows looked
at one by one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from pyembed.vectors.arrays import BoolArray, Float32Array, Int64Array
from pyembed.vectors.rows import Rows
from pyembed.vectors.scores import Score, rows_of_a_small_product

Found = TypeVar("Found")

_GROUP = 32
"""Rows in a group."""
_BLOCK_ROWS = 4_096
"""Rows of a block in a search by groups, a multiple of _GROUP: with their scores they fit into a core's cache."""
_SCORES_AT_ONCE = 1 << 23
"""Scores held at the same time where all are held."""
_QUERIES_AT_ONCE = 128
"""Queries of a block where threads work side by side on queries of their own."""
_QUERIES_AT_ONCE_IN_BLAS = 1_024
"""Queries of a block where BLAS has the threads, since there are too many dimensions for small products."""
_FEWEST_QUERIES = 4
"""With fewer queries all scores are computed and held."""
_ROWS_AT_ONCE = 16_384
"""Rows of a block where all scores are held."""


def nearest(
    rows: Rows, score: Score, topn: int, excluded: Sequence[Sequence[int]] | None = None
) -> tuple[Int64Array, Float32Array]:
    """For each query the `topn` rows of the highest score, best first; of equal ones the first row comes first.

    Args:
        rows: [V, D], V >= 1.
        score: of Q >= 1 queries.
        topn: rows wanted, >= 1.
        excluded: for each query the rows it must not find.

    Returns:
        Rows int64[Q, k] and scores float32[Q, k], k = min(topn, V). Excluded rows, and rows that hold NaN or infinity,
        come last, with a score of -inf; so does whatever row stands in for what was not found.
    """
    count = rows.shape[0]
    most_excluded = max(map(len, excluded)) if excluded else 0
    wanted = min(topn + most_excluded, count)
    if len(score) < _FEWEST_QUERIES or 2 * wanted * _GROUP > count:
        at_once = max(1, _SCORES_AT_ONCE // count)
        slices = [slice(first, first + at_once) for first in range(0, len(score), at_once)]
        parts = [_among_all(rows, score.part(part), wanted) for part in slices]
    else:
        shares = _shares(len(score), rows.shape[1])
        parts = _side_by_side(lambda share: _among_groups(rows, score.part(share), wanted), shares)
    found, scores = np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
    if excluded and most_excluded:
        barred = np.full((len(excluded), most_excluded), -1)
        for query, barred_rows in enumerate(excluded):
            barred[query, : len(barred_rows)] = barred_rows
        scores[(found[:, :, None] == barred[:, None, :]).any(axis=2)] = -np.inf
    order = np.lexsort((found, -scores), axis=1)[:, : min(topn, count)]
    return np.take_along_axis(found, order, axis=1), np.take_along_axis(scores, order, axis=1)


def all_scores(rows: Rows, score: Score) -> Float32Array:
    """Every row's score for every query, [V, Q]; NaN for rows that hold NaN or infinity."""
    count = rows.shape[0]
    scores = np.empty((count, len(score)), dtype=np.float32)
    for start in range(0, count, _ROWS_AT_ONCE):
        stop = min(start + _ROWS_AT_ONCE, count)
        block, norms = rows.block(start, stop)
        with np.errstate(invalid="ignore"):
            score.of_block(block, norms, scores[start:stop])
        scores[start:stop][~np.isfinite(norms)] = np.nan
    return scores


def unbeaten(rows: Rows, score: Score, bar: Float32Array, excluded: Sequence[Sequence[int]]) -> BoolArray:
    """For each query whether no row scores above its bar. Queries drop out with the first row that does.

    Args:
        rows: [V, D].
        score: of Q queries.
        bar: float32[Q].
        excluded: for each query the rows that do not count.
    """
    query = np.repeat(np.arange(len(score)), [len(barred) for barred in excluded])
    row = np.array([row for barred in excluded for row in barred], dtype=np.int64)
    order = np.argsort(row, kind="stable")
    query, row = query[order], row[order]
    shares = _shares(len(score), rows.shape[1])
    remaining = _side_by_side(lambda share: _remaining(rows, score, bar, query, row, share), shares)
    result = np.zeros(len(score), dtype=np.bool_)
    result[np.concatenate(remaining)] = True
    return result


def _remaining(
    rows: Rows, score: Score, bar: Float32Array, barred_query: Int64Array, barred_row: Int64Array, share: slice
) -> Int64Array:
    """Those of a share of the queries that no row beats. What is barred comes in the order of rows."""
    alive = np.arange(len(score))[share]
    at_once = _queries_at_once(rows.shape[1])
    place = np.empty(len(score), dtype=np.int64)
    buffer = np.empty(_BLOCK_ROWS * at_once, dtype=np.float32)
    for start, block, unusable in _unit_blocks(rows):
        first, end = np.searchsorted(barred_row, (start, start + len(block)))
        stands = np.ones(len(alive), dtype=np.bool_)
        for begin in range(0, len(alive), at_once):
            asked = alive[begin : begin + at_once]
            scores = buffer[: len(block) * len(asked)].reshape(len(block), len(asked))
            score.part(asked).of_block(block, None, scores)
            place[:] = -1
            place[asked] = np.arange(len(asked))
            column = place[barred_query[first:end]]
            scores[barred_row[first:end][column >= 0] - start, column[column >= 0]] = -np.inf
            scores[unusable] = -np.inf
            stands[begin : begin + len(asked)] = scores.max(axis=0) <= bar[asked]
        alive = alive[stands]
    return alive


def _queries_at_once(dimensions: int) -> int:
    return _QUERIES_AT_ONCE if rows_of_a_small_product(_QUERIES_AT_ONCE, dimensions) else _QUERIES_AT_ONCE_IN_BLAS


def _shares(queries: int, dimensions: int) -> list[slice]:
    """Shares of the queries, one for each thread; one where BLAS has the threads."""
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not rows_of_a_small_product(_QUERIES_AT_ONCE, dimensions):
        threads = 1
    size = max(16, -(-queries // threads))
    return [slice(first, first + size) for first in range(0, queries, size)]


def _side_by_side(work: Callable[[slice], Found], shares: Sequence[slice]) -> list[Found]:
    """What each share of the queries comes to, with a thread for each."""
    if len(shares) == 1:
        return [work(shares[0])]
    with ThreadPoolExecutor(len(shares)) as threads:
        return list(threads.map(work, shares))


def _unit_blocks(rows: Rows) -> Iterator[tuple[int, Float32Array, Int64Array]]:
    """Blocks of all rows: the first row's number, the rows at length 1, and which of them hold NaN or infinity."""
    for start in range(0, rows.shape[0], _BLOCK_ROWS):
        block, norms = rows.block(start, min(start + _BLOCK_ROWS, rows.shape[0]))
        unusable: Int64Array = np.flatnonzero(~np.isfinite(norms))
        with np.errstate(invalid="ignore"):
            unit: Float32Array = block / norms[:, None]
        unit[unusable] = 0
        yield start, unit, unusable


def _among_all(rows: Rows, score: Score, wanted: int) -> tuple[Int64Array, Float32Array]:
    """The best, in no order, by all scores."""
    scores = np.ascontiguousarray(all_scores(rows, score).T)
    scores[np.isnan(scores)] = -np.inf
    if wanted == scores.shape[1]:
        return np.broadcast_to(np.arange(wanted), scores.shape), scores
    best = np.argpartition(scores, scores.shape[1] - wanted, axis=1)[:, -wanted:]
    return best, np.take_along_axis(scores, best, axis=1)


def _among_groups(rows: Rows, score: Score, wanted: int) -> tuple[Int64Array, Float32Array]:
    """The best, best first, by maxima of groups. Group g of a block of n groups is its rows g, g + n, g + 2n, ..."""
    at_once = _queries_at_once(rows.shape[1])
    parts = [score.part(slice(first, first + at_once)) for first in range(0, len(score), at_once)]
    bests = [_Best(len(part), wanted) for part in parts]
    buffer = np.empty(_BLOCK_ROWS * at_once, dtype=np.float32)
    for start, block, unusable in _unit_blocks(rows):
        groups = -(-len(block) // _GROUP)
        for part, best in zip(parts, bests, strict=True):
            queries = len(part)
            scores = buffer[: groups * _GROUP * queries].reshape(-1, queries)
            part.of_block(block, None, scores[: len(block)])
            scores[len(block) :] = -np.inf
            if len(unusable):
                scores[unusable] = -np.inf
            members = scores.reshape(_GROUP, groups * queries)
            maxima = members.max(axis=0).reshape(groups, queries)
            if start == 0 and groups >= wanted:
                # At least so many rows are as good as the worst of the best groups.
                best.bar = np.nextafter(np.partition(maxima, -wanted, axis=0)[-wanted], np.float32(-np.inf))
            hits = np.flatnonzero(maxima > best.bar)
            if not len(hits):
                continue
            candidates = members[:, hits]
            member, hit = np.nonzero(candidates > best.bar[hits % queries])
            group, query = np.divmod(hits[hit], queries)
            best.offer(query, start + member * groups + group, candidates[member, hit])
    results = [best.result() for best in bests]
    return np.concatenate([rows for rows, _ in results]), np.concatenate([scores for _, scores in results])


class _Best:
    """The `wanted` best rows of each query so far. What is offered is sorted in now and then."""

    def __init__(self, queries: int, wanted: int) -> None:
        self._shape = queries, wanted
        self.bar = np.full(queries, np.finfo(np.float32).min, dtype=np.float32)
        """[Q]: a score no higher need not be offered."""
        none = np.zeros(queries * wanted, dtype=np.int64), np.full(queries * wanted, -np.inf, dtype=np.float32)
        self._offers: list[tuple[Int64Array, Int64Array, Float32Array]] = [
            (np.repeat(np.arange(queries), wanted), *none)
        ]
        self._offered = 0

    def offer(self, query: Int64Array, row: Int64Array, score: Float32Array) -> None:
        """Any number of rows, each with the query it is for and its score."""
        self._offers.append((query, row, score))
        self._offered += len(query)
        if self._offered > 4 * self._shape[0] * self._shape[1]:
            self._sort_in()

    def _sort_in(self) -> None:
        query, row, score = (np.concatenate(parts) for parts in zip(*self._offers, strict=True))
        bits = score.view(np.int32).astype(np.int64)
        ascending = np.where(bits < 0, bits ^ 0x7FFF_FFFF, bits)  # whole numbers, in the order of the scores
        order = np.argsort((query << 32) - ascending)
        count = np.bincount(query, minlength=self._shape[0])
        first = np.cumsum(count) - count
        chosen = order[(first[:, None] + np.arange(self._shape[1])).reshape(-1)]
        self._offers, self._offered = [(query[chosen], row[chosen], score[chosen])], 0
        self.bar = np.maximum(self.bar, score[chosen].reshape(self._shape)[:, -1])

    def result(self) -> tuple[Int64Array, Float32Array]:
        """Rows and scores, [Q, wanted], best first; -inf where fewer were offered."""
        self._sort_in()
        ((_, row, score),) = self._offers
        return row.reshape(self._shape), score.reshape(self._shape)
