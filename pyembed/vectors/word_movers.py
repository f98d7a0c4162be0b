"""Word Mover's Distance: the least work that carries the words of one document to those of another, exactly.

The transport problem is solved by successive shortest paths (Ahuja, Magnanti and Orlin 1993, section 9.7). Mass is
counted in whole numbers, so that sums of flow are exact.
"""

from __future__ import annotations

import math

import numpy as np

from pyembed.vectors.arrays import BoolArray, Float32Array, Float64Array, Int64Array

_MOST_ROUTES = 1_000_000
"""Different words of one document times those of the other: at a million it takes half a minute."""


def word_movers_distance(vectors: Float32Array, counts1: Int64Array, counts2: Int64Array) -> float:
    """The distance of two documents over the same n words.

    Args:
        vectors: float32[n, D].
        counts1: int64[n], how often each word stands in the first document; at least one is not 0.
        counts2: likewise in the second.

    Raises:
        ValueError: the documents differ in so many words that it would take minutes.
    """
    # In whole numbers each document weighs the product of both lengths.
    excess = counts1 * int(counts2.sum()) - counts2 * int(counts1.sum())
    # Mass that both have at a word stays there: by the triangle inequality moving it saves nothing.
    sources, targets = np.flatnonzero(excess > 0), np.flatnonzero(excess < 0)
    if len(sources) * len(targets) > _MOST_ROUTES:
        raise ValueError(
            f"expected documents with at most {_MOST_ROUTES:,} pairs of different words, found {len(sources)} x "
            f"{len(targets)}; compare them by parts, or their means by n_similarity"
        )
    start, end = vectors[sources].astype(np.float64), vectors[targets].astype(np.float64)
    costs = np.stack([np.sqrt(((end - row) ** 2).sum(axis=1)) for row in start]) if len(start) else np.zeros((0, 0))
    return transport_cost(excess[sources], -excess[targets], costs) / (int(counts1.sum()) * int(counts2.sum()))


def transport_cost(supply: Int64Array, demand: Int64Array, costs: Float64Array) -> float:
    """The least cost of carrying all of supply [n] to demand [m], of equal sums, at costs [n, m] >= 0 a unit."""
    supply, demand = supply.copy(), demand.copy()
    flow = np.zeros(costs.shape, dtype=np.int64)
    source_price, target_price = np.zeros(len(supply)), np.zeros(len(demand))
    while supply.any():
        reduced = np.maximum(costs + source_price[:, None] - target_price, 0)  # below 0 only by rounding
        path, source_at, target_at = _shortest_path(reduced, flow, supply > 0, demand > 0)
        source_price += source_at
        target_price += target_at
        (first, _), (_, last) = path[0], path[-1]
        undone = [(path[step + 1][0], path[step][1]) for step in range(len(path) - 1)]
        moved = min([int(supply[first]), int(demand[last]), *(int(flow[route]) for route in undone)])
        for route in path:
            flow[route] += moved
        for route in undone:
            flow[route] -= moved
        supply[first] -= moved
        demand[last] -= moved
    return float((flow * costs).sum())


def _shortest_path(
    reduced: Float64Array, flow: Int64Array, has_mass: BoolArray, has_room: BoolArray
) -> tuple[list[tuple[int, int]], Float64Array, Float64Array]:
    """Dijkstra's algorithm from all sources with mass to the nearest target with room.

    Forward routes cost `reduced` [n, m]; where there is flow it can be taken back for nothing.

    Returns:
        The forward routes (source, target) of the path, in its order; each next source takes flow back from the target
        before it. And the distances of sources [n] and targets [m], at most that of the path's end.
    """
    source_at = np.where(has_mass, 0.0, math.inf)
    target_at = np.full(len(has_room), math.inf)
    sent_by, from_source = np.full(len(has_mass), -1), np.zeros(len(has_room), dtype=np.int64)
    open_sources, open_targets = source_at.copy(), target_at.copy()
    while True:
        source, target = int(open_sources.argmin()), int(open_targets.argmin())
        if open_sources[source] <= open_targets[target]:
            reached = source_at[source] + reduced[source]
            better = reached < target_at
            target_at[better] = open_targets[better] = reached[better]
            from_source[better] = source
            open_sources[source] = math.inf
        elif has_room[target]:
            break
        else:
            back = (flow[:, target] > 0) & (target_at[target] < source_at)
            source_at[back] = open_sources[back] = target_at[target]
            sent_by[back] = target
            open_targets[target] = math.inf

    length = target_at[target]
    path = [(int(from_source[target]), target)]
    while sent_by[path[0][0]] >= 0:
        before = int(sent_by[path[0][0]])
        path.insert(0, (int(from_source[before]), before))
    return path, np.minimum(source_at, length), np.minimum(target_at, length)
