"""Phrases beside gensim's: the same counts, scores and joined text, bit for bit where both compute the same way."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyembed import ENGLISH_CONNECTOR_WORDS, FrozenPhrases, Phrases

gensim_models = pytest.importorskip("gensim.models", reason="gensim is not installed")
theirs = gensim_models.phrases
README = Path(__file__).parent.parent / "README.md"
CONNECTORS = frozenset({"of", "the"})
words = st.sampled_from(["a", "b", "c", "a_b", "b_c", "_", "new", "york", "of", "the"])
texts = st.lists(st.lists(words, min_size=1, max_size=12), min_size=1, max_size=12)


def likeliness(worda_count, wordb_count, bigram_count, len_vocab, min_count, corpus_word_count):
    return bigram_count * len_vocab / (worda_count + wordb_count) - min_count / corpus_word_count


arguments = st.sampled_from(
    [
        {"min_count": 1, "threshold": 0.5},
        {"min_count": 2, "threshold": 0.1, "connector_words": CONNECTORS},
        {"min_count": 0.5, "threshold": 1, "connector_words": {"of", "b_c"}},
        {"min_count": 1, "threshold": 0.2, "connector_words": CONNECTORS, "scoring": "npmi"},
        {"min_count": 1, "threshold": 0.5, "delimiter": "__"},
        {"min_count": 1, "threshold": 3, "scoring": likeliness},
    ]
)


def test_the_connector_words_are_the_same():
    assert ENGLISH_CONNECTOR_WORDS == theirs.ENGLISH_CONNECTOR_WORDS


@settings(max_examples=60)
@given(texts, arguments)
def test_counts_and_joined_text_are_the_same(sentences, given_arguments):
    one, other = Phrases(sentences, **given_arguments), theirs.Phrases(sentences, **given_arguments)
    assert dict(one.vocab) == other.vocab
    assert len(one) == len(other.vocab)
    assert one.corpus_word_count == other.corpus_word_count
    assert list(one[sentences]) == list(other[sentences])
    found, expected = one.find_phrases(sentences), other.find_phrases(sentences)
    assert found.keys() == expected.keys()
    analyzed = [[pair for sentence in sentences for pair in model.analyze_sentence(sentence)] for model in (one, other)]
    texts_of, scores_of = (
        [[text for text, _ in pairs] for pairs in analyzed],
        [[score or 0.0 for _, score in pairs] for pairs in analyzed],
    )
    assert texts_of[0] == texts_of[1]
    assert scores_of[0] == pytest.approx(scores_of[1], rel=1e-12)


@settings(max_examples=30)
@given(texts, texts, arguments)
def test_phrases_of_phrases_and_further_text_are_the_same(sentences, more, given_arguments):
    one, other = Phrases(sentences, **given_arguments), theirs.Phrases(sentences, **given_arguments)
    one.add_vocab(more)
    other.add_vocab(more)
    assert dict(one.vocab) == other.vocab
    trigrams = Phrases(one[sentences], **given_arguments), theirs.Phrases(other[sentences], **given_arguments)
    assert dict(trigrams[0].vocab) == trigrams[1].vocab
    assert list(trigrams[0][one[sentences]]) == list(trigrams[1][other[sentences]])


@pytest.mark.parametrize(
    "given_arguments",
    [{"min_count": 2, "threshold": 1}, {"min_count": 2, "threshold": 0.3, "scoring": "npmi"}],
    ids=["default", "npmi"],
)
def test_exported_phrases_of_a_text_are_the_same(given_arguments):
    sentences = [line.replace("_", " ").split() for line in README.read_text().splitlines()]
    given_arguments |= {"connector_words": ENGLISH_CONNECTOR_WORDS}
    one, other = Phrases(sentences, **given_arguments), theirs.Phrases(sentences, **given_arguments)
    assert one.export_phrases() == pytest.approx(other.export_phrases(), rel=1e-12)
    assert len(one.export_phrases()) > 10
    frozen = one.freeze()
    assert frozen.phrasegrams == one.export_phrases()
    assert list(frozen[sentences]) == list(other.freeze()[sentences])
    assert str(one) == str(other)
    assert str(frozen) == str(other.freeze())


def test_frozen_phrases_of_phrases_are_those_that_were_found():
    """gensim takes an exported phrase apart at every delimiter, and so loses those that are made of phrases."""
    sentences = [["new", "york", "city"], ["new", "york", "state"], ["new", "jersey"], ["a", "city"]] * 9
    pairs = Phrases(sentences, 1, 0.3)
    joined = list(pairs[sentences])
    ours, its = Phrases(joined, 1, 0.3), theirs.Phrases(joined, 1, 0.3)
    assert ours[joined[0]] == its[joined[0]] == ["new_york_city"]
    assert ours.freeze()[joined[0]] == ["new_york_city"]
    assert its.freeze()[joined[0]] == ["new_york", "city"]


@pytest.mark.parametrize(("ours", "name"), [(Phrases, "Phrases"), (FrozenPhrases, "FrozenPhrases")])
def test_names_and_arguments_are_the_same(ours, name):
    other = getattr(theirs, name)
    refused = {"add_lifecycle_event"}
    assert {method for method in dir(other) if not method.startswith("_")} - refused <= set(dir(ours))
    for method in ("__init__", "score_candidate", "analyze_sentence", "find_phrases"):
        expected = list(inspect.signature(getattr(other, method)).parameters)
        assert list(inspect.signature(getattr(ours, method)).parameters)[: len(expected)] == expected
    defaults = {
        parameter.name: parameter.default for parameter in inspect.signature(other.__init__).parameters.values()
    }
    found = inspect.signature(ours.__init__).parameters
    assert {parameter: found[parameter].default for parameter in defaults} == defaults
