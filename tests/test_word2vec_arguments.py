"""Promises of Word2Vec's arguments as a whole: gensim's places and defaults, help where one is wrong, settings."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from toy_texts import SMALL, two_topics

from pyembed import Word2Vec


def test_gensims_arguments_have_their_places_and_defaults() -> None:
    gensim = pytest.importorskip("gensim.models", reason="gensim is not installed")
    theirs = list(inspect.signature(gensim.Word2Vec).parameters.values())
    ours = list(inspect.signature(Word2Vec).parameters.values())[: len(theirs)]
    assert [parameter.name for parameter in ours] == [parameter.name for parameter in theirs]
    different = {one.name for one, other in zip(ours, theirs, strict=True) if one.default != other.default}
    assert different == {"workers"}  # all cores here, 3 there


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("vector_sise", r"; did you mean 'vector_size'\?"),
        ("size", "; use vector_size"),
        ("iter", "; use epochs"),
        ("threads", "; use workers"),
        ("model", r"; use sg \(1: skip-gram, 0: CBOW\)"),
        ("zzzz", "$"),
    ],
)
def test_an_unknown_argument_is_refused_with_a_suggestion(name: str, hint: str) -> None:
    with pytest.raises(TypeError, match=f"Word2Vec has no option '{name}'{hint}"):
        Word2Vec(**{name: 1})


@pytest.mark.parametrize(
    ("name", "value"),
    [("vector_size", 0), ("window", 0), ("min_count", -1), ("sg", 2), ("alpha", 0), ("epochs", 0), ("workers", 0)],
)
def test_a_value_out_of_range_is_refused_at_once(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"^{name}: "):
        Word2Vec(iter(()), **{name: value})


def test_settings_are_attributes_that_are_read_when_training_begins() -> None:
    model = Word2Vec(**SMALL)
    model.build_vocab(two_topics())
    model.window = 1
    model.train(two_topics())
    assert model.report.epochs[0].pairs == 300 * 14
    model.window = 0
    with pytest.raises(ValueError, match=r"^window: "):
        model.train(two_topics())


@pytest.mark.parametrize(
    "unused", [{"hashfxn": len}, {"batch_words": 3}, {"compute_loss": True}, {"comment": "words of my own"}], ids=str
)
def test_what_is_not_used_changes_no_vector(unused: dict[str, Any]) -> None:
    model = Word2Vec(two_topics(), **SMALL, **unused)
    assert np.array_equal(model.wv.vectors, Word2Vec(two_topics(), **SMALL).wv.vectors)
    for name, value in unused.items():
        assert getattr(model, name) == value
        assert f"{name}: " in str(Word2Vec.__init__.__doc__)


def test_callbacks_are_checked() -> None:
    with pytest.raises(TypeError, match="callbacks: expected objects with any of on_train_begin"):
        Word2Vec(callbacks=[print])
    model = Word2Vec(**SMALL)
    model.callbacks = [print]
    for call in (model.fit, model.train):
        with pytest.raises(TypeError, match="callbacks: expected objects with any of on_train_begin"):
            call(two_topics())  # type: ignore[operator]
        model.build_vocab(two_topics())
