"""Words, the rows they stand for, and how to get at their vectors."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np

from pyembed.vectors.arrays import Float32Array, Int64Array
from pyembed.vectors.rows import Rows

Key = str | int | np.integer
"""A word, or the number of a row."""

_WORDS_TO_SUGGEST_FROM = 50_000


class UnknownWordError(KeyError):
    """A word, or the number of a row, without a vector. The message suggests words of similar spelling."""

    def __init__(self, word: Key, words: Sequence[str]) -> None:
        super().__init__(word)
        self.word = word
        self._words = words

    def suggestions(self) -> list[str]:
        """Up to three words of similar spelling among the most frequent, the closest first."""
        if not isinstance(self.word, str):
            return []
        asked = self.word.casefold()
        frequent = list(islice(self._words, _WORDS_TO_SUGGEST_FROM))
        other_case = [word for word in frequent if word.casefold() == asked]
        return other_case[:3] or difflib.get_close_matches(self.word, frequent, cutoff=0.7)

    def __str__(self) -> str:
        if not isinstance(self.word, str):
            return f"no vector in row {self.word!r}; there are {len(self._words)} rows, from 0"
        # Searched only when somebody reads the message: a lookup that is expected to fail stays quick.
        found = self.suggestions()
        return f"no vector for {self.word!r}" + (f"; similar words: {', '.join(found)}" if found else "")


def require_strings(words: Iterable[object]) -> None:
    """Raises TypeError where a word is none: as a key, a number could be a word or a row."""
    for word in words:
        if not isinstance(word, str):
            raise TypeError(f"expected words, as strings, found {word!r}; a whole number is the number of a row")


class Lookup(ABC):
    """Words and their vectors, for reading.

    Attributes:
        index_to_key: the words, [V]; most frequent first where they come from training.
        key_to_index: the row of each word.
    """

    index_to_key: list[str]
    key_to_index: dict[str, int]

    @abstractmethod
    def _rows(self) -> Rows:
        """The vectors, as searches read them."""

    @property
    def vector_size(self) -> int:
        """D."""
        return self._rows().shape[1]

    def __len__(self) -> int:
        return len(self.index_to_key)

    def __contains__(self, key: object) -> bool:
        """Whether there is such a word, or a row of that number."""
        return self._find(key) >= 0

    def has_index_for(self, key: Key) -> bool:
        """The same as `key in vectors`."""
        return key in self

    def __getitem__(self, key: Key | Iterable[Key]) -> Float32Array:
        """The vector of a word, as `get_vector`; or those of several, float32[n, D], a copy.

        Raises:
            UnknownWordError: a KeyError.
        """
        if isinstance(key, (str, int, np.integer)):
            return self.get_vector(key)
        return self._rows().gather(self._indices(key))[0]

    def get_index(self, key: Key, default: int | None = None) -> int:
        """The row of a word; a whole number is the row itself.

        Raises:
            UnknownWordError: a KeyError, unless there is a default.
        """
        index = self._find(key)
        if index >= 0:
            return index
        if default is None:
            raise UnknownWordError(key, self.index_to_key)
        return default

    def get_vector(self, key: Key, norm: bool = False) -> Float32Array:
        """The vector of a word, float32[D], for reading; with `norm` at length 1, zeros staying zeros.

        Raises:
            UnknownWordError: a KeyError.
        """
        rows, norms = self._rows().gather(np.array([self.get_index(key)]))
        vector: Float32Array = rows[0] / norms[0] if norm else rows[0]
        return vector

    def _find(self, key: object) -> int:
        """The row, or -1."""
        try:
            return self.key_to_index[key]  # type: ignore[index]
        except KeyError:
            if isinstance(key, (int, np.integer)) and 0 <= key < len(self.index_to_key):
                return int(key)
            return -1

    def _indices(self, keys: Iterable[Key]) -> Int64Array:
        """The rows of words, int64[n]."""
        return np.array([self.get_index(key) for key in keys], dtype=np.int64)

    def _units(self, keys: Iterable[Key]) -> Float32Array:
        """The vectors of words at length 1, zeros staying zeros, [n, D]."""
        rows, norms = self._rows().gather(self._indices(keys))
        return rows / norms[:, None]
