"""Phrases and files: text is read without lists, what was saved goes on as it was, and what cannot be read is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phrase_cases import CONNECTORS, EACH_WORD, TEXT, decoded, naive_vocab, phrase_engines  # noqa: F401

from pyembed import ENGLISH_CONNECTOR_WORDS, FrozenPhrases, LineSentence, Phrases
from pyembed.corpus import ingest_sentences
from pyembed.vectors import VectorFileError

pytestmark = pytest.mark.usefixtures("phrase_engines")


def test_files_are_read_without_lists(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("\n".join(map(" ".join, TEXT)))
    phrases = Phrases(LineSentence(path), 1, 0.5, connector_words=CONNECTORS)
    assert dict(phrases.vocab) == naive_vocab(TEXT)
    corpus = ingest_sentences(phrases[LineSentence(path)], EACH_WORD)
    assert decoded(corpus) == [phrases[sentence] for sentence in TEXT if sentence]
    assert corpus.report.bytes == path.stat().st_size


@pytest.mark.parametrize("connectors", [frozenset(), ENGLISH_CONNECTOR_WORDS])
def test_saved_counts_go_on_where_they_were(connectors, tmp_path):
    phrases = Phrases(TEXT, 1, 0.5, delimiter="·", scoring="npmi", connector_words=connectors)
    phrases.save(tmp_path / "phrases")
    loaded = Phrases.load(tmp_path / "phrases")
    assert str(loaded) == str(phrases)
    assert list(loaded.vocab.items()) == list(phrases.vocab.items())
    for model in (phrases, loaded):
        model.add_vocab([["new", "jersey"], ["bank", "of", "the", "west"]] * 3)
    assert dict(loaded.vocab) == dict(phrases.vocab)
    assert loaded.export_phrases() == phrases.export_phrases() != {}
    assert loaded.corpus_word_count == phrases.corpus_word_count


def test_frozen_phrases_are_saved_bit_for_bit(tmp_path):
    frozen = Phrases(
        TEXT, 1, 0.5, scoring=lambda bigram_count, **_: bigram_count / 3, connector_words=CONNECTORS
    ).freeze()
    frozen.save(tmp_path / "frozen")
    loaded = FrozenPhrases.load(tmp_path / "frozen")
    assert list(loaded.phrasegrams.items()) == list(frozen.phrasegrams.items())
    assert len(loaded) == len(loaded.phrasegrams) > 0
    assert str(loaded) == f"FrozenPhrases<{len(loaded)} phrases, min_count=1, threshold=0.5>"
    assert (loaded.scoring, loaded.connector_words) == (None, CONNECTORS)
    assert [loaded[sentence] for sentence in TEXT] == [frozen[sentence] for sentence in TEXT]


def test_other_files_are_refused_by_name(tmp_path):
    path = tmp_path / "file"
    Phrases(TEXT).save(path)
    with pytest.raises(VectorFileError, match=r"expected FrozenPhrases, found Phrases; Phrases\.load reads them"):
        FrozenPhrases.load(path)
    content = path.read_bytes()
    path.write_bytes(content[:-5])
    with pytest.raises(VectorFileError, match="expected a place in the file"):
        Phrases.load(path)
    path.write_bytes(b"\x80\x04\x95 a pickle")
    with pytest.raises(VectorFileError, match="pickle"):
        Phrases.load(path)


@settings(max_examples=50)
@given(st.data())
def test_damaged_files_raise_the_documented_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damaged") / "file"
    kind = data.draw(st.sampled_from([Phrases, FrozenPhrases]))
    phrases = Phrases(TEXT, 1, 0.5, connector_words=CONNECTORS)
    (phrases if kind is Phrases else phrases.freeze()).save(path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        loaded = kind.load(path)
        assert isinstance(loaded[TEXT[0]], list)
    except (VectorFileError, ValueError):
        pass


def test_nothing_is_left_of_a_failed_save(tmp_path: Path):
    with pytest.raises(OSError, match="missing"):
        Phrases(TEXT).save(tmp_path / "missing" / "file")
    with pytest.raises(VectorFileError, match="UTF-8"):
        Phrases(TEXT, delimiter="\ud800").save(tmp_path / "file")
    assert not list(tmp_path.iterdir())


def test_numbers_may_be_numpys(tmp_path):
    phrases = Phrases(TEXT, np.int64(1), np.float32(0.5), max_vocab_size=4e7)
    phrases.save(tmp_path / "phrases")
    loaded = Phrases.load(tmp_path / "phrases")
    assert (loaded.min_count, loaded.threshold, loaded.max_vocab_size) == (1, 0.5, 40_000_000)
    assert loaded.export_phrases() == phrases.export_phrases() != {}
