"""Vector files of every format: which one a file is of, reading and writing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pyembed.files import require_writable
from pyembed.vectors.formats.registry import FORMATS, Format, detect, format_of, format_to_save, named
from pyembed.vectors.formats.repairs import ERRORS, Errors, VectorFileWarning
from pyembed.vectors.formats.table import VectorFileError, VectorTable

__all__ = [
    "ERRORS",
    "FORMATS",
    "Errors",
    "Format",
    "VectorFileError",
    "VectorFileWarning",
    "VectorTable",
    "detect",
    "format_of",
    "format_to_save",
    "named",
    "read",
    "require_target",
    "write",
]


def read(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    mmap: bool = False,
    errors: Errors = "strict",
    limit: int | None = None,
) -> VectorTable:
    """Reads a vector file.

    Args:
        path: the file, or the folder.
        format: a name among FORMATS; by default what the suffix says and, where it says little, the content.
        mmap: leave the vectors in the file: they are read-only, and read when they are looked at.
        errors: what becomes of damage, see `Errors`.
        limit: read no further than so many rows, >= 1; for word2vec's formats and GloVe's.

    Raises:
        VectorFileError: the format is unknown or cannot be memory-mapped, or the content is not valid; the message
            names
            the line or the byte.
        OSError: the file cannot be read.
    """
    path = Path(path)
    found = detect(path) if format is None else named(format)
    options: dict[str, Any] = {"mmap": True} if mmap else {}
    if limit is not None:
        options["limit"] = limit
    if mmap and not found.mappable:
        able = ", ".join(name for name, other in FORMATS.items() if other.mappable)
        raise VectorFileError(f"{path}: expected a format that can be memory-mapped ({able}), found {found.name}")
    return found.read(path, errors=errors, **options)


def write(table: VectorTable, path: str | os.PathLike[str], *, format: str | None = None) -> None:
    """Writes a vector file, by default in the format of its suffix; on failure nothing changes under that name.

    Raises:
        VectorFileError: the suffix is unknown, or a word cannot be held by the format.
        OSError: the file cannot be written.
    """
    target = format_of(path) if format is None else named(format)
    target.write(table, Path(path))


def require_target(path: str | os.PathLike[str]) -> None:
    """Raises what `write` would: VectorFileError for the suffix or its package, OSError for its folder."""
    try:
        format_of(path).needs()
    except ModuleNotFoundError as error:
        raise VectorFileError(f"{path}: {error}") from error
    require_writable(path)
