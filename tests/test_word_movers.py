"""Word Mover's Distance: against every way to carry single pieces of mass, and against linear programming."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from pyembed.vectors import KeyedVectors, word_movers
from pyembed.vectors.word_movers import transport_cost, word_movers_distance


def transport_naive(supply: list[int], demand: list[int], costs: np.ndarray) -> float:
    """The least over all ways to pair single units."""
    units = [source for source, amount in enumerate(supply) for _ in range(amount)]
    places = [target for target, amount in enumerate(demand) for _ in range(amount)]
    orders = set(permutations(places))
    return min(sum(costs[route] for route in zip(units, order, strict=True)) for order in orders)


@pytest.mark.parametrize("whole", [False, True])
def test_transport_equals_the_slow_twin(whole):
    rng = np.random.default_rng(int(whole))
    for _ in range(150):
        supply, demand = (np.bincount(rng.integers(rng.integers(1, 5), size=5)) for _ in "12")
        costs = rng.random((len(supply), len(demand)))
        costs = np.floor(3 * costs) if whole else costs
        expected = transport_naive(supply.tolist(), demand.tolist(), costs)
        assert transport_cost(supply, demand, costs) == pytest.approx(expected, abs=1e-12)


def test_transport_equals_linear_programming():
    optimize = pytest.importorskip("scipy.optimize", reason="scipy is not installed")
    rng = np.random.default_rng(2)
    for _ in range(5):
        sources, targets = rng.integers(5, 15, size=2).tolist()
        supply, demand = (np.bincount(rng.integers(n, size=200), minlength=n) for n in (sources, targets))
        costs = rng.random((sources, targets))
        sums = np.zeros((sources + targets, sources * targets))
        for source in range(sources):
            for target in range(targets):
                sums[[source, sources + target], source * targets + target] = 1
        expected = optimize.linprog(costs.reshape(-1), A_eq=sums, b_eq=np.concatenate([supply, demand])).fun
        assert transport_cost(supply, demand, costs) == pytest.approx(expected, rel=1e-9)


def test_mass_that_both_have_stays_where_it_is():
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(12, 3)).astype(np.float32)
    for _ in range(20):
        counts = rng.integers(4, size=(2, 12)) + np.eye(2, 12, dtype=np.int64)
        distances = np.sqrt(((vectors[:, None].astype(np.float64) - vectors) ** 2).sum(axis=2))
        expected = transport_cost(counts[0] * counts[1].sum(), counts[1] * counts[0].sum(), distances)
        expected /= counts[0].sum() * counts[1].sum()
        assert word_movers_distance(vectors, *counts) == pytest.approx(expected, rel=1e-9)


def test_documents_are_compared_by_the_share_of_their_words():
    vectors = KeyedVectors(["a", "b", "c"], [[0, 0], [3, 4], [6, 8]])
    assert vectors.wmdistance(["a"], ["b"], norm=False) == pytest.approx(5)
    assert vectors.wmdistance(["a", "a", "nothing"], ["a", "b"], norm=False) == pytest.approx(2.5)
    assert vectors.wmdistance(["a", "b"], ["b", "c"], norm=False) == pytest.approx(5)
    assert vectors.wmdistance(["a", "b"], ["b", "a", "a", "b"], norm=False) == 0
    assert vectors.wmdistance(["b"], ["c"]) == pytest.approx(0, abs=1e-6)
    assert vectors.wmdistance(["nothing"], ["a"]) == vectors.wmdistance([], []) == float("inf")


def test_documents_that_would_take_minutes_are_refused(monkeypatch):
    monkeypatch.setattr(word_movers, "_MOST_ROUTES", 3)
    vectors = KeyedVectors(list("abcd"), np.eye(4))
    with pytest.raises(ValueError, match=r"at most 3 pairs of different words, found 2 x 2"):
        vectors.wmdistance(["a", "b"], ["c", "d"])
