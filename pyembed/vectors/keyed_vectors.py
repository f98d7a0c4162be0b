"""KeyedVectors: words and their vectors, to look up, compare, search, save and load. Knows nothing of training."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt

from pyembed.vectors import formats
from pyembed.vectors.arrays import Float32Array, Int64Array
from pyembed.vectors.nearest import nearest, unit_rows

_WORDS_TO_SUGGEST_FROM = 50_000


class UnknownWordError(KeyError):
    """A word without a vector. The message suggests words of similar spelling."""

    def __init__(self, word: str, words: Sequence[str]) -> None:
        super().__init__(word)
        self.word = word
        self._words = words

    def suggestions(self) -> list[str]:
        """Up to three words of similar spelling among the most frequent, the closest first."""
        frequent = list(islice(self._words, _WORDS_TO_SUGGEST_FROM))
        other_case = [word for word in frequent if word.casefold() == self.word.casefold()]
        return other_case[:3] or difflib.get_close_matches(self.word, frequent, cutoff=0.7)

    def __str__(self) -> str:
        # Searched only when somebody reads the message: a lookup that is expected to fail stays quick.
        found = self.suggestions()
        return f"no vector for {self.word!r}" + (f"; similar words: {', '.join(found)}" if found else "")


class KeyedVectors:
    """Words and their vectors.

    Attributes:
        index_to_key: the words, [V]; most frequent first where they come from training.
        key_to_index: the row of each word.
        vectors: float32[V, D].
        counts: int64[V], occurrences in the corpus, or None where they are not known.
        metadata: strings by name, kept by formats that can hold them.
    """

    def __init__(
        self,
        words: Sequence[str],
        vectors: npt.ArrayLike,
        counts: npt.ArrayLike | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Args as the attributes. float32 arrays in C order are kept as they are, others are converted.

        Raises:
            ValueError: the shapes do not fit together, or a word occurs twice.
        """
        self.index_to_key: list[str] = list(words)
        self.vectors: Float32Array = np.ascontiguousarray(vectors, dtype=np.float32)
        self.counts: Int64Array | None = None if counts is None else np.ascontiguousarray(counts, dtype=np.int64)
        self.metadata: dict[str, str] = dict(metadata or {})
        shape = self.vectors.shape
        if len(shape) != 2 or shape[0] != len(self.index_to_key) or shape[1] == 0:
            raise ValueError(f"vectors: expected shape [{len(self)}, D], one row a word, found {list(shape)}")
        if self.counts is not None and self.counts.shape != shape[:1]:
            raise ValueError(f"counts: expected shape [{shape[0]}], one a word, found {list(self.counts.shape)}")
        self.key_to_index: dict[str, int] = {word: row for row, word in enumerate(self.index_to_key)}
        if len(self.key_to_index) != len(self.index_to_key):
            twice = next(word for row, word in enumerate(self.index_to_key) if self.key_to_index[word] != row)
            raise ValueError(f"words: expected distinct words, found {twice!r} more than once")

    def __repr__(self) -> str:
        return f"KeyedVectors({len(self):,} words, {self.vector_size} dimensions)"

    @property
    def vector_size(self) -> int:
        """D."""
        return int(self.vectors.shape[1])

    def __len__(self) -> int:
        return len(self.index_to_key)

    def __contains__(self, word: object) -> bool:
        return word in self.key_to_index

    def __getitem__(self, key: str | Sequence[str]) -> Float32Array:
        """The vector of a word, float32[D], a view; or of several, float32[n, D], a copy.

        Raises:
            UnknownWordError: a KeyError.
        """
        if isinstance(key, str):
            row: Float32Array = self.vectors[self.get_index(key)]
            return row
        rows = np.array([self.get_index(word) for word in key], dtype=np.int64)
        return self.vectors[rows]

    def get_index(self, word: str) -> int:
        """The row of a word.

        Raises:
            UnknownWordError: a KeyError.
        """
        try:
            return self.key_to_index[word]
        except KeyError:
            raise UnknownWordError(word, self.index_to_key) from None

    def similarity(self, word1: str, word2: str) -> float:
        """The cosine of two words, -1 to 1; 0 where a vector is all zeros.

        Raises:
            UnknownWordError: a KeyError.
        """
        first, second = unit_rows(self[[word1, word2]])
        return float(first @ second)

    def most_similar(
        self,
        positive: str | Float32Array | Sequence[str | Float32Array] = (),
        negative: str | Float32Array | Sequence[str | Float32Array] = (),
        topn: int = 10,
        restrict_vocab: int | None = None,
    ) -> list[tuple[str, float]]:
        """Words nearest to the mean of the positive minus the negative ones, each taken at length 1 (3CosAdd).

        Args:
            positive: a word, a vector float32[D], or several of either.
            negative: likewise.
            topn: words wanted, >= 1.
            restrict_vocab: search only so many of the first, most frequent, words.

        Returns:
            Words and cosines, best first, without the words of the query. Fewer than `topn` where there are no more.

        Raises:
            UnknownWordError: a KeyError.
            ValueError: no word at all, a vector of another size, or topn or restrict_vocab below 1.
        """
        if topn < 1 or (restrict_vocab is not None and restrict_vocab < 1):
            raise ValueError(f"expected topn and restrict_vocab >= 1, found {topn} and {restrict_vocab}")
        added, subtracted = _as_list(positive), _as_list(negative)
        asked = added + subtracted
        if not len(self):
            return []
        if not asked:
            raise ValueError("positive, negative: expected at least one word or vector, found none")
        sides = unit_rows(np.stack([self._as_vector(item) for item in asked]))
        weights = np.array([1.0] * len(added) + [-1.0] * len(subtracted), dtype=np.float32)
        query = unit_rows((weights @ sides)[None, :])
        excluded = [self.key_to_index[item] for item in asked if isinstance(item, str)]
        rows, cosines = nearest(self.vectors[:restrict_vocab], query, topn + len(excluded), [excluded])
        found = zip(rows[0].tolist(), cosines[0].tolist(), strict=True)
        return [(self.index_to_key[row], cosine) for row, cosine in found if cosine != -np.inf][:topn]

    def analogy(
        self, a: str, b: str, c: str, topn: int = 10, restrict_vocab: int | None = None
    ) -> list[tuple[str, float]]:
        """Answers to "a is to b as c is to ?": `most_similar` with b and c positive, a negative."""
        return self.most_similar(positive=[b, c], negative=[a], topn=topn, restrict_vocab=restrict_vocab)

    def _as_vector(self, item: str | Float32Array) -> Float32Array:
        if isinstance(item, str):
            return self[item]
        vector = np.asarray(item, dtype=np.float32)
        if vector.shape != (self.vector_size,):
            raise ValueError(f"expected a vector of shape [{self.vector_size}], found {list(vector.shape)}")
        return vector

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes `.bin` (word2vec binary), `.txt` or `.vec` (word2vec text) or `.safetensors`, whole or not at all.

        Only `.safetensors` keeps counts and metadata.

        Raises:
            pyembed.vectors.VectorFileError: the suffix is unknown, or the format cannot hold a word.
            OSError: the file cannot be written.
        """
        table = formats.VectorTable(
            words=self.index_to_key, vectors=self.vectors, counts=self.counts, metadata=self.metadata
        )
        formats.write(table, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> KeyedVectors:
        """Reads a file of one of the formats of `save`, by its suffix.

        Raises:
            pyembed.vectors.VectorFileError: the suffix is unknown, or the file damaged.
            OSError: the file cannot be read.
        """
        table = formats.read(path)
        return cls(table.words, table.vectors, table.counts, table.metadata)


def _as_list(items: str | Float32Array | Sequence[str | Float32Array]) -> list[str | Float32Array]:
    if isinstance(items, str) or (isinstance(items, np.ndarray) and items.ndim == 1):
        return [items]
    return list(items)
