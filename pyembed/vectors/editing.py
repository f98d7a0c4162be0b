"""Vectors that can be changed: words added, vectors replaced, values kept beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pyembed.vectors.arrays import Float32Array, Int64Array
from pyembed.vectors.attributes import (
    Column,
    as_column,
    default_of,
    dtype_of,
    grown,
    new_column,
    require_fitting,
)
from pyembed.vectors.evaluated import Evaluable
from pyembed.vectors.lookup import Key, require_strings
from pyembed.vectors.rows import FloatRows, divisors_of, norms_of


class Editable(Evaluable):
    """Words with float32 vectors and any further values, all of which can be changed.

    Attributes:
        expandos: further values by name, one a word: arrays [V]. Counts are one of them, under "count".
        metadata: strings by name, kept by formats that can hold them.
    """

    _table: FloatRows
    expandos: dict[str, Column]
    metadata: dict[str, str]

    def __init__(
        self,
        words: Sequence[str],
        vectors: npt.ArrayLike,
        counts: npt.ArrayLike | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """As `KeyedVectors`."""
        array: Float32Array = np.ascontiguousarray(vectors, dtype=np.float32)
        self.index_to_key = list(words)
        require_strings(self.index_to_key)
        self.metadata = dict(metadata or {})
        self.expandos = {}
        if array.ndim != 2 or len(array) != len(self.index_to_key) or array.shape[1] == 0:
            found = f"found {list(array.shape)}"
            raise ValueError(f"vectors: expected shape [{len(self.index_to_key)}, D], one row a word, {found}")
        self._table = FloatRows(array)
        self.counts = counts
        self.key_to_index = {word: row for row, word in enumerate(self.index_to_key)}
        if len(self.key_to_index) != len(self.index_to_key):
            twice = next(word for row, word in enumerate(self.index_to_key) if self.key_to_index[word] != row)
            raise ValueError(f"words: expected distinct words, found {twice!r} more than once")

    def _rows(self) -> FloatRows:
        return self._table

    @property
    def vectors(self) -> Float32Array:
        """float32[V, D], to read and to change. Once it was asked for, each search takes the rows' lengths anew."""
        return self._table.lend()

    @vectors.setter
    def vectors(self, vectors: npt.ArrayLike) -> None:
        array: Float32Array = np.ascontiguousarray(vectors, dtype=np.float32)
        if array.ndim != 2 or len(array) != len(self) or array.shape[1] == 0:
            raise ValueError(f"vectors: expected shape [{len(self)}, D], one row a word, found {list(array.shape)}")
        self._table = FloatRows(array)

    @property
    def counts(self) -> Int64Array | None:
        """int64[V], occurrences in the corpus, or None where they are not known."""
        return self.expandos.get("count")

    @counts.setter
    def counts(self, counts: npt.ArrayLike | None) -> None:
        if counts is None:
            self.expandos.pop("count", None)
            return
        array = np.ascontiguousarray(counts, dtype=np.int64)
        if array.shape != (len(self),):
            raise ValueError(f"counts: expected shape [{len(self)}], one a word, found {list(array.shape)}")
        self.expandos["count"] = array

    @property
    def norms(self) -> Float32Array:
        """Euclidean lengths, float32[V], taken anew."""
        return norms_of(self._table.block(0, len(self))[0])

    def fill_norms(self, force: bool = False) -> None:
        """Nothing is left to do: lengths are taken when they are needed and cannot be stale."""

    def get_normed_vectors(self) -> Float32Array:
        """All vectors at length 1, zeros staying zeros: float32[V, D], a copy."""
        rows, norms = self._table.block(0, len(self))
        return rows / norms[:, None]

    def get_vector(self, key: Key, norm: bool = False) -> Float32Array:
        """The vector of a word, float32[D], a read-only view; with `norm` a copy at length 1, zeros staying zeros.

        Raises:
            UnknownWordError: a KeyError.
        """
        row = self._table.view(self.get_index(key))
        return row / divisors_of(row)[0] if norm else row

    def __setitem__(self, keys: str | Sequence[str], weights: npt.ArrayLike) -> None:
        """Adds or replaces the vector of a word, or of several."""
        self.add_vectors(keys, weights, replace=True)

    def add_vector(self, key: str, vector: npt.ArrayLike) -> int:
        """Adds a word with its vector; a word that is there keeps its own. Returns its row.

        Cheap to repeat: room is made for many at a time.
        """
        self.add_vectors(key, vector)
        return self.key_to_index[key]

    def add_vectors(
        self,
        keys: str | Sequence[str],
        weights: npt.ArrayLike,
        extras: Mapping[str, npt.ArrayLike] | None = None,
        replace: bool = False,
    ) -> None:
        """Adds words with their vectors.

        Args:
            keys: a word, or several; of one that is given twice, the first row counts, with `replace` the last.
            weights: a vector [D], or a row for each word, [n, D].
            extras: further values by name, one for each word given; words without any have 0, or 1 for a lock factor.
            replace: give words that are there already these vectors and values; otherwise they keep their own.

        Raises:
            ValueError: shapes that do not fit together.
            TypeError: a key that is no string (a whole number is the number of a row), or values of another kind than
                those there are. Nothing has changed then.
        """
        words = [keys] if isinstance(keys, str) else list(keys)
        rows: Float32Array = np.asarray(weights, dtype=np.float32)
        rows = rows.reshape(1, -1) if isinstance(keys, str) else rows
        if rows.shape != (len(words), self.vector_size) and (words or rows.size):
            raise ValueError(f"expected vectors of shape [{len(words)}, {self.vector_size}], found {list(rows.shape)}")
        columns = {name: as_column(values, len(words), name) for name, values in (extras or {}).items()}
        for name, column in columns.items():
            require_fitting(self.expandos.get(name, new_column(name, column.dtype, 0)), column, name)
        require_strings(words)

        source: dict[str, int] = {}
        for place, word in enumerate(words):
            if replace or word not in source:
                source[word] = place
        new = [word for word in source if word not in self.key_to_index]
        old = [word for word in source if word in self.key_to_index] if replace else []
        first = len(self)
        for word in new:
            self.key_to_index[word] = len(self.index_to_key)
            self.index_to_key.append(word)
        places = np.array([source[word] for word in old + new], dtype=np.int64)
        targets = np.array([self.key_to_index[word] for word in old] + list(range(first, len(self))), dtype=np.int64)
        self._table.append(rows[places[len(old) :]])
        if old:
            self._table.assign(targets[: len(old)], rows[places[: len(old)]])
        for name, column in columns.items():
            self.expandos.setdefault(name, new_column(name, column.dtype, first))
        if new:
            self.expandos = {name: grown(column, len(self), default_of(name)) for name, column in self.expandos.items()}
        for name, column in columns.items():
            self.expandos[name][targets] = column[places]

    def get_vecattr(self, key: Key, attr: str) -> Any:
        """A further value of a word.

        Raises:
            KeyError: no such word, or no values of that name.
        """
        if attr not in self.expandos:
            raise KeyError(f"expected one of the attributes {sorted(self.expandos)}, found {attr!r}")
        return self.expandos[attr][self.get_index(key)]

    def set_vecattr(self, key: Key, attr: str, val: object) -> None:
        """Keeps a further value of a word. The first one says of what type all of that name are; other words have zero.

        Counts are int64 whatever the first one is.

        Raises:
            UnknownWordError: a KeyError.
            TypeError: a value of another kind, as 0.5 among whole numbers.
        """
        row = self.get_index(key)
        column = self.expandos[attr] if attr in self.expandos else new_column(attr, dtype_of(val), len(self))
        require_fitting(column, val, attr)
        column[row] = val
        self.expandos[attr] = column

    def unit_normalize_all(self) -> None:
        """Makes every vector one of length 1, in place; zeros stay zeros."""
        self._table.normalize()

    def sort_by_descending_frequency(self) -> None:
        """Puts the words with the highest counts first; of equal ones, as gensim does, the one that was later.

        Raises:
            KeyError: counts are not known.
        """
        if self.counts is None:
            raise KeyError("expected counts to sort by, found none")
        order = np.lexsort((-np.arange(len(self)), -self.counts))
        self._table = FloatRows(self._table.gather(order)[0])
        self._table.keep_private()
        self.index_to_key = [self.index_to_key[row] for row in order.tolist()]
        self.key_to_index = {word: row for row, word in enumerate(self.index_to_key)}
        self.expandos = {name: column[order] for name, column in self.expandos.items()}

    def _selection(self, keys: Iterable[Key]) -> Int64Array:
        """The rows of those keys that are there, each once, in their order."""
        rows = dict.fromkeys(self._find(key) for key in keys)
        return np.array([row for row in rows if row >= 0], dtype=np.int64)
