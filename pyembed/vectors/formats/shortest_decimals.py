"""float32 as the shortest decimals that read back as the same float32, a block of rows at a time.

numpy and Python print one number at a time, a microsecond each. Here the digits of a whole block are computed at once:
a float32 with at most 9 significant digits is m / 10**k for a whole number m, and that quotient, being exact in its
two parts, is the very float64 a reader makes of the text before it rounds it to float32. So a number of digits is
enough if, and only if, the quotient rounds to the value.
"""

from __future__ import annotations

import numpy as np

from pyembed.vectors.arrays import BoolArray, Float32Array, Int64Array

_SMALLEST, _LARGEST = 1e-4, 10.0
"""Sizes written here, as d.ddd, where Python writes no exponent; the rare others are left to numpy."""
_DECIMALS = 12
"""Places after the point that 9 significant digits of _SMALLEST take."""
_WHOLE_POWERS = 10 ** np.arange(_DECIMALS + 1, dtype=np.int64)
_POWERS = _WHOLE_POWERS.astype(np.float64)
_IS_WRITTEN = np.arange(_DECIMALS) < np.arange(_DECIMALS + 1)[:, None]
_FOUR_DIGITS = np.array([f"{number:04}".encode() for number in range(10_000)]).view("<u4")
_WIDTH = 1 + 1 + 1 + _DECIMALS + 1  # sign, digit, point, decimals, space


def decimal_lines(vectors: Float32Array) -> list[bytes]:
    """Each row of float32[n, D] as D numbers between spaces."""
    if not vectors.size:
        return []
    rows, dimensions = vectors.shape
    sizes = np.abs(vectors).ravel()
    is_usual = (sizes >= _SMALLEST) & (sizes < _LARGEST)
    scaled, decimals = _shortest(np.where(is_usual, sizes, np.float32(1)))

    # The digit before the point and the 12 after it, in four groups of four digits, of which the first three are 0.
    groups = np.empty((sizes.size, 4), dtype="<u4")
    for group in (3, 2, 1, 0):
        higher = scaled // 10_000
        groups[:, group] = _FOUR_DIGITS[scaled - 10_000 * higher]
        scaled = higher
    digits = groups.view(np.uint8)

    # Equal widths first, with zero bytes where there is nothing to write; then all zero bytes go at once.
    text = np.empty((sizes.size, _WIDTH), dtype=np.uint8)
    text[:, 0] = np.signbit(vectors).ravel() * np.uint8(ord("-"))
    text[:, 1] = digits[:, 3]
    text[:, 2] = ord(".")
    np.multiply(digits[:, 4:], _IS_WRITTEN[decimals], out=text[:, 3:-1])
    text[:, -1] = ord(" ")
    text.reshape(rows, dimensions, _WIDTH)[:, -1, -1] = ord("\n")
    lines = text.tobytes().translate(None, b"\0").splitlines()
    return _with_unusual(lines, vectors, ~is_usual.reshape(rows, dimensions))


def _shortest(sizes: Float32Array) -> tuple[Int64Array, Int64Array]:
    """Each size times 10**_DECIMALS, rounded to as few significant digits as read back equal, and its decimals."""
    exact = sizes.astype(np.float64)
    exponents = np.floor(np.log10(exact)).astype(np.int64)
    scaled = np.empty(sizes.shape, dtype=np.int64)
    decimals = np.empty(sizes.shape, dtype=np.int64)
    left = np.arange(sizes.size)
    for significant in (6, 7, 8, 9):
        places = np.clip(significant - 1 - exponents[left], 0, _DECIMALS)
        whole = np.rint(exact[left] * _POWERS[places])
        quotient = whole / _POWERS[places]
        # A float64 half-way between two float32 does not tell on which side of it the decimal lies.
        is_between = (quotient.view(np.int64) & 0x1FFFFFFF) == 0x10000000
        is_enough = (quotient.astype(np.float32) == sizes[left]) & ~is_between
        done = left[is_enough]
        scaled[done] = whole[is_enough].astype(np.int64) * _WHOLE_POWERS[_DECIMALS - places[is_enough]]
        decimals[done] = places[is_enough]
        left = left[~is_enough]
    assert not left.size, "9 significant digits tell all float32 apart"
    return scaled, _without_trailing_zeros(scaled, decimals)


def _without_trailing_zeros(scaled: Int64Array, decimals: Int64Array) -> Int64Array:
    """Decimals that end in a digit other than 0; at least one, as Python writes."""
    has_zero = np.flatnonzero((decimals > 1) & (scaled % _WHOLE_POWERS[_DECIMALS + 1 - decimals] == 0))
    while has_zero.size:
        decimals[has_zero] -= 1
        still = (decimals[has_zero] > 1) & (scaled[has_zero] % _WHOLE_POWERS[_DECIMALS + 1 - decimals[has_zero]] == 0)
        has_zero = has_zero[still]
    return decimals


def _with_unusual(lines: list[bytes], vectors: Float32Array, is_unusual: BoolArray) -> list[bytes]:
    """The lines with the numbers that the fast way left out: tiny, large, zero, infinite, NaN."""
    for row in np.flatnonzero(is_unusual.any(axis=1)).tolist():
        fields = lines[row].split(b" ")
        for column in np.flatnonzero(is_unusual[row]).tolist():
            fields[column] = str(vectors[row, column]).encode()
        lines[row] = b" ".join(fields)
    return lines
