"""Vector files by suffix: the one place that knows which format a name stands for."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pyembed.files import require_writable
from pyembed.vectors.formats import safetensors, word2vec_binary, word2vec_text
from pyembed.vectors.formats.table import VectorFileError, VectorTable

__all__ = ["Format", "VectorFileError", "VectorTable", "format_of", "read", "require_target", "write"]


@dataclass(frozen=True)
class Format:
    """A file format: its name for people, its reader and its writer."""

    name: str
    read: Callable[[Path], VectorTable]
    write: Callable[[VectorTable, Path], None]


_WORD2VEC_TEXT = Format("word2vec text", word2vec_text.read, word2vec_text.write)

FORMATS: dict[str, Format] = {
    ".bin": Format("word2vec binary", word2vec_binary.read, word2vec_binary.write),
    ".txt": _WORD2VEC_TEXT,
    ".vec": _WORD2VEC_TEXT,
    ".safetensors": Format("safetensors", safetensors.read, safetensors.write),
}
"""Formats by suffix, lower-case."""


def format_of(path: str | os.PathLike[str]) -> Format:
    """The format that the suffix of `path` stands for, upper-case or lower-case.

    Raises:
        VectorFileError: the suffix stands for none.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        found = repr(suffix) if suffix else "no suffix"
        raise VectorFileError(f"{path}: expected a name that ends in {', '.join(FORMATS)}, found {found}")
    return FORMATS[suffix]


def read(path: str | os.PathLike[str]) -> VectorTable:
    """Reads a vector file in the format of its suffix.

    Raises:
        VectorFileError: the suffix is unknown or the content is not valid; the message names the line or the byte.
        OSError: the file cannot be read.
    """
    return format_of(path).read(Path(path))


def write(table: VectorTable, path: str | os.PathLike[str]) -> None:
    """Writes a vector file in the format of its suffix; on failure nothing changes under that name.

    Raises:
        VectorFileError: the suffix is unknown, or a word cannot be held by the format.
        OSError: the file cannot be written.
    """
    format_of(path).write(table, Path(path))


def require_target(path: str | os.PathLike[str]) -> None:
    """Raises what `write` would for this name: VectorFileError for its suffix, OSError for its folder."""
    format_of(path)
    require_writable(path)
