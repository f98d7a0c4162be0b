"""Promises of a model's wv: the same object throughout, never stale, and what is changed in it is what is trained."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_texts import SMALL, two_topics

from pyembed import KeyedVectors, Word2Vec
from pyembed.models import state

DTYPES = ("float32", "bfloat16")


def built(**options: Any) -> Word2Vec:
    model = Word2Vec(**{**SMALL, **options})
    model.build_vocab(two_topics())
    return model


def fresh(model: Word2Vec) -> KeyedVectors:
    """A copy of the vectors that knows nothing of the model."""
    return KeyedVectors(list(model.wv.index_to_key), model.tables.in_vectors.float().numpy().copy())


def assert_answers_are_right(model: Word2Vec) -> None:
    for word in ("a1", "b2"):
        found, expected = model.wv.most_similar(word), fresh(model).most_similar(word)
        assert [word for word, _ in found] == [word for word, _ in expected]
        assert [score for _, score in found] == pytest.approx([score for _, score in expected], abs=1e-6)
    np.testing.assert_allclose(model.wv.norms, fresh(model).norms, rtol=1e-6)


@pytest.mark.parametrize("vector_size", [32, 24, 7])  # of which the first alone leaves no columns of the table empty
@pytest.mark.parametrize("table_dtype", DTYPES)
def test_queries_are_right_before_and_after_each_training(vector_size: int, table_dtype: str) -> None:
    model = built(vector_size=vector_size, table_dtype=table_dtype)
    wv = model.wv
    assert isinstance(wv, KeyedVectors)
    assert_answers_are_right(model)  # which keeps lengths for the next query
    for _ in range(2):
        model.train(two_topics(), epochs=1)
        assert model.wv is wv
        assert_answers_are_right(model)
    model.build_vocab([["new", "a1"]], update=True)
    assert_answers_are_right(model)
    model.train(two_topics(), epochs=1)
    assert_answers_are_right(model)


def test_an_array_that_a_script_holds_shows_what_was_trained() -> None:
    model = built()
    vectors = model.wv.vectors
    start = vectors.copy()
    model.train(two_topics())
    assert not np.array_equal(vectors, start)
    assert np.array_equal(vectors, model.wv.vectors)


def test_on_the_cpu_vectors_are_in_memory_once() -> None:
    model = built()
    assert np.shares_memory(model.wv.vectors, model.tables.in_vectors.numpy())


def test_tables_of_bfloat16_stand_alone_until_somebody_asks_for_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    copies, on_host = [], state._on_host
    monkeypatch.setattr(state, "_on_host", lambda *table: copies.append(1) or on_host(*table))
    model = built(table_dtype="bfloat16")
    wv = model.wv
    model.train(two_topics(), epochs=1)
    model.build_vocab([["new", "a1"]], update=True)
    model.train(two_topics(), epochs=1)
    assert (len(wv), wv.vector_size, wv.vectors_lockf.shape) == (len(model.vocabulary), model.vector_size, (1,))
    assert not copies
    assert np.array_equal(wv.vectors, model.tables.in_vectors.float().numpy())
    assert wv.vectors is wv.vectors
    assert copies == [1]
    model.train(two_topics(), epochs=1)
    assert np.array_equal(wv.vectors, model.tables.in_vectors.float().numpy())
    assert copies == [1]


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda wv: pickle.loads(pickle.dumps(wv))])
def test_copies_of_vectors_nobody_has_asked_for_are_as_any(copied: Callable[[KeyedVectors], KeyedVectors]) -> None:
    model = built(table_dtype="bfloat16")
    model.train(two_topics(), epochs=1)
    expected = model.tables.in_vectors.float().numpy().copy()
    wv = copied(model.wv)
    assert np.array_equal(wv.vectors, expected)
    wv.add_vectors(["more"], np.ones((1, model.vector_size)))
    assert np.array_equal(wv.vectors[:-1], expected)
    assert wv["more"].sum() == model.vector_size


def test_vectors_that_outlive_their_model_keep_no_table_but_their_own_and_that_until_it_is_read() -> None:
    model = built(table_dtype="bfloat16")
    wv = model.wv
    own, other = weakref.ref(model.tables.in_padded), weakref.ref(model.tables.out_padded)
    expected = model.tables.in_vectors.float().numpy().copy()
    del model
    gc.collect()
    assert other() is None
    assert np.array_equal(wv.vectors, expected)
    gc.collect()
    assert own() is None


def test_rows_may_be_added_to_vectors_nobody_has_asked_for() -> None:
    model = built(table_dtype="bfloat16")
    expected = model.tables.in_vectors.float().numpy().copy()
    model.wv.add_vectors(["more"], np.ones((1, model.vector_size)))
    assert np.array_equal(model.wv.vectors[:-1], expected)
    with pytest.raises(ValueError, match="words of the vocabulary"):
        model.train(two_topics(), epochs=1)


@pytest.mark.parametrize("table_dtype", DTYPES)
def test_vectors_that_were_set_before_training_count(table_dtype: str) -> None:
    model, twin = built(table_dtype=table_dtype), built(table_dtype=table_dtype)
    for vectors in (model.wv.vectors, twin.wv.vectors):
        vectors[3] = 0.25
    twin.wv.vectors = twin.wv.vectors.copy()  # another array altogether
    for each in (model, twin):
        each.train([["a1"]], epochs=1)  # one word: there is no context to learn from
        assert (each.wv.vectors[3] == 0.25).all()
        each.train(two_topics())
        assert_answers_are_right(each)
    assert np.array_equal(model.wv.vectors, twin.wv.vectors)
    assert not np.array_equal(model.wv.vectors, built().wv.vectors)


def test_vectors_set_to_an_array_that_cannot_be_changed_are_trained() -> None:
    model, twin = built(), built()
    for each in (model, twin):
        each.wv.vectors = np.full((20, 24), 0.1, dtype=np.float32)
    fixed = model.wv.vectors
    fixed.setflags(write=False)
    for each in (model, twin):
        each.train(two_topics())
        assert_answers_are_right(each)
    assert np.array_equal(model.wv.vectors, twin.wv.vectors)
    assert (fixed == np.float32(0.1)).all()


def test_counts_that_are_set_in_wv_change_no_vocabulary() -> None:
    model, other = built(), Word2Vec(**SMALL)
    other.reset_from(model)
    before = other.vocabulary.counts.copy()
    model.wv.set_vecattr("a1", "count", 1)
    assert model.wv.get_vecattr("a1", "count") == 1
    for counts in (model.vocabulary.counts, other.vocabulary.counts, other.wv.counts):
        assert np.array_equal(counts, before)  # type: ignore[arg-type]


def test_wv_cannot_be_another_object() -> None:
    model = built()
    with pytest.raises(AttributeError, match="bring others in with"):
        model.wv = fresh(model)  # type: ignore[assignment]


def test_other_words_in_wv_are_told_of() -> None:
    model = built()
    model.wv.add_vector("stranger", np.zeros(24))
    with pytest.raises(ValueError, match=r"words are added with build_vocab\(update=True\)"):
        model.train(two_topics())


def test_copies_and_pickles_of_a_model_train_on_their_own() -> None:
    model = built()
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        before = model.wv.vectors.copy()
        other.train(two_topics())
        assert np.array_equal(model.wv.vectors, before)
        assert_answers_are_right(other)
        assert not np.array_equal(other.wv.vectors, before)


def test_metadata_tells_how_vectors_were_made() -> None:
    model = built(window=3)
    assert model.wv.metadata["window"] == "3"
    assert model.wv.metadata["min_count"] == "1"


# --- locks ------------------------------------------------------------------------------------------------------------


def pretrained(path: Path) -> Path:
    rows = np.linspace(-1, 1, 3 * 24, dtype=np.float32).reshape(3, 24)
    KeyedVectors(["a1", "b1", "elsewhere"], rows).save_word2vec_format(path)
    return path


def test_pretrained_vectors_are_taken_and_stay_where_locked(tmp_path: Path) -> None:
    model = built()
    assert model.wv.intersect_word2vec_format(pretrained(tmp_path / "pretrained.txt"), lockf=0.0) == 2
    start = model.wv.vectors.copy()
    model.train(two_topics())
    locked = np.array([word in ("a1", "b1") for word in model.wv.index_to_key])
    assert np.array_equal(model.wv.vectors[locked], start[locked])
    assert (model.wv.vectors[~locked] != start[~locked]).any(axis=1).all()


def test_pretrained_vectors_learn_where_they_are_not_locked(tmp_path: Path) -> None:
    model = built()
    model.wv.intersect_word2vec_format(pretrained(tmp_path / "pretrained.txt"), lockf=1.0)
    start = np.array(model.wv["a1"])
    model.train(two_topics())
    assert not np.array_equal(model.wv["a1"], start)


def test_vectors_lockf_is_one_factor_or_one_a_word() -> None:
    model = built()
    assert model.wv.vectors_lockf.tolist() == [1]
    model.wv.vectors_lockf[0] = 0  # of all words
    start = model.wv.vectors.copy()
    model.train(two_topics())
    assert np.array_equal(model.wv.vectors, start)

    model.wv.vectors_lockf = np.ones(20, dtype=np.float32)
    model.wv.vectors_lockf[2] = 0
    model.train(two_topics())
    assert np.array_equal((model.wv.vectors == start).all(axis=1), np.arange(20) == 2)

    with pytest.raises(ValueError, match=r"expected shape \[20\] or \[1\], found \[3\]"):
        model.wv.vectors_lockf = np.ones(3)


def test_words_of_an_update_are_not_locked() -> None:
    model = built()
    model.wv.vectors_lockf = np.zeros(20, dtype=np.float32)
    model.build_vocab([["new", "a1"]] * 50, update=True)
    assert model.wv.vectors_lockf.tolist() == [0] * 20 + [1]
    start = model.wv.vectors.copy()
    model.train([["new", "a1"]] * 50)
    assert np.array_equal(model.wv.vectors[:20], start[:20])
    assert not np.array_equal(model.wv["new"], start[20])


# --- what a model does not have ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("most_similar", "use wv.most_similar"),
        ("syn0", "use wv.vectors"),
        ("iter", "use epochs"),
        ("cum_table", "alias table"),
        ("random", "function of the seed"),
        ("scan_vocab", "keep_raw_vocab=True"),
        ("nonsense", "'Word2Vec' object has no attribute 'nonsense'"),
    ],
)
def test_what_is_not_here_says_why(name: str, reason: str) -> None:
    with pytest.raises(AttributeError, match=reason):
        getattr(built(), name)


def test_tables_and_report_say_when_they_come() -> None:
    for name, reason in {"syn1neg": "call build_vocab or fit", "report": "call fit or train"}.items():
        with pytest.raises(AttributeError, match=reason):
            getattr(Word2Vec(), name)
    assert len(Word2Vec(vector_size=30).wv) == 0
    assert Word2Vec(vector_size=30).wv.vector_size == 30
