"""word2vec's and GloVe's files with gensim's arguments."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pyembed.files import whole_file
from pyembed.vectors import formats
from pyembed.vectors.arrays import Int64Array
from pyembed.vectors.attributes import Column

_ERRORS: dict[str, formats.Errors] = {"strict": "strict", "replace": "replace", "ignore": "replace", "skip": "skip"}

_MOST_DIGITS = 18
"""Of a count: so many fit into int64."""


def read_word2vec(
    path: str | os.PathLike[str],
    fvocab: str | os.PathLike[str] | None = None,
    limit: int | None = None,
    *,
    binary: bool,
    encoding: str = "utf8",
    unicode_errors: str = "strict",
    no_header: bool = False,
) -> formats.VectorTable:
    """Reads a file; see `KeyedVectors.load_word2vec_format`."""
    if encoding.lower().replace("-", "").replace("_", "") != "utf8":
        raise ValueError(f"encoding: expected UTF-8, found {encoding!r}; recode the file, with iconv for example")
    if unicode_errors not in _ERRORS:
        raise ValueError(f"unicode_errors: expected one of {', '.join(_ERRORS)}, found {unicode_errors!r}")
    if limit is not None and limit < 1:
        raise ValueError(f"limit: expected at least 1, or None for all, found {limit}")
    table = formats.read(path, format=_format(binary, not no_header), errors=_ERRORS[unicode_errors], limit=limit)
    if fvocab is None:
        return table
    counts = _read_counts(Path(fvocab), table)
    return formats.VectorTable(words=table.words, vectors=table.vectors, counts=counts, metadata=table.metadata)


def write_word2vec(
    table: formats.VectorTable, path: str | os.PathLike[str], *, binary: bool, write_header: bool
) -> None:
    """Writes a file; see `KeyedVectors.save_word2vec_format`."""
    formats.write(table, path, format=_format(binary, write_header))


def write_counts(words: Sequence[str], values: Column, path: str | os.PathLike[str]) -> None:
    """Writes lines `word value`, whole or not at all."""
    with whole_file(path) as file:
        file.writelines(f"{word} {value}\n".encode() for word, value in zip(words, values.tolist(), strict=True))


def _format(binary: bool, header: bool) -> str:
    if binary and not header:
        raise ValueError("binary: expected a header, without which binary files cannot be read, found none asked for")
    return "word2vec-binary" if binary else "word2vec-text" if header else "glove"


def _read_counts(path: Path, table: formats.VectorTable) -> Int64Array:
    """Counts of a file of lines `word count`, in the order of the table."""
    counts: dict[bytes, int] = {}
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        word, _, count = line.rstrip(b" \r").rpartition(b" ")
        if count.isdigit() and len(count) <= _MOST_DIGITS:
            counts[word] = int(count)
        elif line.strip():
            raise formats.VectorFileError(f"{path}: line {number}: expected a word and its count, found {line[:80]!r}")
    missing = next((word for word in table.words if word.encode() not in counts), None)
    if missing is not None:
        raise formats.VectorFileError(f"{path}: expected a count for every word, found none for {missing!r}")
    return np.array([counts[word.encode()] for word in table.words], dtype=np.int64)
