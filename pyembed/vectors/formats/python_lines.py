"""What the compiled reader of lines of vectors does, in Python: `vector_lines.parse` says what that is."""

from __future__ import annotations

import re
import warnings
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from pyembed.vectors.arrays import Float32Array

_NUMBER = re.compile(rb"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|inf(?:inity)?|nan)", re.IGNORECASE)
_NUMBER_BYTES = b"0123456789+-.eE nafiNAFIty"
"""The bytes of numbers, and a space."""
_BEYOND = 2.0**128
"""What would follow the largest float32."""
_Fault = tuple[int, int, bytes]
"""Kind, place and text, as in vector_lines.Fault."""


def vector_lines(
    block: bytes, dimensions: int, separator: str, has_word: bool, any_bytes: bool, _threads: int
) -> tuple[list[str], int, Float32Array, int, int, Any]:
    """As `vector_lines.parse`; one thread, whatever their number."""
    between = separator.encode()
    lines = [line.rstrip(b" \r" + between) for line in block.removesuffix(b"\n").split(b"\n")] if block else []
    split = [line.rsplit(between, dimensions if has_word else -1) for line in lines]
    whole = [fields for fields in split if len(fields) == dimensions + has_word]
    texts = [field for fields in whole for field in fields[has_word:]]
    wide = _wide_values(texts)
    are_numbers = wide is not None
    if wide is None:
        wide = np.array([float(text) if _NUMBER.fullmatch(text) else 0 for text in texts])
    vectors = _rounded(wide, texts).reshape(len(whole), dimensions)

    words: list[str] = []
    kept: list[int] = []
    row = replaced = 0
    faults = []
    for number, (line, fields) in enumerate(zip(lines, split, strict=True)):
        fault = _numbers_fault(line, fields, dimensions, between, has_word, are_numbers)
        row += len(fields) == dimensions + has_word
        if fault is None and has_word:
            try:
                word = fields[0].decode()
            except UnicodeDecodeError:
                word, replaced = fields[0].decode(errors="replace"), replaced + any_bytes
                fault = None if any_bytes else (3, 0, line)
            else:
                fault = None if word else (2, 0, line)
        if fault is not None:
            faults.append((number, *fault[:2], fault[2][:100]))
            continue
        kept.append(row - 1)
        if has_word:
            words.append(word)
    if faults:
        vectors = vectors[kept]
    return words, replaced, vectors, len(lines), len(faults), faults[0] if faults else None


def _numbers_fault(
    line: bytes, fields: list[bytes], dimensions: int, separator: bytes, has_word: bool, are_numbers: bool
) -> _Fault | None:
    """What is wrong with the number of fields, or with one of them where `are_numbers` does not say that nothing is."""
    if len(fields) != dimensions + has_word:
        return 1, len(fields), line
    if not are_numbers:
        for dimension, field in enumerate(fields[has_word:]):
            if not _NUMBER.fullmatch(field):
                return 4, dimension, separator.join(fields[dimension + has_word :])
    return None


def _wide_values(texts: list[bytes]) -> npt.NDArray[np.float64] | None:
    """All the numbers at once, each rounded to float64; None where one of the texts may be none."""
    text = b" ".join(texts)
    if not texts:
        return np.empty(0)
    if text.translate(None, _NUMBER_BYTES) or not all(texts) or text.count(b" ") >= len(texts):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # how numpy reports text that is no number
        try:
            wide = np.fromstring(text.decode(), dtype=np.float64, sep=" ")
        except (DeprecationWarning, ValueError):
            return None
    return wide if wide.size == len(texts) else None


def _rounded(wide: npt.NDArray[np.float64], texts: list[bytes]) -> Float32Array:
    """The float32 nearest to each text, of which `wide` is the nearest float64."""
    with np.errstate(over="ignore", under="ignore"):
        values = wide.astype(np.float32)
        # Rounding twice, to float64 and on, is wrong at most where that float64 is half-way between two float32.
        above, below = (np.nextafter(wide, end).astype(np.float32) for end in (np.inf, -np.inf))
    high, low = (np.clip(side.astype(np.float64), -_BEYOND, _BEYOND) for side in (above, below))
    for index in np.flatnonzero((high != low) & ((high + low) / 2 == wide)).tolist():
        exact, between = Fraction(texts[index].decode()), Fraction(wide[index])
        if exact != between:
            values[index] = above[index] if exact > between else below[index]
    return values
