"""MIGRATING.md names all that gensim has, and tells the truth of each name, argument and default."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyembed
from pyembed import KeyedVectors, LineSentence, PathLineSentences, Word2Vec

gensim_models = pytest.importorskip("gensim.models", reason="gensim is not installed")
MIGRATING = Path(__file__).parent.parent / "MIGRATING.md"
SENTENCES = [["a", "b", "c"], ["a", "b"]] * 5


def rows_of(heading: str) -> dict[str, str]:
    """Name and verdict of each row of the table under a heading."""
    section = re.search(rf"^#+ {heading}$(.*?)(?=^#)", MIGRATING.read_text() + "\n#", re.MULTILINE | re.DOTALL)
    assert section, heading
    lines = re.findall(r"^\| `(\w+)` \| (\w+) \| ?(.*) ?\|$", section[1], re.MULTILINE)
    assert len(lines) == len({name for name, *_ in lines}) > 0
    for name, verdict, why in lines:
        assert verdict in ("same", "better", "refused"), name
        assert verdict == "same" or why, f"{name}: {verdict}, but how, or why, is not told"
    return {name: verdict for name, verdict, _ in lines}


def public_names(thing: object) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def our_vectors() -> KeyedVectors:
    return KeyedVectors(["a", "b"], np.eye(2), counts=[2, 1])


def our_model(**settings: Any) -> Word2Vec:
    return Word2Vec(SENTENCES, vector_size=2, min_count=1, epochs=1, **settings)


def their_model() -> object:
    return gensim_models.Word2Vec(SENTENCES, vector_size=2, min_count=1, epochs=1, hs=1, workers=1)


def test_the_tables_name_all_that_gensim_has():
    assert rows_of("KeyedVectors").keys() == public_names(gensim_models.KeyedVectors(2, 1))
    assert rows_of("Word2Vec").keys() == public_names(their_model())
    theirs = gensim_models.Phrases(SENTENCES)
    assert rows_of("Phrases and FrozenPhrases").keys() == public_names(theirs) | public_names(theirs.freeze())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("heading", "make"), [("KeyedVectors", our_vectors), ("Word2Vec", our_model)])
def test_names_are_there_or_refused_with_a_reason(heading, make):
    ours = make()
    for name, verdict in rows_of(heading).items():
        if verdict == "refused":
            with pytest.raises(AttributeError, match=f"{heading} has no attribute '{name}'.* \\w+"):
                getattr(ours, name)
        else:
            assert hasattr(ours, name), name


def test_names_of_phrases_are_there_or_refused():
    ours = pyembed.Phrases(SENTENCES)
    for name, verdict in rows_of("Phrases and FrozenPhrases").items():
        assert (hasattr(ours, name) or hasattr(ours.freeze(), name)) == (verdict != "refused"), name


UNLIKE_THEIRS = {
    ("evaluate_word_pairs", "delimiter"),
    ("save", "fname_or_handle"),
    ("score", "total_sentences"),
    ("save", "sep_limit"),
    ("save", "pickle_protocol"),
}
"""Arguments of other names or defaults, to the same effect."""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("heading", "ours", "theirs"),
    [("KeyedVectors", KeyedVectors, "KeyedVectors"), ("Word2Vec", Word2Vec, "Word2Vec")],
)
def test_arguments_of_methods_are_named_as_gensims(heading, ours, theirs):
    for name, verdict in rows_of(heading).items():
        their_method = getattr(getattr(gensim_models, theirs), name, None)
        if verdict != "refused" and inspect.isroutine(their_method) and name != "load":
            compare_arguments(name, getattr(ours, name), their_method)


def compare_arguments(name: str, ours: Any, theirs: Any) -> None:
    found = inspect.signature(ours).parameters
    expected = [
        parameter
        for parameter in inspect.signature(theirs).parameters.values()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    assert list(found)[: len(expected)] == [parameter.name for parameter in expected], name
    for parameter in expected:
        if (name, parameter.name) not in UNLIKE_THEIRS:
            assert found[parameter.name].default in (parameter.default, np.float32), (name, parameter.name)


@pytest.mark.parametrize(
    ("heading", "ours", "theirs", "other_defaults"),
    [
        ("Arguments of Word2Vec", Word2Vec, gensim_models.Word2Vec, {"workers": None}),
        ("Arguments of train", Word2Vec.train, gensim_models.Word2Vec.train, {}),
        (
            "LineSentence and PathLineSentences",
            LineSentence,
            gensim_models.word2vec.LineSentence,
            {"max_sentence_length": None},
        ),
        (
            "LineSentence and PathLineSentences",
            PathLineSentences,
            gensim_models.word2vec.PathLineSentences,
            {"max_sentence_length": None},
        ),
    ],
)
def test_tables_of_arguments_are_gensims_in_order_and_defaults(heading, ours, theirs, other_defaults):
    def arguments(callable: Any) -> dict[str, Any]:
        parameters = inspect.signature(callable).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "self"}

    assert list(rows_of(heading)) == list(arguments(theirs))
    assert list(arguments(ours).items()) == list((arguments(theirs) | other_defaults).items())


def test_refused_arguments_are_refused_with_the_reason():
    refused = [name for name, verdict in rows_of("Arguments of Word2Vec").items() if verdict == "refused"]
    assert refused == ["null_word"]
    with pytest.raises(ValueError, match="null_word: expected 0, found 1: contexts at the ends of sentences are left"):
        Word2Vec(null_word=1)


def test_arguments_that_have_nothing_to_do_change_nothing():
    expected = our_model(workers=1).wv.vectors
    for changes in ({"batch_words": 3}, {"hashfxn": len}, {"compute_loss": True}, {"comment": "x"}):
        np.testing.assert_array_equal(our_model(workers=1, **changes).wv.vectors, expected)


@pytest.mark.parametrize(
    ("old", "new"), [("index2word", "index_to_key"), ("syn0", "vectors"), ("vocab", "key_to_index")]
)
@pytest.mark.parametrize("make", [our_vectors, our_model])
def test_names_of_gensim_3_tell_the_new_one(make, old, new):
    ours = make()
    kind = "KeyedVectors" if make is our_vectors else "Word2Vec"
    assert not hasattr(ours, old)
    with pytest.raises(AttributeError, match=new):
        getattr(ours, old)
    with pytest.raises(AttributeError, match=rf"^'{kind}' object has no attribute 'nonsense'$"):
        ours.nonsense  # noqa: B018


def test_import_lines_work():
    lines = re.findall(r"`from pyembed import ([\w, ]+)`", MIGRATING.read_text())
    assert len(lines) >= 6
    for name in ", ".join(lines).split(", "):
        assert hasattr(pyembed, name.split(" as ")[0]), name
