"""Search for many queries at once: against all scores, sorted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyembed.vectors import KeyedVectors
from pyembed.vectors import nearest as nearest_module
from pyembed.vectors.nearest import nearest
from pyembed.vectors.rows import FloatRows, Int8Rows, PartOfRows, unit_rows
from pyembed.vectors.scores import CosAdd, CosMul


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def scores_naive(vectors: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """[Q, V], in float64."""
    vectors, queries = vectors.astype(np.float64), queries.astype(np.float64)
    lengths = np.sqrt((vectors**2).sum(axis=1))
    return queries @ vectors.T / np.where(lengths == 0, 1, lengths)


@pytest.fixture
def small_blocks(monkeypatch):
    """A search by groups, of several blocks, among few rows."""
    monkeypatch.setattr(nearest_module, "_GROUP", 4)
    monkeypatch.setattr(nearest_module, "_BLOCK_ROWS", 16)
    monkeypatch.setattr(nearest_module, "_QUERIES_AT_ONCE", 7)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("count", [16, 17, 47, 64, 200])
@pytest.mark.parametrize("topn", [1, 3, 10, 50, 300])
def test_many_queries_equal_all_scores_sorted(count, topn):
    vectors, queries = normal(count, 5), unit_rows(normal(11, 5, seed=1))
    excluded = [list(range(query % 4)) for query in range(11)]
    rows, found = nearest(FloatRows(vectors), CosAdd(queries), topn, excluded)
    expected = scores_naive(vectors, queries)
    for query, barred in enumerate(excluded):
        expected[query, barred] = -np.inf
        order = np.argsort(-expected[query], kind="stable")[: min(topn, count - len(barred))]
        np.testing.assert_array_equal(rows[query, : len(order)], order)
        np.testing.assert_allclose(found[query, : len(order)], expected[query, order], atol=1e-6)
        assert (found[query, len(order) :] == -np.inf).all()
    assert rows.shape == (11, min(topn, count))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_equal_scores_rows_of_zeros_and_rows_without_numbers_are_no_trouble(data):
    count, topn = data.draw(st.integers(60, 90)), data.draw(st.integers(1, 4))
    values = data.draw(
        st.lists(st.sampled_from([0, 0, 1, -1, 2, np.nan, np.inf]), min_size=2 * count, max_size=2 * count)
    )
    vectors = np.array(values, dtype=np.float32).reshape(count, 2)
    queries = unit_rows(np.float32([[1, 0], [1, 1], [-1, 0], [0, 0], [0, 1]]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nearest_module, "_GROUP", 4)
        patch.setattr(nearest_module, "_BLOCK_ROWS", 16)
        _, found = nearest(FloatRows(vectors), CosAdd(queries), topn)
    usable = np.isfinite(vectors).all(axis=1)
    expected = -np.sort(-scores_naive(vectors[usable], queries), axis=1)[:, :topn]
    np.testing.assert_allclose(found[:, : expected.shape[1]], expected, atol=1e-6)
    assert (found[:, expected.shape[1] :] == -np.inf).all()


@pytest.mark.usefixtures("small_blocks")
def test_rows_in_the_worst_order_are_found_too():
    """Each block better than all before it, so that all rows pass the bar."""
    angles = np.linspace(np.pi, 0, 500)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    rows, _ = nearest(FloatRows(vectors), CosAdd(np.float32([[1, 0]] * 9)), 3)
    np.testing.assert_array_equal(rows, [[499, 498, 497]] * 9)


@pytest.mark.usefixtures("small_blocks")
def test_products_of_cosines_equal_their_definition():
    vectors = normal(100, 4)
    positive, negative = unit_rows(normal(18, 4, seed=1)).reshape(2, 9, 4), unit_rows(normal(9, 4, seed=2))[None]
    rows, found = nearest(FloatRows(vectors), CosMul(positive, negative), 2)
    cosines = [(1 + scores_naive(vectors, terms)) / 2 for terms in (*positive, negative[0])]
    expected = cosines[0] * cosines[1] / (cosines[2] + 1e-6)
    np.testing.assert_array_equal(rows, np.argsort(-expected, axis=1)[:, :2])
    np.testing.assert_allclose(found, -np.sort(-expected, axis=1)[:, :2], rtol=1e-4)


@pytest.mark.usefixtures("small_blocks")
def test_a_part_of_rows_is_searched_by_its_own_numbers():
    vectors, queries = normal(90, 5), unit_rows(normal(6, 5, seed=1))
    part = PartOfRows(FloatRows(vectors), 20, 83)
    for found, expected in zip(
        nearest(part, CosAdd(queries), 3), nearest(FloatRows(vectors[20:83]), CosAdd(queries), 3), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.usefixtures("small_blocks")
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


def test_an_indexer_answers_instead_of_the_search():
    class Indexer:
        def most_similar(self, vector, num_neighbors):
            return [("asked", float(vector @ vector)), ("for", num_neighbors)]

    vectors = KeyedVectors(["a", "b"], [[3, 4], [1, 0]])
    assert vectors.most_similar("a", topn=5, indexer=Indexer()) == [("asked", pytest.approx(1)), ("for", 5)]


def test_tables_of_8_bits_are_close_to_the_exact_ones():
    values = normal(500, 50) * np.random.default_rng(2).uniform(1e-3, 1e3, size=(500, 1)).astype(np.float32)
    values[7], values[8] = 0, 1e-38
    exact = KeyedVectors([f"w{row}" for row in range(500)], values)
    small = exact.quantize()
    assert small.nbytes == 500 * (50 + 8)
    np.testing.assert_allclose(small["w3"], exact["w3"], atol=np.abs(exact["w3"]).max() / 253)
    for row in range(20, 40):
        found = np.array(small.most_similar(exact[row], topn=None))
        np.testing.assert_allclose(found, exact.most_similar(exact[row], topn=None), atol=0.006)
        assert small.most_similar(exact[row], topn=1)[0][0] == f"w{row}"
    assert small.similarity("w3", "w3") == pytest.approx(1, abs=1e-6)
    assert small.similarity("w3", "w7") == 0
    assert small.distances("w3").shape == (500,)
    assert small.most_similar_batch([f"w{row}" for row in range(10)], topn=2)[9][0][1] > 0.3


def test_what_is_no_number_cannot_be_made_8_bits():
    with pytest.raises(ValueError, match="row 1: expected finite numbers"):
        KeyedVectors(["a", "b"], [[1, 2], [np.nan, 1]]).quantize()


def test_8_bit_rows_take_steps_of_their_greatest_dimension():
    rows = Int8Rows.of(FloatRows(np.float32([[1.27, -0.01, 0.004], [-254, 2, 3]])))
    np.testing.assert_allclose(rows.gather(np.array([0, 1]))[0], [[1.27, -0.01, 0], [-254, 2, 4]], atol=1e-6)
