"""Promises of Word2Vec beside gensim's own: the same vocabulary, shapes and attributes from the same calls."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_texts import skewed, two_topics

import pyembed
from pyembed.corpus.tables import keep_thresholds
from pyembed.models.settings import training_config

gensim = pytest.importorskip("gensim.models", reason="gensim is not installed")

Models = tuple[Any, Any]
"""gensim's and ours."""


def both(text: Any = None, **options: Any) -> Models:
    options = {"vector_size": 10, "min_count": 1, "workers": 1, **options}
    text = skewed() if text is None else text
    return tuple(library.Word2Vec(text, **options) for library in (gensim, pyembed))  # type: ignore[return-value]


def counts_of(model: Any) -> dict[str, int]:
    return {word: int(model.wv.get_vecattr(word, "count")) for word in model.wv.index_to_key}


def trim(word: str, _count: int, min_count: int) -> int:
    """Discards, keeps and leaves to min_count a third of the words each."""
    assert min_count == 5
    return (1, 2, 0)[int(word[1:]) % 3]


@pytest.mark.parametrize(
    "options",
    [{}, {"min_count": 4}, {"min_count": 0}, {"max_final_vocab": 4}, {"trim_rule": trim, "min_count": 5}],
    ids=",".join,
)
@pytest.mark.parametrize("text", [skewed, two_topics])
def test_vocabularies_are_the_same(text: Callable[[], Any], options: dict[str, Any]) -> None:
    if text is two_topics and "trim_rule" in options:
        options = {**options, "trim_rule": lambda word, *_: 1 if word == "a3" else 0}
    if text is two_topics and "max_final_vocab" in options:
        options = {"max_final_vocab": 20}  # gensim drops all words of equal counts that do not fit together
    theirs, ours = both(text(), **options)
    assert counts_of(ours) == counts_of(theirs)
    # in the same order, but for words of equal counts, whose order is no one's in gensim
    assert list(counts_of(ours).values()) == list(counts_of(theirs).values())
    assert ours.corpus_count == theirs.corpus_count
    assert ours.corpus_total_words == theirs.corpus_total_words


def test_unsorted_vocabularies_are_in_the_same_order() -> None:
    theirs, ours = both(two_topics(), sorted_vocab=0)
    assert ours.wv.index_to_key == theirs.wv.index_to_key


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_file_has_as_many_sentences_and_words(end: str, tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("a b c\nb c\nc" + end)
    models = [
        library.Word2Vec(corpus_file=str(path), min_count=1, vector_size=10, workers=1) for library in (gensim, pyembed)
    ]
    theirs, ours = models
    assert (ours.corpus_count, ours.corpus_total_words) == (theirs.corpus_count, theirs.corpus_total_words)
    assert counts_of(ours) == counts_of(theirs)


@pytest.mark.parametrize("sample", [0.02, 1e-3, 3, 20, 5000])
def test_frequent_words_are_thinned_out_alike(sample: float) -> None:
    theirs, ours = both(two_topics(), sample=sample)
    thresholds = keep_thresholds(ours.vocabulary.counts, training_config(ours).sample) / 2**32
    expected = np.array([theirs.wv.get_vecattr(word, "sample_int") for word in ours.wv.index_to_key]) / 2**32
    np.testing.assert_allclose(thresholds, expected, atol=1e-9)


def test_an_update_adds_the_same_words_and_counts() -> None:
    models = both()
    for model in models:
        model.build_vocab([["w9", "new", "new", "w1"], ["newer"]], update=True)
    theirs, ours = models
    assert counts_of(ours) == counts_of(theirs)
    assert ours.corpus_count == theirs.corpus_count == 2
    assert ours.wv.vectors.shape == theirs.wv.vectors.shape


@pytest.mark.parametrize("options", [{"sg": 1}, {"sg": 0}, {"hs": 1, "negative": 0}, {"hs": 1}], ids=str)
def test_tables_have_the_same_shapes(options: dict[str, Any]) -> None:
    theirs, ours = both(**options)
    for name in ("syn1neg", "syn1"):
        expected = getattr(theirs, name, None)
        found = getattr(ours, name)
        if expected is None:
            assert found is None
        elif name == "syn1neg":
            assert found.shape == expected.shape
        else:  # a row of gensim's belongs to no node
            assert found.shape == (len(expected) - 1, expected.shape[1])
        if found is not None:
            assert found.dtype == expected.dtype == np.float32


REFUSED = {"cum_table", "lifecycle_events", "random"}


def test_attributes_are_there_with_the_same_values() -> None:
    theirs, ours = both(epochs=2, sample=0, comment="mine")
    differing = set()
    for name, value in vars(theirs).items():
        if name in REFUSED:
            with pytest.raises(AttributeError, match=name):
                getattr(ours, name)
        elif isinstance(value, (int, float, str, type(None))) and getattr(ours, name) != value:
            differing.add(name)
        else:
            assert hasattr(ours, name)
    # times; rates, of the last word here and of the last batch there; and a loss that is there without being asked for
    assert differing == {"total_train_time", "min_alpha_yet_reached", "running_training_loss"}
    assert str(ours) == str(theirs)


def test_train_returns_the_same_numbers_of_words() -> None:
    found = []
    for model in both(two_topics(), sample=0, min_count=120):
        found.append(model.train(two_topics(), total_examples=model.corpus_count, epochs=3))
    assert found[0] == found[1]


def test_topics_are_told_apart_as_well() -> None:
    purity = []
    for model in both(two_topics(), sample=0, sg=1, alpha=0.1, epochs=6, vector_size=24):
        neighbours = [
            other[0] == word[0] for word in model.wv.index_to_key for other, _ in model.wv.most_similar(word, topn=9)
        ]
        purity.append(np.mean(neighbours))
    assert purity == [1, 1]
