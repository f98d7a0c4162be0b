"""Exact search for the nearest rows of a matrix by cosine, for many queries at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pyembed.vectors.arrays import Float32Array, Int64Array

_ROWS = 32_768
_QUERIES = 256
"""Rows and queries of one matrix product: scores of 32 MiB, whatever V is."""


def norms_of(vectors: Float32Array) -> Float32Array:
    """Euclidean lengths of the rows, float32[n]."""
    norms: Float32Array = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    return norms


def unit_rows(vectors: Float32Array) -> Float32Array:
    """The rows, float32[n, D], each at length 1; rows of zeros stay zeros."""
    norms = norms_of(vectors)
    norms[norms == 0] = 1
    return vectors / norms[:, None]


def nearest(
    vectors: Float32Array, queries: Float32Array, topn: int, excluded: Sequence[Sequence[int]]
) -> tuple[Int64Array, Float32Array]:
    """For each query the `topn` rows of the highest cosine, best first.

    Args:
        vectors: [V, D], V >= 1. Lengths are taken anew at each call, so that they cannot be stale.
        queries: [Q, D], Q >= 1, of length 1 each if the scores are to be cosines.
        topn: rows wanted, >= 1.
        excluded: for each query the rows it must not find.

    Returns:
        Rows int64[Q, k] and cosines float32[Q, k], k = min(topn, V). Excluded rows, and rows that hold NaN, come last
        with a cosine of -inf.
    """
    topn = min(topn, len(vectors))
    kept_rows: list[Int64Array] = []
    kept_scores: list[Float32Array] = []
    for start in range(0, len(vectors), _ROWS):
        block = vectors[start : start + _ROWS]
        norms = norms_of(block)
        norms[norms == 0] = 1
        some = [slice(first, first + _QUERIES) for first in range(0, len(queries), _QUERIES)]
        parts = [_best_of_block(block, norms, queries[part], topn, excluded[part], start) for part in some]
        kept_rows.append(np.concatenate([rows for rows, _ in parts]))
        kept_scores.append(np.concatenate([scores for _, scores in parts]))
    rows, scores = np.concatenate(kept_rows, axis=1), np.concatenate(kept_scores, axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :topn]
    return np.take_along_axis(rows, order, axis=1), np.take_along_axis(scores, order, axis=1)


def _best_of_block(
    block: Float32Array,
    norms: Float32Array,
    queries: Float32Array,
    topn: int,
    excluded: Sequence[Sequence[int]],
    start: int,
) -> tuple[Int64Array, Float32Array]:
    """The best of one block of rows for one block of queries, in no order; `start` is the block's first row."""
    scores = queries @ block.T
    scores /= norms
    for query, rows in enumerate(excluded):
        for row in rows:
            if start <= row < start + len(block):
                scores[query, row - start] = -np.inf
    if np.isnan(norms).any():
        scores[:, np.isnan(norms)] = -np.inf
    if topn == 1:
        best = scores.argmax(axis=1)[:, None]
    elif topn < len(block):
        best = np.argpartition(scores, len(block) - topn, axis=1)[:, -topn:]
    else:
        best = np.broadcast_to(np.arange(len(block)), scores.shape)
    return best + start, np.take_along_axis(scores, best, axis=1)
