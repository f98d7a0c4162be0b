"""The formats by name, and which one a file is of: the one place that knows suffixes and first bytes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pyembed.vectors.formats import (
    arrow,
    fasttext,
    finalfusion,
    glove_text,
    huggingface,
    numpy_arrays,
    projector,
    safetensors,
    word2vec_binary,
    word2vec_text,
)
from pyembed.vectors.formats.pickles import refuse_pickle
from pyembed.vectors.formats.table import VectorFileError, VectorTable
from pyembed.vectors.formats.text_rows import is_compressed, lines_ahead, whole_lines
from pyembed.vectors.formats.word2vec_shared import is_header


@dataclass(frozen=True)
class Format:
    """A file format: its name, its reader and its writer."""

    name: str
    suffixes: tuple[str, ...]
    """Lower-case. Written under these names; a suffix that several formats share is the first one's."""
    read: Callable[..., VectorTable]
    """(path, *, errors, and mmap where it is mappable)"""
    write: Callable[[VectorTable, Path], None]
    mappable: bool = False
    """Vectors can stay in the file."""
    compressible: bool = False
    """A name may end in .gz, .bz2 or .zst too."""
    needs: Callable[[], object] = lambda: None
    """Raises ModuleNotFoundError where a package is missing."""
    keeps: tuple[str, ...] = ()
    """What the format keeps of `counts` and `metadata`."""


_WORD2VEC_TEXT = Format("word2vec-text", (".txt", ".vec"), word2vec_text.read, word2vec_text.write, compressible=True)
_WORD2VEC_BINARY = Format("word2vec-binary", (".bin",), word2vec_binary.read, word2vec_binary.write)
_GLOVE = Format("glove", (".glove",), glove_text.read, glove_text.write, compressible=True)
_FASTTEXT = Format("fasttext", (), fasttext.read, fasttext.write, keeps=("counts",))
_HUGGINGFACE = Format("huggingface", (), huggingface.read, huggingface.write, mappable=True)
_FINALFUSION = Format(
    "finalfusion", (".fifu",), finalfusion.read, finalfusion.write, mappable=True, keeps=("metadata",)
)
_SAFETENSORS = Format(
    "safetensors", (".safetensors",), safetensors.read, safetensors.write, mappable=True, keeps=("counts", "metadata")
)
_NPY = Format("npy", (".npy",), numpy_arrays.read_npy, numpy_arrays.write_npy, mappable=True)
_NPZ = Format("npz", (".npz",), numpy_arrays.read_npz, numpy_arrays.write_npz, keeps=("counts", "metadata"))
_PROJECTOR = Format("projector", (".tsv",), projector.read, projector.write, keeps=("counts",))
_PARQUET = Format(
    "parquet",
    (".parquet",),
    arrow.read_parquet,
    arrow.write_parquet,
    needs=arrow.pyarrow_package,
    keeps=("counts", "metadata"),
)
_ARROW = Format(
    "arrow",
    (".arrow", ".feather"),
    arrow.read_arrow,
    arrow.write_arrow,
    needs=arrow.pyarrow_package,
    keeps=("counts", "metadata"),
)

FORMATS: dict[str, Format] = {
    format.name: format
    for format in (
        _WORD2VEC_TEXT,
        _WORD2VEC_BINARY,
        _GLOVE,
        _FASTTEXT,
        _FINALFUSION,
        _SAFETENSORS,
        _HUGGINGFACE,
        _NPY,
        _NPZ,
        _PROJECTOR,
        _PARQUET,
        _ARROW,
    )
}
"""Formats by name."""
_BY_SUFFIX = {suffix: format for format in FORMATS.values() for suffix in format.suffixes}
_READ_ONLY = {".ftz": _FASTTEXT}
_BY_FIRST_BYTES = {
    fasttext.MAGIC: _FASTTEXT,
    finalfusion.MAGIC: _FINALFUSION,
    b"\x93NUMPY": _NPY,
    b"PK\x03\x04": _NPZ,
    b"PAR1": _PARQUET,
    b"ARROW1": _ARROW,
}


def named(name: str) -> Format:
    """The format of this name.

    Raises:
        VectorFileError: there is none.
    """
    if name not in FORMATS:
        raise VectorFileError(f"expected one of the formats {', '.join(FORMATS)}, found {name!r}")
    return FORMATS[name]


def format_of(path: str | os.PathLike[str]) -> Format:
    """The format that the name of `path` stands for, upper-case or lower-case; an existing folder's is huggingface.

    Raises:
        VectorFileError: the name stands for none.
    """
    path = Path(path)
    if path.is_dir():
        return _HUGGINGFACE
    compressed = is_compressed(path)
    suffix = (Path(path.stem) if compressed else path).suffix.lower()
    found = _BY_SUFFIX.get(suffix)
    if found is None or (compressed and not found.compressible):
        said = repr("".join(path.suffixes[-2:]) if compressed else suffix) if suffix else "no suffix"
        raise VectorFileError(f"{path}: expected a name that ends in {', '.join(_BY_SUFFIX)}, found {said}")
    return found


def format_to_save(path: str | os.PathLike[str]) -> Format:
    """As `format_of`, and safetensors, which are known by their content, under a suffix that stands for nothing.

    Raises:
        VectorFileError: the suffix is that of a format which cannot be written, or not compressed.
    """
    path = Path(path)
    is_free = path.suffix.lower() not in {*_BY_SUFFIX, *_READ_ONLY}
    return _SAFETENSORS if is_free and not path.is_dir() and not is_compressed(path) else format_of(path)


def detect(path: Path) -> Format:
    """The format of an existing file or folder: by its suffix, and by its content where the suffix is shared or
    unknown.

    `.bin` is fastText's or word2vec's, `.txt` word2vec's text if its first line is a header and GloVe's if not.
    safetensors, models' files among them, are known under any name.

    Raises:
        VectorFileError: neither tells, or the file is a pickle.
        OSError: the file cannot be read.
    """
    if path.suffix.lower() in _READ_ONLY:
        return _READ_ONLY[path.suffix.lower()]
    if path.is_file():
        if safetensors.begins(path):
            return _SAFETENSORS
        refuse_pickle(path)
    try:
        found = format_of(path)
    except VectorFileError:
        with path.open("rb") as file:
            beginning = file.read(8)
        for first_bytes, format in _BY_FIRST_BYTES.items():
            if beginning.startswith(first_bytes):
                return format
        raise
    if found is _WORD2VEC_BINARY:
        with path.open("rb") as file:
            return _FASTTEXT if file.read(4) == fasttext.MAGIC else found
    if found is _WORD2VEC_TEXT and ".vec" not in path.suffixes[-2:]:
        ahead, _ = lines_ahead(whole_lines(path), 1)
        return found if not ahead or is_header(ahead[0]) else _GLOVE
    return found
