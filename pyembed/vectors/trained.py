"""Vectors of a model: KeyedVectors whose rows training holds too, and changes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pyembed.vectors.arrays import Float32Array, Int64Array
from pyembed.vectors.attributes import default_of, grown
from pyembed.vectors.keyed_vectors import KeyedVectors
from pyembed.vectors.rows import FloatRows, LateRows


class TrainedVectors(KeyedVectors):
    """KeyedVectors that stay the same object while words are added and vectors trained."""

    _lock_of_all: Float32Array

    def show(self, words: Sequence[str], counts: Int64Array, rows: Float32Array | LateRows) -> None:
        """Other rows, and where they are not those that were there, other words.

        Where the words only grow in number, further values stay, with the default of each for the new ones.

        Args:
            words: [V], distinct.
            counts: [V].
            rows: [V, D], the elements of a row side by side. The array itself is kept; who changes it, or what late
                rows are made of, in another way than through this object calls `rows_changed`.
        """
        old = len(self)
        if old and self.index_to_key == list(words[:old]):
            self.expandos = {
                name: grown(column, len(words), default_of(name)) for name, column in self.expandos.items()
            }
        else:
            self.expandos = {}
        self.index_to_key = list(words)
        self.key_to_index = {word: row for row, word in enumerate(self.index_to_key)}
        self._table = rows if isinstance(rows, LateRows) else FloatRows(rows)
        self._table.keep_private()
        self.counts = counts.copy()  # the vocabulary's stay what they are, whatever is set here

    @property
    def has_rows(self) -> bool:
        """Whether there is an array: late rows are none until somebody asks for them."""
        return not isinstance(self._table, LateRows) or self._table.made

    def rows(self) -> Float32Array:
        """The array itself, [V, D], to read, and to change with a call of `rows_changed`."""
        return self._table.peek()

    def rows_changed(self) -> None:
        """Tells that rows are others now, so that nothing that was kept about them is used again."""
        self._table.forget()

    @property
    def vectors_lockf(self) -> Float32Array:
        """How much of a change training lets through: float32[V], or [1] for all words; 0 keeps a vector as it is."""
        if "lockf" in self.expandos:
            return self.expandos["lockf"]
        if "_lock_of_all" not in vars(self):
            self._lock_of_all = np.ones(1, dtype=np.float32)
        return self._lock_of_all

    @vectors_lockf.setter
    def vectors_lockf(self, factors: npt.ArrayLike) -> None:
        array = np.array(factors, dtype=np.float32)
        if array.shape == (len(self),):
            self.expandos["lockf"] = array
        elif array.shape == (1,):
            self.expandos.pop("lockf", None)
            self._lock_of_all = array
        else:
            raise ValueError(f"vectors_lockf: expected shape [{len(self)}] or [1], found {list(array.shape)}")
