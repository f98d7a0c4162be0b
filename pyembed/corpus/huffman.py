"""Huffman's tree of a vocabulary, as the path to every word. Spec: pyembed/reference.py section 11."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class HuffmanPaths(NamedTuple):
    """The path to word w is nodes[starts[w] : starts[w + 1]], from the root down."""

    starts: NDArray[np.int64]
    """[V + 1], ascending from 0."""
    nodes: NDArray[np.int32]
    """[starts[V]], inner nodes, 0 to V - 2."""
    bits: NDArray[np.uint8]
    """[starts[V]], which child of the node comes next: 0 the rarer one, or 1."""


def huffman_paths(counts: NDArray[np.int64]) -> HuffmanPaths:
    """counts: [V], >= 0, in any order, V >= 1. Two seconds for a million words."""
    words = len(counts)
    children = _merged(counts)
    parents = np.empty(2 * words - 1, dtype=np.int32)  # of words 0 to V - 1, then of nodes
    parents[children] = np.arange(words - 1, dtype=np.int32)[:, None]
    second = np.zeros(2 * words - 1, dtype=np.uint8)
    second[children[:, 1]] = 1

    lengths = np.zeros(words, dtype=np.int64)
    for climbers, _ in _climb(parents):
        lengths[climbers] += 1
    starts = np.concatenate([[0], lengths.cumsum()])
    nodes, bits = np.empty(starts[-1], dtype=np.int32), np.empty(starts[-1], dtype=np.uint8)
    place = starts[1:].copy()  # leaves come first: paths are filled from their ends
    for climbers, child in _climb(parents):
        place[climbers] -= 1
        nodes[place[climbers]] = parents[child]
        bits[place[climbers]] = second[child]
    return HuffmanPaths(starts, nodes, bits)


def _merged(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """[V - 1, 2]: the children of each node, the rarer first; child i is word i, or from V on node i - V.

    Two queues: words by their counts, and nodes, which are made in the order of theirs.
    """
    words = len(counts)
    order = np.lexsort((-np.arange(words), counts))
    word_ids, word_counts = order.tolist(), [*counts[order].tolist(), math.inf, math.inf]
    node_counts: list[Any] = [math.inf] * (words + 1)
    children: list[int] = []
    next_word = next_node = 0
    for node in range(words - 1):
        total = 0
        for _ in range(2):
            if word_counts[next_word] <= node_counts[next_node]:
                total += word_counts[next_word]
                children.append(word_ids[next_word])
                next_word += 1
            else:
                total += node_counts[next_node]
                children.append(words + next_node)
                next_node += 1
        node_counts[node] = total
    return np.array(children, dtype=np.int64).reshape(-1, 2)


def _climb(parents: NDArray[np.int32]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Of all words at once, step by step up to the root: those on their way, and which child each is at."""
    words = (len(parents) + 1) // 2
    root = 2 * words - 2
    climbers = child = np.arange(words)
    while True:
        below = child != root
        climbers, child = climbers[below], child[below]
        if not len(climbers):
            return
        yield climbers, child
        child = words + parents[child].astype(np.int64)
