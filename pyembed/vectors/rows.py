"""Matrices of vectors, [V, D], read a block at a time: float32 rows with their lengths, whatever they are kept as."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from pyembed.vectors.arrays import Float32Array, Int8Array, Int64Array

_ZERO = np.float32(1e-30)
"""Rows of nothing greater become zeros in 8 bits: their scale would leave the range of float32."""
SHORTEST = 1e-15
"""The squares of shorter vectors, as of very long ones, leave the range of float32: they are taken in float64."""


class Rows(Protocol):
    """What searches read. Lengths are Euclidean, and 1 for rows of zeros, so that one can divide by them."""

    @property
    def shape(self) -> tuple[int, int]:
        """V and D."""

    def values(self) -> Float32Array | Int8Array:
        """All rows, [V, D], elements side by side, for their directions only: each may have a unit of its own."""

    def stamp(self) -> object:
        """What is equal while the rows are; None where somebody may change them unseen."""

    def block(self, start: int, stop: int) -> tuple[Float32Array, Float32Array]:
        """Rows start to stop, [n, D], and their lengths, [n]."""

    def gather(self, index: Int64Array) -> tuple[Float32Array, Float32Array]:
        """The rows of an index of any shape, [..., D], and their lengths, [...]."""


def norms_of(vectors: Float32Array) -> Float32Array:
    """Euclidean lengths of vectors [..., D]."""
    norms: Float32Array = np.asarray(np.sqrt(np.einsum("...j,...j->...", vectors, vectors)))
    doubtful = ~((norms > SHORTEST) & (norms < np.inf))
    if doubtful.any():
        wide = vectors[doubtful].astype(np.float64)
        with np.errstate(over="ignore"):
            norms[doubtful] = np.sqrt(np.einsum("...j,...j->...", wide, wide))
    return norms


def divisors_of(vectors: Float32Array) -> Float32Array:
    """Euclidean lengths of vectors [..., D], 1 for those of zeros."""
    norms = np.atleast_1d(norms_of(vectors))
    norms[norms == 0] = 1
    return norms


def unit_rows(vectors: Float32Array) -> Float32Array:
    """The rows, float32[n, D], each at length 1; rows of zeros stay zeros."""
    return vectors / divisors_of(vectors)[:, None]


class FloatRows:
    """float32 rows. What searches keep of them holds only while nobody else can hold, and so change, the array."""

    def __init__(self, vectors: Float32Array) -> None:
        """The array itself is kept, not a copy; see `keep_private`."""
        self._vectors = vectors
        self._reserve = vectors
        """What `_vectors` is the beginning of; longer where rows were appended."""
        self._private = False
        self._stamp = object()

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles: one array. Of two, the one would no longer be the beginning of the other."""
        return {**self.__dict__, "_reserve": self._vectors}

    @property
    def shape(self) -> tuple[int, int]:
        return self._vectors.shape[0], self._vectors.shape[1]

    def lend(self) -> Float32Array:
        """The array itself, to read and to change. From here on nothing is kept of it between searches."""
        self._private = False
        return self._vectors

    def keep_private(self) -> None:
        """Promises that nobody who holds the array, or what it is a view of, changes it without a call of `forget`."""
        self._private = True

    def peek(self) -> Float32Array:
        """The array itself, for who keeps the promise of `keep_private`."""
        return self._vectors

    def forget(self) -> None:
        """The array was changed: whatever was kept about its rows is taken anew."""
        self._stamp = object()

    def values(self) -> Float32Array:
        return self._vectors

    def stamp(self) -> object:
        return self._stamp if self._private else None

    def view(self, row: int) -> Float32Array:
        """One row, [D], for reading."""
        vector: Float32Array = self._vectors[row]
        vector.setflags(write=False)
        return vector

    def block(self, start: int, stop: int) -> tuple[Float32Array, Float32Array]:
        rows = self._vectors[start:stop]
        return rows, divisors_of(rows)

    def gather(self, index: Int64Array) -> tuple[Float32Array, Float32Array]:
        # np.take, otherwise the faster, first copies all of an array whose rows are not side by side
        direct = self._vectors.flags.c_contiguous
        rows: Float32Array = np.take(self._vectors, index, axis=0) if direct else self._vectors[index]
        return rows, divisors_of(rows)

    def assign(self, index: Int64Array, vectors: Float32Array) -> None:
        """Other values for some rows."""
        self._vectors[index] = vectors
        self.forget()

    def normalize(self) -> None:
        """Makes every row one of length 1, in place; zeros stay zeros."""
        self._vectors /= divisors_of(self._vectors)[:, None]
        self.forget()

    def append(self, vectors: Float32Array) -> None:
        """More rows. Room is left for as many again as half of all, so that appending one by one stays cheap."""
        if not len(vectors):
            return  # even where the array cannot be changed
        old, new = len(self._vectors), len(self._vectors) + len(vectors)
        if new > len(self._reserve):
            self._reserve = np.empty((new + new // 2, self.shape[1]), dtype=np.float32)
            self._reserve[:old] = self._vectors
            self._private = True
        self._reserve[old:new] = vectors
        self._vectors = self._reserve[:new]
        self.forget()


class LateRows(FloatRows):
    """float32 rows of what is kept as something else: made when somebody first asks for them."""

    def __init__(self, shape: tuple[int, int], make: Callable[[], Float32Array]) -> None:
        """make: returns an array of this shape that nobody else holds."""
        self._late_shape, self._make = shape, make
        self._private = False
        self._stamp = object()

    def __getattr__(self, name: str) -> Float32Array:
        if name not in ("_vectors", "_reserve"):
            raise AttributeError(name)
        kept = vars(self)
        if (make := kept.get("_make")) is not None:
            rows = kept.setdefault("_vectors", make())  # that of the first of several threads
            kept.setdefault("_reserve", rows)
            kept.pop("_make", None)  # and the table that it holds
        array: Float32Array = kept[name]
        return array

    def __getstate__(self) -> dict[str, Any]:
        """As that of FloatRows, once they are made."""
        self.peek()
        return super().__getstate__()

    @property
    def made(self) -> bool:
        return "_vectors" in vars(self)

    @property
    def shape(self) -> tuple[int, int]:
        return super().shape if self.made else self._late_shape


class PartOfRows:
    """The rows `start` to `stop` of others."""

    def __init__(self, rows: Rows, start: int, stop: int) -> None:
        self._rows, self._start = rows, start
        self.shape = stop - start, rows.shape[1]

    def values(self) -> Float32Array | Int8Array:
        return self._rows.values()[self._start : self._start + self.shape[0]]

    def stamp(self) -> object:
        stamp = self._rows.stamp()
        return None if stamp is None else (stamp, self._start, self.shape)

    def block(self, start: int, stop: int) -> tuple[Float32Array, Float32Array]:
        return self._rows.block(self._start + start, self._start + min(stop, self.shape[0]))

    def gather(self, index: Int64Array) -> tuple[Float32Array, Float32Array]:
        return self._rows.gather(self._start + index)


class Int8Rows:
    """Rows as 8-bit whole numbers of [-127, 127] with a scale each: row = scale * values. Not to be changed."""

    def __init__(self, values: Int8Array, scales: Float32Array) -> None:
        self._values, self._scales = values, scales
        self._stamp = object()

    @classmethod
    def of(cls, rows: Rows, rows_at_once: int = 65_536) -> Int8Rows:
        """Rounds each row to 127 steps of its greatest absolute value.

        Raises:
            ValueError: a row holds NaN or infinity.
        """
        values, scales = np.empty(rows.shape, dtype=np.int8), np.empty(rows.shape[0], dtype=np.float32)
        for start in range(0, rows.shape[0], rows_at_once):
            block, _ = rows.block(start, start + rows_at_once)
            greatest = np.abs(block).max(axis=1, initial=0)
            if not np.isfinite(greatest).all():
                row = start + int(np.flatnonzero(~np.isfinite(greatest))[0])
                raise ValueError(f"row {row}: expected finite numbers, which alone fit into 8 bits, found others")
            greatest[greatest < _ZERO] = 127
            scales[start : start + len(block)] = greatest / 127
            values[start : start + len(block)] = np.rint(block * (127 / greatest)[:, None])
        return cls(values, scales)

    @property
    def shape(self) -> tuple[int, int]:
        return self._values.shape[0], self._values.shape[1]

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return self._values.nbytes + self._scales.nbytes

    def values(self) -> Int8Array:
        return self._values

    def stamp(self) -> object:
        return self._stamp

    def block(self, start: int, stop: int) -> tuple[Float32Array, Float32Array]:
        # Scales cancel out in a cosine, so rows stay in steps of their own.
        rows = self._values[start:stop].astype(np.float32)
        return rows, divisors_of(rows)

    def gather(self, index: Int64Array) -> tuple[Float32Array, Float32Array]:
        rows = np.take(self._values, index, axis=0) * self._scales[index][..., None]
        return rows, divisors_of(rows)
