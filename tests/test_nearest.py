"""Search for many queries at once, by each of its engines: against all scores, sorted."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyembed import compiled_text
from pyembed.vectors import KeyedVectors, numpy_search
from pyembed.vectors import nearest as nearest_module
from pyembed.vectors.nearest import CompiledSearch, Search
from pyembed.vectors.numpy_search import NumpySearch
from pyembed.vectors.queries import Excluded, Queries, by_cosine, by_products
from pyembed.vectors.rows import FloatRows, Int8Rows, PartOfRows, Rows, unit_rows
from pyembed.vectors.torch_search import TorchSearch

ENGINES = {"compiled": CompiledSearch, "numpy": NumpySearch, "torch": lambda: TorchSearch("cpu")}


@pytest.fixture(params=ENGINES, scope="module")
def search(request) -> Search:
    if request.param == "compiled" and compiled_text.native is None:
        pytest.skip(f"the compiled search is missing: {compiled_text.NATIVE_ERROR}")
    return ENGINES[request.param]()


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def scores_naive(vectors: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """[Q, V], in float64; NaN for rows that are no numbers."""
    vectors, queries = vectors.astype(np.float64), queries.astype(np.float64)
    lengths = np.sqrt((vectors**2).sum(axis=1))
    with np.errstate(invalid="ignore"):
        scores = queries @ vectors.T / np.where(lengths == 0, 1, lengths)
    scores[:, ~np.isfinite(lengths)] = np.nan
    return scores


def best_naive(scores: np.ndarray, excluded: list[list[int]], k: int) -> list[list[int]]:
    """The rows, best first, of equal ones the first row first."""
    return [
        sorted(
            (row for row in range(len(line)) if row not in barred and not np.isnan(line[row])),
            key=lambda row: (-line[row], row),
        )[:k]
        for line, barred in zip(scores, excluded, strict=True)
    ]


def found_rows(search: Search, rows: Rows, queries: Queries, k: int, excluded: list[list[int]]) -> list[list[int]]:
    found, scores = search.nearest(rows, queries, k, Excluded.of(excluded))
    assert found.shape == scores.shape == (len(queries), k)
    assert (scores[:, 1:] <= scores[:, :-1]).all()
    return [row[score > -np.inf].tolist() for row, score in zip(found, scores, strict=True)]


@pytest.mark.parametrize("dimensions", [1, 5, 16, 50, 67])
@pytest.mark.parametrize("queries", [1, 3, 4, 17, 64, 100])
def test_the_best_are_those_of_all_scores_sorted(search, dimensions, queries):
    vectors, asked = normal(300, dimensions), unit_rows(normal(queries, dimensions, seed=1))
    vectors[7], vectors[200, -1], vectors[[8, 201]] = np.nan, np.inf, 0
    excluded = [[5 * place for place in range(query % 4)] for query in range(queries)]
    expected = scores_naive(vectors, asked)
    scores = search.scores(FloatRows(vectors), by_cosine(asked))
    np.testing.assert_allclose(scores, expected, atol=2e-6)
    for k in (1, 10, 300, 400):
        best = best_naive(scores, excluded, k)
        found, values = search.nearest(FloatRows(vectors), by_cosine(asked), k, Excluded.of(excluded))
        for query, rows in enumerate(best):
            np.testing.assert_allclose(values[query, : len(rows)], expected[query, rows], atol=2e-6)
            assert (values[query, len(rows) :] == -np.inf).all()
            if dimensions > 1:  # else there are but two scores, and rounding tells them apart
                assert found[query, : len(rows)].tolist() == rows


@given(st.data())
def test_equal_scores_rows_of_zeros_and_rows_without_numbers_are_no_trouble(search, data):
    """Along axes all sums are exact, so that equal rows have equal scores whatever adds them up."""
    count, k = data.draw(st.integers(1, 130)), data.draw(st.integers(1, 12))
    axes = np.array([[0, 0], [1, 0], [0, 2], [-4, 0], [0, -1], [np.nan, 1], [np.inf, 0]], dtype=np.float32)
    vectors = axes[data.draw(st.lists(st.integers(0, len(axes) - 1), min_size=count, max_size=count))]
    queries = np.float32([[1, 0], [0, 1], [-1, 0], [0, 0], [0, -1]])
    excluded = [data.draw(st.lists(st.integers(0, count - 1), max_size=5)) for _ in queries]
    expected = best_naive(scores_naive(vectors, queries), excluded, k)
    assert found_rows(search, FloatRows(vectors), by_cosine(queries), k, excluded) == expected
    whole = np.nan_to_num(vectors, nan=0, posinf=0)
    expected = best_naive(scores_naive(whole, queries), excluded, k)
    assert found_rows(search, Int8Rows.of(FloatRows(whole)), by_cosine(queries), k, excluded) == expected


def test_of_equal_scores_the_first_rows_are_found_also_where_the_cut_falls_among_them(search):
    vectors = np.tile(np.float32([[0, 1], [1, 0], [1, 0]]), (2_000, 1))
    asked = np.float32([[1, 0]] * 9)
    assert found_rows(search, FloatRows(vectors), by_cosine(asked), 4, [[2]] * 9) == [[1, 4, 5, 7]] * 9
    assert found_rows(search, FloatRows(vectors), by_cosine(asked[:1]), 4, [[]]) == [[1, 2, 4, 5]]


@pytest.mark.parametrize("queries", [1, 9])
def test_lengths_whose_squares_leave_the_range_of_float32_do_not_matter(search, queries):
    vectors, asked = normal(60, 5), by_cosine(unit_rows(normal(queries, 5, seed=1)))
    vectors[9] = 0
    extreme = vectors * np.float32([[1e25], [1], [1e-25]] * 20)
    np.testing.assert_allclose(*(search.scores(FloatRows(rows), asked) for rows in (extreme, vectors)), atol=2e-6)
    np.testing.assert_allclose(unit_rows(extreme), unit_rows(vectors), atol=2e-7)


def test_where_there_are_no_rows_there_are_no_scores(search):
    none, asked = FloatRows(np.empty((0, 4), dtype=np.float32)), by_cosine(unit_rows(normal(2, 4)))
    assert search.scores(none, asked).shape == (2, 0)


def test_rows_in_the_worst_order_are_found_too(search):
    """Each better than all before it."""
    angles = np.linspace(np.pi, 0, 5_000)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    found = found_rows(search, FloatRows(vectors), by_cosine(np.float32([[1, 0]] * 9)), 3, [[]] * 9)
    assert found == [[4999, 4998, 4997]] * 9


@pytest.mark.parametrize("queries", [1, 9])
def test_products_of_cosines_equal_their_definition(search, queries):
    vectors = normal(100, 4)
    positive = unit_rows(normal(2 * queries, 4, seed=1)).reshape(2, queries, 4)
    for negatives in (0, 1, 2):
        negative = unit_rows(normal(negatives * queries, 4, seed=2)).reshape(negatives, queries, 4)
        above, below = (
            np.prod([(1 + scores_naive(vectors, term)) / 2 for term in side], axis=0) for side in (positive, negative)
        )
        expected = above / (below + 1e-6) * np.ones((queries, 100))
        asked = by_products(positive, negative)
        np.testing.assert_allclose(search.scores(FloatRows(vectors), asked), expected, rtol=1e-4)
        assert found_rows(search, FloatRows(vectors), asked, 2, [[]] * queries) == best_naive(
            expected, [[]] * queries, 2
        )


def test_a_part_of_rows_is_searched_by_its_own_numbers(search):
    vectors, asked = normal(90, 5), by_cosine(unit_rows(normal(6, 5, seed=1)))
    part = PartOfRows(FloatRows(vectors), 20, 83)
    expected = found_rows(search, FloatRows(vectors[20:83].copy()), asked, 3, [[]] * 6)
    assert found_rows(search, part, asked, 3, [[]] * 6) == expected


def test_rows_that_lie_apart_are_searched_where_they_are(search):
    wide, asked = normal(90, 16), by_cosine(unit_rows(normal(6, 5, seed=1)))
    apart = wide[:, :5]
    expected = found_rows(search, FloatRows(apart.copy()), asked, 3, [[]] * 6)
    assert found_rows(search, FloatRows(apart), asked, 3, [[]] * 6) == expected
    bytes_apart = normal(90, 16).astype(np.int8)[:, :5]
    scales = np.ones(90, dtype=np.float32)
    expected = search.scores(Int8Rows(bytes_apart.copy(), scales), asked)
    np.testing.assert_array_equal(search.scores(Int8Rows(bytes_apart, scales), asked), expected)


@given(st.data())
def test_unbeaten_is_what_no_row_scores_above(search, data):
    count, queries = data.draw(st.integers(1, 120)), data.draw(st.integers(1, 40))
    seed = data.draw(st.integers(0, 99))
    vectors, asked = normal(count, 3, seed=seed), unit_rows(normal(queries, 3, seed=seed + 1))
    vectors[:: data.draw(st.integers(2, 9))] = np.nan
    excluded = [data.draw(st.lists(st.integers(0, count - 1), max_size=4)) for _ in range(queries)]
    scores = search.scores(FloatRows(vectors), by_cosine(asked))
    bars = np.array(data.draw(st.lists(st.sampled_from([-1, 0, 0.5, 0.9, 1]), min_size=queries, max_size=queries)))
    bars = bars.astype(np.float32)
    for query, barred in enumerate(excluded):
        scores[query, barred] = np.nan
    beaten = (np.nan_to_num(scores, nan=-2) > bars[:, None]).any(axis=1)
    found = search.unbeaten(FloatRows(vectors), by_cosine(asked), bars, Excluded.of(excluded))
    np.testing.assert_array_equal(found, ~beaten)


def test_results_do_not_depend_on_threads_or_on_how_many_queries_a_call_takes(monkeypatch):
    if compiled_text.native is None:
        pytest.skip(f"the compiled search is missing: {compiled_text.NATIVE_ERROR}")
    rows, asked = FloatRows(normal(30_000, 8)), by_cosine(unit_rows(normal(64, 8, seed=1)))
    excluded, bars = Excluded.of([[query] for query in range(64)]), np.full(64, 0.98, dtype=np.float32)
    results = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(nearest_module, "usable_cores", lambda threads=threads: threads)
        results.append((*CompiledSearch().nearest(rows, asked, 7, excluded), CompiledSearch().scores(rows, asked)))
        results[-1] += (CompiledSearch().unbeaten(rows, asked, bars, excluded),)
    assert 0 < results[0][3].sum() < 64
    for other in results[1:]:
        for one, another in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, another)
    monkeypatch.setattr(nearest_module, "_QUERIES_AT_ONCE", 16)
    np.testing.assert_array_equal(CompiledSearch().nearest(rows, asked, 7, excluded)[0], results[0][0])


def test_what_the_compiled_search_cannot_read_is_refused():
    if compiled_text.native is None:
        pytest.skip(f"the compiled search is missing: {compiled_text.NATIVE_ERROR}")
    nearest_rows = compiled_text.native.nearest_rows
    rows, query, none = normal(9, 4), normal(1, 1, 4), np.empty((0, 1, 4), dtype=np.float32)
    starts, barred = np.zeros(2, dtype=np.int64), np.empty(0, dtype=np.int64)
    for arguments, message in [
        ((rows[:, ::2], query[:, :, :2], none[:, :, :2], False, starts, barred), "side by side"),
        ((rows.astype(np.float64), query, none, False, starts, barred), "float32 or int8"),
        ((rows, query[:, :, :3].copy(), none, False, starts, barred), "shape"),
        ((rows, query, none, False, starts[:1], barred), "each query"),
        ((rows, query, none, False, np.array([0, 1]), barred), "ascending"),
    ]:
        with pytest.raises(ValueError, match=message):
            nearest_rows(*arguments, 1, 1)


def test_all_scores_are_held_for_a_few_queries_at_a_time(monkeypatch):
    monkeypatch.setattr(numpy_search, "_SCORES_AT_ONCE", 250)
    monkeypatch.setattr(numpy_search, "_ROWS_AT_ONCE", 30)
    vectors, asked = normal(100, 5), unit_rows(normal(7, 5, seed=1))
    expected = best_naive(scores_naive(vectors, asked), [[]] * 7, 3)
    assert found_rows(NumpySearch(), FloatRows(vectors), by_cosine(asked), 3, [[]] * 7) == expected


def test_a_batch_equals_one_query_at_a_time():
    vectors = KeyedVectors([f"w{row}" for row in range(120)], normal(120, 6))
    asked = ["w3", ["w4", "w5"], [("w6", 0.5), vectors["w7"]], vectors["w8"], 9]
    against = [None, "w1", ["w2", ("w3", -0.1)], None, None]
    for restrict in (None, 40):
        found = vectors.most_similar_batch(asked, against, topn=4, restrict_vocab=restrict)
        for answers, positive, negative in zip(found, asked, against, strict=True):
            expected = vectors.most_similar(positive, negative, topn=4, restrict_vocab=restrict)
            assert [word for word, _ in answers] == [word for word, _ in expected]
            assert [cosine for _, cosine in answers] == pytest.approx([cosine for _, cosine in expected], abs=1e-6)
    assert vectors.most_similar_batch(vectors.vectors[:5], topn=1) == [
        [(f"w{row}", pytest.approx(1, abs=1e-6))] for row in range(5)
    ]
    assert vectors.most_similar_batch([]) == []
    with pytest.raises(ValueError, match="negative: expected one for each of 2 queries, found 1"):
        vectors.most_similar_batch(["w1", "w2"], ["w3"])
    with pytest.raises(TypeError, match="'float' object cannot be interpreted as an integer"):
        vectors.most_similar("w1", topn=10.0)


def test_an_indexer_answers_instead_of_the_search():
    class Indexer:
        def most_similar(self, vector, num_neighbors):
            return [("asked", float(vector @ vector)), ("for", num_neighbors)]

    vectors = KeyedVectors(["a", "b"], [[3, 4], [1, 0]])
    assert vectors.most_similar("a", topn=5, indexer=Indexer()) == [("asked", pytest.approx(1)), ("for", 5)]


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_searches_on_a_device_equal_those_without_pytorch(device, tmp_path):
    KeyedVectors([f"w{row}" for row in range(300)], normal(300, 6)).save(tmp_path / "vectors.bin")
    here, there = (KeyedVectors.load(tmp_path / "vectors.bin") for _ in range(2))
    there.search_on(device)
    asked = [f"w{row}" for row in range(50)]
    for one, other in zip(here.most_similar_batch(asked), there.most_similar_batch(asked), strict=True):
        assert [word for word, _ in one] == [word for word, _ in other]
        assert [cosine for _, cosine in one] == pytest.approx([cosine for _, cosine in other], abs=1e-5)
    assert there.most_similar_cosmul(["w1", "w2"], ["w3"])[0][0] == here.most_similar_cosmul(["w1", "w2"], ["w3"])[0][0]
    np.testing.assert_allclose(there.distances("w1"), here.distances("w1"), atol=1e-5)
    assert copy.deepcopy(there).most_similar("w1")[0][0] == here.most_similar("w1")[0][0]
    there.add_vector("new", 3 * there["w1"])
    assert there.most_similar("w1")[0] == ("new", pytest.approx(1, abs=1e-5)), "no copy is stale"
    held = there.vectors
    there.most_similar("w1")
    held[7] = 50 * held[2]
    assert there.most_similar("w2")[0] == ("w7", pytest.approx(1, abs=1e-5)), "nor one of an array that others hold"
    there.search_on(None)
    assert there.most_similar("w2")[0][0] == "w7"


def test_a_search_on_a_device_is_not_disturbed_by_those_of_other_threads():
    search, asked = TorchSearch("cpu"), by_cosine(unit_rows(normal(2, 4, seed=1)))
    others = [FloatRows(normal(7, 4, seed=2))]
    others[0].keep_private()

    class Stamp:
        """During whose comparison another thread searches."""

        def __eq__(self, found: object) -> bool:
            if self is found and others:
                search.scores(others.pop(), asked)
            return self is found

        __hash__ = None

    class Stamped(FloatRows):
        def stamp(self) -> Stamp:
            return stamp

    stamp, rows = Stamp(), Stamped(normal(9, 4))
    expected = search.scores(rows, asked)
    np.testing.assert_array_equal(search.scores(rows, asked), expected)
    assert not others


def test_a_device_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="device: expected one that PyTorch has here, found 'abacus'"):
        KeyedVectors(["a"], [[1]]).search_on("abacus")
