"""Vocabulary: the words that are trained, their counts, and the text file that holds both."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pyembed.corpus.errors import CorpusError
from pyembed.files import whole_file


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """V distinct words and their counts; a word's id is its index.

    Built from a corpus the order is by count, descending, then by first appearance.
    """

    words: list[str]
    """[V]."""
    counts: NDArray[np.int64]
    """[V], occurrences of each word in the corpus, >= 0."""

    def __post_init__(self) -> None:
        if len(self.words) != len(self.counts):
            raise ValueError(
                f"expected one count for each word, found {len(self.words)} words, {len(self.counts)} counts"
            )

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self.word_to_id

    def __iter__(self) -> Iterator[str]:
        return iter(self.words)

    @cached_property
    def word_to_id(self) -> dict[str, int]:
        ids = {word: id_ for id_, word in enumerate(self.words)}
        if len(ids) != len(self.words):
            twice = next(word for id_, word in enumerate(self.words) if ids[word] != id_)
            raise ValueError(f"expected distinct words, found {twice!r} twice")
        return ids

    @cached_property
    def total(self) -> int:
        """Occurrences of all words together: the corpus's tokens that are in the vocabulary."""
        return int(self.counts.sum())

    @classmethod
    def from_counts(cls, words: Sequence[str], counts: Sequence[int] | NDArray[np.int64]) -> Vocabulary:
        return cls(list(words), np.asarray(counts, dtype=np.int64))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes one `word count` a line, UTF-8, as word2vec.c's -save-vocab.

        Raises:
            CorpusError: a word is empty or holds a newline, so that it could not be read back.
            OSError: the file cannot be written; nothing is left behind.
        """
        for id_, word in enumerate(self.words):
            if not word or "\n" in word:
                raise CorpusError(
                    f"{os.fspath(path)}: word {id_} is {word!r}, but in this format no word is empty or holds a newline"
                )
        with whole_file(path) as file:
            for word, count in zip(self.words, self.counts.tolist(), strict=True):
                file.write(f"{word} {count}\n".encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Vocabulary:
        """Reads what `save`, word2vec.c or GloVe wrote, in the file's order.

        Raises:
            CorpusError: a line that is not `word count`, a word that stands twice, no word at all, invalid UTF-8.
            OSError: the file cannot be read.
        """
        name = os.fspath(path)
        words: dict[str, int] = {}
        with Path(path).open("rb") as file:
            for number, line in enumerate(file, start=1):
                word, separator, count = line.rstrip(b"\r\n").rpartition(b" ")
                if not separator or not word or not count.isdigit():
                    raise CorpusError(f"{name}, line {number}: expected `word count`, found {line[:80]!r}")
                try:
                    text = word.decode()
                except UnicodeDecodeError as error:
                    raise CorpusError(f"{name}, line {number}, byte {error.start}: invalid UTF-8") from None
                if text in words:
                    raise CorpusError(f"{name}, line {number}: the word {text!r} stands in the file twice")
                words[text] = int(count)
                if words[text] >= 2**63:
                    raise CorpusError(f"{name}, line {number}: the count {words[text]} is too large, expected < 2^63")
        if not words:
            raise CorpusError(f"{name}: expected a vocabulary, one `word count` a line, found no line")
        return cls.from_counts(list(words), list(words.values()))
