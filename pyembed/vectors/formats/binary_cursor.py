"""A binary file read from front to back, no size in it believed before the bytes are seen to be there."""

from __future__ import annotations

import math
import mmap
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pyembed.vectors.formats.table import VectorFileError

LONGEST_PIECE = 1024
"""Dimensions that one byte of a quantised vector may stand for: what keeps memory to a multiple of a file's size."""


class BinaryCursor:
    """A mapped file and a position in it. Arrays are views into the file: read-only, read when they are looked at."""

    def __init__(self, path: Path) -> None:
        """Raises VectorFileError where the file is empty, OSError where it cannot be read."""
        self.path = path
        self.position = 0
        with path.open("rb") as file:
            try:
                self.content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except ValueError:
                raise VectorFileError(f"{path}: expected vectors, found an empty file") from None
        self.size = len(self.content)

    def skip(self, count: int, what: str) -> int:
        """Moves on by `count` bytes and returns where they begin.

        Raises:
            VectorFileError: there are fewer.
        """
        start = self.position
        if not 0 <= count <= self.size - start:
            raise self.error(f"expected {what}, {count} bytes, found {self.size - start}")
        self.position += count
        return start

    def bytes(self, count: int, what: str) -> bytes:
        """The next bytes."""
        start = self.skip(count, what)
        return self.content[start : start + count]

    def numbers(self, layout: str, what: str) -> tuple[Any, ...]:
        """The next numbers, little-endian, laid out as `struct` says."""
        return struct.unpack("<" + layout, self.bytes(struct.calcsize("<" + layout), what))

    def array(self, dtype: str, shape: tuple[int, ...], what: str) -> npt.NDArray[Any]:
        """The next array, [*shape], C order."""
        kind = np.dtype(dtype)
        if min(shape) < 0:
            raise self.error(f"expected the shape of {what}, found {list(shape)}")
        count = math.prod(shape)
        start = self.skip(count * kind.itemsize, what)
        if any(side > 2**62 for side in shape):  # beside a 0, which numpy would not forgive
            raise self.error(f"expected the shape of {what}, found {list(shape)}")
        return np.frombuffer(self.content, kind, count, start).reshape(shape) if count else np.empty(shape, kind)

    def require_end(self) -> None:
        """Raises VectorFileError where there is more."""
        if self.position < self.size:
            raise self.error(f"expected the end of the file, found {self.size - self.position} bytes more")

    def error(self, message: str) -> VectorFileError:
        """The error that names this place."""
        return VectorFileError(f"{self.path}: byte {self.position}: {message}")
