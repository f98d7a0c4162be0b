"""What word2vec's text and binary formats share: the first line `V D`, and words that must not hold a separator."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from pyembed.vectors.formats.table import VectorFileError

_HEADER = re.compile(rb"(\d{1,18})[ \t]+(\d{1,18})[ \t\r]*\n?")


def is_header(line: bytes) -> bool:
    """Whether a line is two whole numbers."""
    return _HEADER.fullmatch(line) is not None


def parse_header(line: bytes, path: Path, size: int | None, *, row_bytes: Callable[[int], int]) -> tuple[int, int]:
    """V and D of a header line, believed only as far as the file's size allows.

    Args:
        line: the file's first line, cut at some length if it is long.
        path: the file.
        size: of the file in bytes; None where it is compressed and nobody knows.
        row_bytes: the least number of bytes that a row of D dimensions can take.

    Raises:
        VectorFileError: the line is no header, D is 0, or V rows do not fit into the file.
    """
    match = _HEADER.fullmatch(line)
    if match is None:
        found = "an empty file" if not line else repr(line[:60])
        raise VectorFileError(f"{path}: line 1: expected the number of words and of dimensions, found {found}")
    rows, dimensions = int(match[1]), int(match[2])
    if dimensions == 0:
        raise VectorFileError(f"{path}: line 1: expected at least one dimension, found 0")
    if size is not None and rows * row_bytes(dimensions) > size:
        raise VectorFileError(
            f"{path}: line 1: expected room for {rows} x {dimensions} numbers, found a file of {size} bytes; "
            "it is cut short or of another format"
        )
    return rows, dimensions


def encode_words(words: Sequence[str], path: Path, *, separators: str) -> list[bytes]:
    """Words in UTF-8, fit for a format in which each of `separators` ends a word.

    Raises:
        VectorFileError: a word is empty, holds a separator or cannot be encoded; the message names its row.
    """
    encoded = []
    for row, word in enumerate(words):
        if not word or any(separator in word for separator in separators):
            raise VectorFileError(
                f"{path}: row {row}: expected a word without any of {list(separators)}, which end words in this "
                f"format, found {word!r}; .safetensors holds any word"
            )
        try:
            encoded.append(word.encode())
        except UnicodeEncodeError as error:
            raise VectorFileError(f"{path}: row {row}: expected a word that UTF-8 can hold, found {word!r}") from error
    return encoded
