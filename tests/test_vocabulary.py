"""Promises of the vocabulary alone: look-up and the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyembed.corpus import CorpusError, Vocabulary

WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), min_size=1, max_size=8)


@settings(deadline=None)
@given(st.dictionaries(WORDS, st.integers(0, 2**62), min_size=1, max_size=20))
def test_what_is_saved_is_loaded(tmp_path_factory: pytest.TempPathFactory, counts: dict[str, int]) -> None:
    path = tmp_path_factory.mktemp("vocabulary") / "words.txt"
    Vocabulary.from_counts(list(counts), list(counts.values())).save(path)
    loaded = Vocabulary.load(path)
    assert loaded.words == list(counts)
    assert loaded.counts.dtype == np.int64
    assert loaded.counts.tolist() == list(counts.values())


def test_words_are_found_by_id_and_ids_by_word() -> None:
    vocabulary = Vocabulary.from_counts(["the", "of", "könig"], [5, 3, 1])
    assert vocabulary.word_to_id == {"the": 0, "of": 1, "könig": 2}
    assert "of" in vocabulary
    assert "off" not in vocabulary
    assert len(vocabulary) == 3
    assert vocabulary.total == 9


def test_the_file_is_one_word_and_count_a_line(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    Vocabulary.from_counts(["the", "new york", "ä"], [5, 3, 1]).save(path)
    assert path.read_bytes() == "the 5\nnew york 3\nä 1\n".encode()


def test_windows_line_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(b"a 2\r\nb 1\r\n")
    assert Vocabulary.load(path).word_to_id == {"a": 0, "b": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "found no line"),
        (b"a 1\nb\n", "line 2: expected `word count`"),
        (b"a 1\n\nb 2\n", "line 2: expected `word count`"),
        (b"a -1\n", "line 1: expected `word count`"),
        (b"a 1.5\n", "line 1: expected `word count`"),
        (b"a 99999999999999999999\n", "line 1: .*too large"),
        (b" 3\n", "line 1: expected `word count`"),
        (b"a 1\nb 2\na 3\n", "line 3: the word 'a' stands in the file twice"),
        (b"a 1\nb\xff 2\n", "line 2, byte 1: invalid UTF-8"),
    ],
)
def test_lines_that_are_wrong_are_named(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    with pytest.raises(CorpusError, match=rf"words\.txt.*{message}"):
        Vocabulary.load(path)


@pytest.mark.parametrize("word", ["", "two\nlines"])
def test_words_that_could_not_be_read_back_are_refused_and_leave_no_file(word: str, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="word 1"):
        Vocabulary.from_counts(["fine", word], [2, 1]).save(tmp_path / "words.txt")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(b"old 1\n")
    with pytest.raises(UnicodeEncodeError):
        Vocabulary.from_counts(["fine", "\ud800"], [2, 1]).save(path)
    assert [file.name for file in tmp_path.iterdir()] == ["words.txt"]
    assert path.read_bytes() == b"old 1\n"


def test_words_and_counts_must_match() -> None:
    with pytest.raises(ValueError, match="2 words, 1 counts"):
        Vocabulary.from_counts(["a", "b"], [1])
    with pytest.raises(ValueError, match="found 'a' twice"):
        _ = Vocabulary.from_counts(["a", "b", "a"], [3, 2, 1]).word_to_id
