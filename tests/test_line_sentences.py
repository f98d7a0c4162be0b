"""LineSentence and PathLineSentences: lists of words, the same as the counting engine finds when it reads the files."""

from __future__ import annotations

import bz2
import gzip
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from text_engines import USES_BOTH_ENGINES, text_engine  # noqa: F401

from pyembed import LineSentence, PathLineSentences
from pyembed.config import CorpusConfig
from pyembed.corpus import Corpus, CorpusError, ingest_sentences

pytestmark = USES_BOTH_ENGINES

TEXT = "the cat sat\n\n  on \tthe\u00a0mat \x1c x\x00y\r\nthe end"
SENTENCES = [["the", "cat", "sat"], ["on", "the\u00a0mat", "\x1c", "x", "y"], ["the", "end"]]
EACH_WORD = CorpusConfig(min_count=1)


def same(one: Corpus, other: Corpus) -> None:
    assert one.vocabulary.words == other.vocabulary.words
    np.testing.assert_array_equal(one.vocabulary.counts, other.vocabulary.counts)
    np.testing.assert_array_equal(one.token_ids.ids, other.token_ids.ids)
    np.testing.assert_array_equal(one.token_ids.sentence_starts, other.token_ids.sentence_starts)
    unlike = {"bytes": 0, "given_sentences": 0, "seconds": 0.0}  # of files, white space and empty lines count too
    assert replace(one.report, **unlike) == replace(other.report, **unlike)


def write(path: Path, text: str) -> Path:
    pack = {".gz": gzip.compress, ".bz2": bz2.compress}.get(path.suffix, bytes)
    path.write_bytes(pack(text.encode()))
    return path


@pytest.mark.parametrize("name", ["a.txt", "a.gz", "a.bz2"])
def test_lines_are_lists_of_words_again_and_again(name, tmp_path):
    sentences = LineSentence(write(tmp_path / name, TEXT))
    assert list(sentences) == list(sentences) == SENTENCES
    assert list(LineSentence(str(sentences.source))) == SENTENCES


@pytest.mark.parametrize("opened", [io.BytesIO(TEXT.encode()), io.StringIO(TEXT, newline="")])
def test_open_files_are_read_from_their_beginning(opened):
    opened.read(7)
    sentences = LineSentence(opened)
    assert list(sentences) == list(sentences) == SENTENCES
    same(ingest_sentences(sentences, EACH_WORD), ingest_sentences(SENTENCES, EACH_WORD))


def test_an_open_file_that_cannot_go_back_is_read_once():
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    sentences = LineSentence(Pipe(b"a b\nc"))
    assert list(sentences) == [["a", "b"], ["c"]]
    assert list(sentences) == []


@pytest.mark.parametrize(("limit", "expected"), [(0, 0), (1, 1), (2, 1), (3, 2), (4, 3), (9, 3)])
def test_a_limit_counts_lines_empty_ones_too(limit, expected, tmp_path):
    sentences = LineSentence(write(tmp_path / "a.gz", TEXT), limit=limit)
    assert list(sentences) == SENTENCES[:expected]
    if expected:
        same(ingest_sentences(sentences, EACH_WORD), ingest_sentences(list(sentences), EACH_WORD))


def test_lines_stay_whole_unless_a_length_is_given(tmp_path):
    long = [str(number) for number in range(25_000)]
    path = write(tmp_path / "a.txt", " ".join(long) + "\nlast one\n")
    assert list(LineSentence(path)) == [long, ["last", "one"]]
    cut = LineSentence(path, max_sentence_length=10_000)
    assert list(cut) == [long[:10_000], long[10_000:20_000], long[20_000:], ["last", "one"]]
    same(ingest_sentences(cut, EACH_WORD), ingest_sentences(list(cut), EACH_WORD))


def test_a_folders_files_come_by_name_and_its_folders_not_at_all(tmp_path):
    write(tmp_path / "b.txt", "second\nfile")
    write(tmp_path / "a.gz", "first\nfile")
    write(tmp_path / ".hidden", "never")
    (tmp_path / "deeper").mkdir()
    write(tmp_path / "deeper" / "c.txt", "never")
    sentences = PathLineSentences(tmp_path)
    assert list(sentences) == [["first"], ["file"], ["second"], ["file"]]
    assert sentences.input_files == [str(tmp_path / "a.gz"), str(tmp_path / "b.txt")]
    assert list(PathLineSentences(str(tmp_path), limit=1)) == [["first"], ["second"]]
    assert list(PathLineSentences(tmp_path / "a.gz", max_sentence_length=1)) == [["first"], ["file"]]
    same(ingest_sentences(sentences, EACH_WORD), ingest_sentences(list(sentences), EACH_WORD))


