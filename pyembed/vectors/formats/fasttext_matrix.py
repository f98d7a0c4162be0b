"""The two kinds of matrix in a fastText model: dense, and quantised by products of small codebooks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pyembed.vectors.arrays import Float32Array
from pyembed.vectors.formats.binary_cursor import LONGEST_PIECE, BinaryCursor

_CODES = 256
_ROWS_PER_WRITE = 4096
_Indices = npt.NDArray[np.signedinteger[Any]]


@dataclass(frozen=True)
class DenseMatrix:
    """Rows of float32."""

    values: Float32Array
    """[m, n]."""

    @property
    def shape(self) -> tuple[int, int]:
        """(m, n)."""
        rows, columns = self.values.shape
        return rows, columns

    def rows(self, indices: _Indices) -> Float32Array:
        """float32[k, n], a copy."""
        return np.asarray(self.values[indices], dtype=np.float32)

    def blocks(self) -> Iterator[bytes]:
        """As the file has it."""
        yield np.array(self.shape, dtype="<i8").tobytes()
        for start in range(0, len(self.values), _ROWS_PER_WRITE):
            yield np.ascontiguousarray(self.values[start : start + _ROWS_PER_WRITE], dtype="<f4").tobytes()


@dataclass(frozen=True)
class Codebook:
    """A product quantiser: the vector is cut in pieces, and each piece is one of 256."""

    dimensions: int
    piece: int
    """Dimensions of a piece; the last may have fewer."""
    centroids: Float32Array
    """[dimensions * 256], piece after piece."""

    @property
    def pieces(self) -> int:
        """How many there are."""
        return -(-self.dimensions // self.piece)

    def decode(self, codes: npt.NDArray[np.uint8]) -> Float32Array:
        """float32[k, dimensions] of uint8[k, pieces]."""
        values = np.empty((len(codes), self.dimensions), dtype=np.float32)
        for number in range(self.pieces):
            start = number * self.piece
            stop = min(start + self.piece, self.dimensions)
            book = self.centroids[start * _CODES : stop * _CODES].reshape(_CODES, stop - start)
            values[:, start:stop] = book[codes[:, number]]
        return values

    def block(self) -> bytes:
        """As the file has it."""
        last = self.dimensions - (self.pieces - 1) * self.piece
        numbers = np.array([self.dimensions, self.pieces, self.piece, last], dtype="<i4")
        return numbers.tobytes() + self.centroids.astype("<f4", copy=False).tobytes()


@dataclass(frozen=True)
class QuantizedMatrix:
    """Rows of codes, and of a code for their length where that is kept apart."""

    codes: npt.NDArray[np.uint8]
    """[m, pieces]."""
    book: Codebook
    norm_codes: npt.NDArray[np.uint8] | None
    """[m]."""
    norm_book: Codebook | None

    @property
    def shape(self) -> tuple[int, int]:
        """(m, n)."""
        return len(self.codes), self.book.dimensions

    def rows(self, indices: _Indices) -> Float32Array:
        """float32[k, n]."""
        values = self.book.decode(self.codes[indices])
        if self.norm_codes is not None and self.norm_book is not None:
            values *= self.norm_book.decode(self.norm_codes[indices][:, None])
        return values

    def blocks(self) -> Iterator[bytes]:
        """As the file has it."""
        yield bytes([self.norm_codes is not None])
        yield np.array(self.shape, dtype="<i8").tobytes()
        yield np.array([self.codes.size], dtype="<i4").tobytes()
        yield self.codes.tobytes()
        yield self.book.block()
        if self.norm_codes is not None and self.norm_book is not None:
            yield self.norm_codes.tobytes()
            yield self.norm_book.block()


Matrix = DenseMatrix | QuantizedMatrix


def read_matrix(cursor: BinaryCursor, quantized: bool, what: str) -> Matrix:
    """The matrix at the cursor; its arrays are views into the file.

    Raises:
        VectorFileError: it is damaged or cut short.
    """
    if not quantized:
        return DenseMatrix(cursor.array("<f4", cursor.numbers("qq", f"the shape of {what}"), what))
    has_norms = read_flag(cursor, f"whether the norms of {what} stand apart")
    rows, columns, size = cursor.numbers("qqi", f"the shape of {what}")
    start = cursor.skip(size, f"the codes of {what}")
    book = _read_codebook(cursor, what)
    if book.dimensions != columns or rows < 0 or rows * book.pieces != size:
        expected = f"{rows} x {columns} values in {size} codes"
        raise cursor.error(f"expected {what} of {expected}, found {book.dimensions} in {book.pieces} pieces a row")
    codes = np.frombuffer(cursor.content, np.uint8, size, start).reshape(rows, book.pieces)
    norm_codes = norm_book = None
    if has_norms:
        norm_codes = cursor.array("u1", (rows,), f"the norms of {what}")
        norm_book = _read_codebook(cursor, f"the norms of {what}")
        if norm_book.dimensions != 1:
            raise cursor.error(f"expected norms of one dimension, found {norm_book.dimensions}")
    return QuantizedMatrix(codes, book, norm_codes, norm_book)


def _read_codebook(cursor: BinaryCursor, what: str) -> Codebook:
    dimensions, pieces, piece, last = cursor.numbers("iiii", f"the codebook of {what}")
    is_of_pieces = dimensions >= 1 and 1 <= piece <= LONGEST_PIECE and pieces == -(-dimensions // piece)
    if not is_of_pieces or last != dimensions - (pieces - 1) * piece:
        found = f"{pieces} of {piece}, the last of {last}"
        raise cursor.error(f"expected pieces of {dimensions} dimensions in the codebook of {what}, found {found}")
    return Codebook(dimensions, piece, cursor.array("<f4", (dimensions * _CODES,), f"the codebook of {what}"))


def read_flag(cursor: BinaryCursor, what: str) -> bool:
    """A byte that says yes or no.

    Raises:
        VectorFileError: it is neither 1 nor 0.
    """
    (flag,) = cursor.bytes(1, what)
    if flag > 1:
        raise cursor.error(f"expected {what}, 0 or 1, found {flag}")
    return flag == 1
