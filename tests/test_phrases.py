"""Phrases: counts, scores and joined text, against slow twins, whichever engine counts and joins."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phrase_cases import (
    CONNECTORS,
    EACH_WORD,
    TEXT,
    decoded,
    naive_join,
    naive_vocab,
    phrase_engines,  # noqa: F401
    texts,
)
from toy_texts import StartsAgain

from pyembed import FrozenPhrases, Phrases
from pyembed.config import CorpusConfig
from pyembed.corpus import CorpusError, Vocabulary, ingest_sentences, phrase_engine

pytestmark = pytest.mark.usefixtures("phrase_engines")


@given(texts)
def test_counts_equal_the_twin(sentences):
    phrases = Phrases(sentences, connector_words=CONNECTORS)
    assert dict(phrases.vocab) == naive_vocab(sentences)
    assert len(phrases) == len(phrases.vocab) == len(naive_vocab(sentences))
    assert phrases.corpus_word_count == sum(map(len, sentences))
    assert all(phrases.vocab[text] == count for text, count in naive_vocab(sentences).items())
    assert "no such text" not in phrases.vocab
    assert "of" not in phrases.vocab


@given(texts, texts)
def test_counting_goes_on(one, two):
    both = Phrases(one, connector_words=CONNECTORS)
    both.add_vocab(two)
    assert dict(both.vocab) == naive_vocab([*one, *two])
    assert both.table.scores == Phrases([*one, *two], connector_words=CONNECTORS).table.scores


@given(texts, st.sampled_from([1, 2, 7]))
def test_nothing_depends_on_threads(sentences, threads):
    one = Phrases(sentences, 1, 0.1, connector_words=CONNECTORS, threads=1)
    many = Phrases(sentences, 1, 0.1, connector_words=CONNECTORS, threads=threads)
    assert list(one.vocab.items()) == list(many.vocab.items())
    assert list(one.export_phrases().items()) == list(many.export_phrases().items())
    corpora = [ingest_sentences(one[sentences], EACH_WORD, threads=n) for n in (1, threads)]
    assert corpora[0].vocabulary.words == corpora[1].vocabulary.words
    np.testing.assert_array_equal(corpora[0].token_ids.ids, corpora[1].token_ids.ids)


@given(texts, st.integers(1, 3), st.sampled_from(["default", "npmi"]))
def test_scores_are_those_of_the_formulas(sentences, min_count, scoring):
    threshold = 0.2
    counts, tokens = naive_vocab(sentences), sum(map(len, sentences))
    expected = {}
    for text, count in counts.items():
        if "_" not in text:
            continue
        first, last = text.split("_")[0], text.split("_")[-1]
        if scoring == "default":
            score = (count - min_count) * len(counts) / (counts[first] * counts[last])
        elif count >= min_count:
            score = log(count * tokens / (counts[first] * counts[last])) / -log(count / tokens)
        else:
            continue
        if score > threshold + 1e-9:
            expected[text] = score
    phrases = Phrases(sentences, min_count, threshold, scoring=scoring, connector_words=CONNECTORS)
    found = {text: score for text, score in phrases.export_phrases().items() if score > threshold + 1e-9}
    assert found == pytest.approx(expected)
    assert list(found.values()) == sorted(found.values(), reverse=True)


@given(texts)
def test_sentences_are_joined_as_the_twin_joins(sentences):
    phrases = Phrases(sentences, 1, 0.5, connector_words=CONNECTORS)
    expected = [naive_join(sentence, set(phrases.export_phrases())) for sentence in sentences]
    assert [phrases[sentence] for sentence in sentences] == expected
    assert list(phrases[sentences]) == expected
    assert list(phrases.freeze()[sentences]) == expected
    assert list(phrases[iter(sentences)]) == expected


@given(texts, texts, st.sampled_from([EACH_WORD, CorpusConfig(min_count=2), CorpusConfig(min_count=1, lowercase=True)]))
def test_joined_ids_are_those_of_joined_words(counted, sentences, config):
    phrased = Phrases(counted, 1, 0.5, connector_words=CONNECTORS)[sentences]

    def outcome(source):
        try:
            return ingest_sentences(source, config)
        except CorpusError as error:
            return str(error)

    fast, slow = outcome(phrased), outcome(list(phrased))
    if isinstance(slow, str):
        assert fast == slow
        return
    assert fast.vocabulary.words == slow.vocabulary.words
    np.testing.assert_array_equal(fast.vocabulary.counts, slow.vocabulary.counts)
    np.testing.assert_array_equal(fast.token_ids.ids, slow.token_ids.ids)
    np.testing.assert_array_equal(fast.token_ids.sentence_starts, slow.token_ids.sentence_starts)
    assert fast.report.raw_tokens == slow.report.raw_tokens
    assert fast.report.given_sentences == len(sentences)


@given(texts)
def test_phrases_of_phrases_count_what_was_joined(sentences):
    pairs = Phrases(sentences, 1, 0.5, connector_words=CONNECTORS)
    again = Phrases(pairs[sentences], 1, 0.5, connector_words=CONNECTORS)
    assert dict(again.vocab) == naive_vocab(list(pairs[sentences]))
    assert again.vocab.keys() == dict(again.vocab).keys()
    joined = again[pairs[sentences]]
    assert list(joined) == [again[pairs[sentence]] for sentence in sentences]
    assert decoded(ingest_sentences(joined, EACH_WORD)) == [sentence for sentence in joined if sentence]


def test_connector_words_stand_within_phrases_only():
    phrases = Phrases(TEXT, 1, 0.5, connector_words=CONNECTORS)
    assert phrases[["the", "bank", "of", "america", "and", "new", "york"]] == [
        "the",
        "bank_of_america",
        "and",
        "new_york",
    ]
    assert phrases.score_candidate("bank", "america", ["of"]) == (
        "bank_of_america",
        phrases.table.scores["bank", "of", "america"],
    )
    assert phrases.score_candidate("bank", "america", []) == (None, None)
    assert phrases[["of", "the", "bank", "of"]] == ["of", "the", "bank", "of"]


def test_phrases_of_sentences_are_found_once_with_their_scores():
    phrases = Phrases(TEXT, 1, 0.5, connector_words=CONNECTORS)
    found = phrases.find_phrases([["new", "york", "new", "york"], ["bank", "of", "york"]])
    assert found == {"new_york": phrases.export_phrases()["new_york"]}
    analyzed = list(phrases.analyze_sentence(["in", "new", "york"]))
    assert analyzed == [("in", None), ("new_york", found["new_york"])]


@given(texts, st.integers(1, 30))
def test_within_bounds_the_most_frequent_stay_uncut(sentences, bound):
    counts = naive_vocab(sentences)
    vocab = Phrases(sentences, max_vocab_size=bound, connector_words=CONNECTORS).vocab
    cut = sorted(counts.values(), reverse=True)[bound] if len(counts) > bound else 0
    assert dict(vocab) == {text: count for text, count in counts.items() if count > cut}


def test_the_greatest_counts_can_be_cut():
    counts, greatest = phrase_engine.open_counts(), 2**62 + 1
    words, last = np.array([0, 1, 2], np.int32), np.array([1, 2, 3], np.int32)
    counts.set_counts(words, last, np.zeros(3, np.int32), np.full(3, greatest))
    no_words = np.zeros(0, np.int32), np.zeros(1, np.int64), words, np.zeros(0, np.int64)
    assert counts.count(*no_words, 1, 2) == greatest
    assert counts.size() == 0


def test_what_was_set_later_counts():
    phrases = Phrases(TEXT)
    assert phrases.export_phrases() == {}
    phrases.min_count, phrases.threshold = 1, 0.5
    assert "new_york" in phrases.export_phrases()
    phrases.threshold = -1
    with pytest.raises(ValueError, match="threshold: expected a number above 0"):
        phrases.export_phrases()


def test_a_function_scores_by_its_six_arguments():
    def scorer(worda_count, wordb_count, bigram_count, len_vocab, min_count, corpus_word_count):
        assert len_vocab == len(phrases.vocab)
        assert corpus_word_count == phrases.corpus_word_count
        return bigram_count / min(worda_count, wordb_count) - min_count / 100

    phrases = Phrases(TEXT, 5, 0.5, scoring=scorer)
    counts = naive_vocab(TEXT, frozenset())
    score = counts["new_york"] / min(counts["new"], counts["york"]) - 0.05
    assert phrases.export_phrases()["new_york"] == pytest.approx(score)
    with pytest.raises(ValueError, match="cannot be saved; freeze"):
        phrases.save("nowhere")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_count": 0}, "min_count: expected a number above 0, found 0"),
        ({"threshold": 0}, "threshold: expected a number above 0 for 'default' scoring, found 0"),
        ({"threshold": 1.5, "scoring": "npmi"}, "threshold: expected -1 to 1 for 'npmi' scoring, found 1.5"),
        ({"scoring": "pmi"}, "scoring: expected 'default', 'npmi' or a function, found 'pmi'"),
        ({"scoring": lambda worda_count: worda_count}, "scoring: expected a function that takes wordb_count"),
        ({"delimiter": ""}, "delimiter: expected a text of at least one character, found ''"),
        ({"connector_words": "of"}, "connector_words: expected a set of words, found the str 'of'"),
        ({"max_vocab_size": 0}, "max_vocab_size: expected at least 1, found 0"),
    ],
)
def test_values_out_of_range_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        Phrases(**arguments)


def test_text_is_not_taken_for_a_list_of_letters():
    phrases = Phrases(TEXT)
    with pytest.raises(TypeError, match="expected a list of words, found the str 'new york'; split it"):
        phrases["new york"]
    with pytest.raises(TypeError, match="expected a list of words, found the str 'new york'"):
        list(phrases.analyze_sentence("new york"))
    with pytest.raises(TypeError, match="sentence 0: expected a list of words, found the str 'new york'"):
        phrases.add_vocab(["new york", "old york"])
    with pytest.raises(TypeError, match="sentence 1: expected a list of str, found a str"):
        phrases.add_vocab([["new", "york"], "old york"])
    assert dict(phrases.vocab) == naive_vocab(TEXT, frozenset())


def test_text_among_sentences_is_not_joined_letter_by_letter():
    phrases = Phrases(TEXT)
    with pytest.raises(TypeError, match="expected a list of words, found the str 'new york'; split it"):
        list(phrases[[["new", "york"], "new york"]])
    with pytest.raises(TypeError, match="expected a list of words, found the bytes b'new'"):
        list(phrases[[b"new", b"york"]])


def test_empty_words_are_skipped_by_lists_as_by_ids():
    phrases = Phrases(TEXT, 1, 0.5)
    sentences = [["in", "new", "", "york"], ["", "new", "york", ""]]
    assert list(phrases[sentences]) == [["in", "new_york"], ["new_york"]]
    assert decoded(ingest_sentences(phrases[sentences], EACH_WORD)) == list(phrases[sentences])


def test_sentences_to_count_are_begun_once():
    class Lines:
        """As an object around an open file: begun again, it goes on where it stands."""

        def __init__(self) -> None:
            self.lines = (sentence for sentence in TEXT)

        def __iter__(self) -> Iterator[list[str]]:
            return self.lines

    assert dict(Phrases(Lines()).vocab) == naive_vocab(TEXT, frozenset())


@pytest.mark.parametrize("length", [1_200, 20_000])
def test_runs_of_connector_words_may_be_long(length, tmp_path):
    sentence = ["rose", *["is", "a"] * (length // 2), "rose"]
    phrases = Phrases([sentence, ["new", "york"]], 0.5, 0.1, connector_words={"is", "a"})
    assert phrases.vocab["_".join(sentence)] == 1
    tracemalloc.start()
    assert phrases.export_phrases().keys() == {"_".join(sentence), "new_york"}
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2_000_000 + 200 * length  # not with the square of it
    phrases.freeze().save(tmp_path / "frozen")
    assert FrozenPhrases.load(tmp_path / "frozen")[sentence] == ["_".join(sentence)]


def test_counts_of_another_corpus_are_refused():
    vocabulary = Vocabulary.from_counts(["new", "york"], [100, 100])
    corpus = ingest_sentences([["new", "york"]], EACH_WORD, vocabulary=vocabulary)
    with pytest.raises(ValueError, match="found 2 words and counts of 200: encode it without the vocabulary"):
        Phrases(corpus)


def test_no_sentence_of_an_iterator_that_starts_again_is_counted_or_joined_twice():
    sentences = [["new", "york"], ["a"], ["new", "york"]]
    phrases = Phrases(StartsAgain(sentences), 1, 0.1)
    assert dict(phrases.vocab) == {"new": 2, "york": 2, "new_york": 2, "a": 1}
    assert list(phrases[StartsAgain(sentences)]) == [["new_york"], ["a"], ["new_york"]]


def test_what_an_iterator_gave_cannot_be_had_twice():
    phrased = Phrases(TEXT, 1, 0.5)[iter(TEXT)]
    assert len(list(phrased)) == len(TEXT)
    with pytest.raises(RuntimeError, match="gone through already; give a list"):
        list(phrased)
    with pytest.raises(CorpusError, match="the corpus is empty"):
        Phrases(iter([]))
    pairs = Phrases(TEXT, 1, 0.5)
    assert list(pairs[pairs[iter(TEXT)]]) == list(pairs[pairs[TEXT]])
    spent = pairs[iter(TEXT)]
    assert Phrases(spent).corpus_word_count > 0
    with pytest.raises(CorpusError, match="an iterator can be gone through only once"):
        Phrases(spent)


def test_before_anything_is_counted_nothing_is_a_phrase():
    phrases = Phrases()
    assert (len(phrases), phrases.export_phrases(), phrases[["new", "york"]]) == (0, {}, ["new", "york"])
    assert phrases[[]] == []
    assert list(phrases[[["new", "york"], []]]) == [["new", "york"], []]


def test_a_text_of_connector_words_alone_holds_no_phrase():
    for connector in ("of", "of_the"):  # of which the second could be a phrase's name
        phrases = Phrases([[connector, connector], [connector]], 1, 0.5, connector_words={connector})
        assert (len(phrases), dict(phrases.vocab), phrases.export_phrases()) == (0, {}, {})
        assert phrases[[connector]] == [connector]