@given(
    st.lists(st.sampled_from(["a", "é", "\ufeff", "\u2003", " ", "\t", "\v", "\f", "\r", "\0", "\x1c", "\x85", "\n"]))
)
def test_the_engine_finds_the_same_words(pieces):
    text = "x " + "".join(pieces)
    for whole in (text, "\ufeff" + text):
        sentences = LineSentence(io.BytesIO(whole.encode()))
        same(ingest_sentences(sentences, EACH_WORD), ingest_sentences(list(sentences), EACH_WORD))


def test_words_are_those_between_white_space_whatever_the_tokenizer(tmp_path):
    sentences = LineSentence(write(tmp_path / "a.txt", "Don't-stop 3.5\n"))
    config = CorpusConfig(min_count=1, tokenizer="words", lowercase=True)
    assert ingest_sentences(sentences, config).vocabulary.words == ["don't-stop", "3.5"]
    same(ingest_sentences(sentences, config), ingest_sentences(list(sentences), config))


def test_files_are_not_made_into_lists_to_be_read(tmp_path, monkeypatch):
    path = write(tmp_path / "a.txt", TEXT)
    expected = ingest_sentences(SENTENCES, EACH_WORD)
    monkeypatch.setattr("pyembed.corpus.line_sentences._sentences", None)
    same(ingest_sentences(LineSentence(path), EACH_WORD), expected)
    same(ingest_sentences(PathLineSentences(tmp_path), EACH_WORD), expected)


def test_a_subclass_says_what_its_sentences_are(tmp_path):
    class Reversed(LineSentence):
        def __iter__(self):
            return (words[::-1] for words in super().__iter__())

    corpus = ingest_sentences(Reversed(write(tmp_path / "a.txt", "b a")), EACH_WORD)
    assert corpus.vocabulary.words == ["a", "b"]


@pytest.mark.parametrize("cut", [None, 5])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_bad_bytes_are_named_by_file_line_and_place(cut, start, tmp_path):
    (tmp_path / "bad.txt").write_bytes(start + b"fine\nso \xe2\x82 far")
    expected = rf"bad\.txt, line 2, byte {len(start) + 8}: invalid UTF-8 \(0xe2\)"
    sentences = PathLineSentences(tmp_path, max_sentence_length=cut)
    with pytest.raises(CorpusError, match=expected):
        list(sentences)
    with pytest.raises(CorpusError, match=expected):
        ingest_sentences(sentences, EACH_WORD)


def test_what_to_do_about_bad_bytes_is_what_helps(tmp_path):
    (tmp_path / "bad.txt").write_bytes(b"so \xe2\x82 far")
    replacing = CorpusConfig(min_count=1, encoding_errors="replace")
    with pytest.raises(CorpusError, match=r"convert the file to UTF-8 or leave its lines whole for Word2Vec"):
        ingest_sentences(LineSentence(tmp_path / "bad.txt", max_sentence_length=2), replacing)
    corpus = ingest_sentences(LineSentence(tmp_path / "bad.txt"), replacing)
    assert corpus.vocabulary.words == ["so", "\ufffd", "far"]


def test_damaged_files_missing_files_and_bad_arguments_are_told(tmp_path):
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"some text here")[:-9])
    with pytest.raises(CorpusError, match=r"a\.gz"):
        list(LineSentence(tmp_path / "a.gz"))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        list(LineSentence(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        PathLineSentences(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="empty"):
        PathLineSentences(tmp_path / "empty")
    with pytest.raises(ValueError, match=r"max_sentence_length: .* found 0"):
        LineSentence("a", max_sentence_length=0)
    with pytest.raises(ValueError, match=r"limit: .* found -1"):
        LineSentence("a", limit=-1)


def test_text_is_read_as_gensim_reads_it(tmp_path):
    gensim = pytest.importorskip("gensim.models.word2vec", reason="gensim is not installed")
    write(tmp_path / "a.gz", "one two  three\n\nfour\n")
    write(tmp_path / "b.txt", "five six seven\n")
    for options in ({}, {"limit": 1}, {"max_sentence_length": 2}, {"max_sentence_length": 2, "limit": 2}):
        theirs = gensim.PathLineSentences(str(tmp_path), **options)
        assert list(PathLineSentences(str(tmp_path), **options)) == list(theirs)
        theirs = gensim.LineSentence(str(tmp_path / "a.gz"), **options)
        assert list(LineSentence(str(tmp_path / "a.gz"), **options)) == list(theirs)
