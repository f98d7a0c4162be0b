"""numpy: `.npy`, with the words in `NAME.words.txt` beside it, one a line; and `.npz`, which holds all. Never pickle.

In a `.npz` stand `vectors` float32[V, D], `words` uint8[n], the words in UTF-8 one after another, `word_ends` int64[V]
and, where there are any, `counts` int64[V] and `metadata` uint8[m], a JSON object. `words` may also be an array of
strings.
"""

from __future__ import annotations

import ast
import io
import json
import math
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from pyembed.files import whole_file
from pyembed.vectors.arrays import Float32Array, Int64Array
from pyembed.vectors.formats.binary_cursor import BinaryCursor
from pyembed.vectors.formats.repairs import Errors, Repairs
from pyembed.vectors.formats.table import VectorFileError, VectorTable
from pyembed.vectors.formats.words_file import read_words, write_words

_MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 10_000
_FLOATS = re.compile(r"[<>=|]f[248]")
_TYPES = re.compile(r"[<>=|](?:[fiu][1248]|U\d{1,9})")
_MOST_DEFLATED = 1032
"""How many bytes deflate can make of one."""


def words_path(path: Path) -> Path:
    """Where the words of a `.npy` lie."""
    return path.with_name(path.name[: -len(path.suffix)] + ".words.txt" if path.suffix else path.name + ".words.txt")


def read_npy(path: Path, *, errors: Errors = "strict", mmap: bool = False) -> VectorTable:
    """Reads float16, float32 or float64 [V, D], in C or Fortran order, as float32, and the words beside it.

    Args:
        path: of the array.
        errors: the policy for damaged words.
        mmap: leave the vectors in the file, which must then be little-endian float32 in C order.

    Raises:
        VectorFileError: the file is damaged, or the words are not V.
        OSError: a file cannot be read.
    """
    repairs = Repairs(path, errors)
    cursor = BinaryCursor(path)
    kind, shape, fortran = _header(cursor)
    if not _FLOATS.fullmatch(kind) or len(shape) != 2:
        raise VectorFileError(f"{path}: expected floats of shape [V, D], found {kind} of shape {list(shape)}")
    array = cursor.array(kind, shape[::-1] if fortran else shape, "the array")
    cursor.require_end()
    if mmap and (fortran or array.dtype != np.dtype("<f4")):
        order = "Fortran" if fortran else "C"
        raise VectorFileError(
            f"{path}: expected float32 in C order, to be memory-mapped, found {kind} in {order} order"
        )
    words = read_words(words_path(path), repairs)
    return repairs.table(words, _as_vectors(array.T if fortran else array, len(words), path, copy=not mmap))


def _as_vectors(array: npt.NDArray[Any], words: int, path: Path, copy: bool = True) -> Float32Array:
    if array.ndim != 2 or array.dtype.kind != "f" or len(array) != words or array.shape[1] == 0:
        found = f"{array.dtype} of shape {list(array.shape)}"
        raise VectorFileError(f"{path}: expected floats of shape [{words}, D], a row for each word, found {found}")
    with np.errstate(over="ignore"):
        return np.array(array, dtype=np.float32, order="C") if copy else array


def _header(cursor: BinaryCursor) -> tuple[str, tuple[int, ...], bool]:
    """Type, shape and whether the order is Fortran's."""
    magic = cursor.bytes(8, "numpy's magic number and version")
    if magic[:6] != _MAGIC or magic[6] not in (1, 2):
        raise cursor.error(f"expected numpy's magic number and version 1 or 2, found {magic!r}")
    (length,) = cursor.numbers("H" if magic[6] == 1 else "I", "the length of the header")
    if length > _LONGEST_HEADER:
        raise cursor.error(f"expected a header of at most {_LONGEST_HEADER} bytes, found {length}")
    text = cursor.bytes(length, "the header")
    try:
        header = ast.literal_eval(text.decode("latin1").strip())
        kind, shape, fortran = header["descr"], header["shape"], header["fortran_order"]
        valid = isinstance(kind, str) and _TYPES.fullmatch(kind) and isinstance(fortran, bool)
        valid = valid and isinstance(shape, tuple) and all(type(side) is int and side >= 0 for side in shape)
        np.dtype(kind)
    except (ValueError, SyntaxError, TypeError, KeyError, IndexError, MemoryError, RecursionError):
        valid = False
    if not valid:
        raise cursor.error(f"expected numpy's header of numbers or strings, no objects, found {text[:80]!r}")
    return kind, shape, fortran


def write_npy(table: VectorTable, path: Path) -> None:
    """Writes array and words, both whole or not at all. Counts and metadata have no place here.

    Raises:
        VectorFileError: a word holds a newline or carriage return, or is empty.
        OSError: a file cannot be written.
    """
    with whole_file(path) as file:
        _write_array(file, table.vectors)
        file.flush()  # whatever fails, fails before either appears: words must not stand beside another array
        write_words(table.words, words_path(path))


def _write_array(file: BinaryIO | Any, array: npt.NDArray[Any]) -> None:
    np.lib.format.write_array(file, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)


def read_npz(path: Path, *, errors: Errors = "strict") -> VectorTable:
    """Reads a file that `write_npz` made, or another with `vectors` and an array of strings, `words`.

    Raises:
        VectorFileError: the file is damaged, or lacks one of them.
        OSError: the file cannot be read.
    """
    repairs = Repairs(path, errors)
    arrays = _read_members(path)
    missing = {"vectors", "words"} - set(arrays)
    if missing:
        raise VectorFileError(f"{path}: expected arrays named vectors and words, found {sorted(arrays)}")
    words = _words_of(arrays, path, repairs)
    counts: Int64Array | None = None
    if "counts" in arrays:
        if arrays["counts"].shape != (len(words),) or arrays["counts"].dtype.kind not in "iu":
            raise VectorFileError(f"{path}: expected counts of {len(words)} whole numbers, found another array")
        counts = arrays["counts"].astype(np.int64)
    metadata = _metadata_of(arrays["metadata"], path) if "metadata" in arrays else {}
    return repairs.table(words, _as_vectors(arrays["vectors"], len(words), path), counts, metadata)


def _words_of(arrays: dict[str, npt.NDArray[Any]], path: Path, repairs: Repairs) -> list[str | None]:
    words, ends = arrays["words"], arrays.get("word_ends")
    if words.dtype.kind == "U" and words.ndim == 1:
        try:
            return [str(word) for word in words]
        except ValueError as error:  # a number that is no character
            raise VectorFileError(f"{path}: expected words, found: {error}") from error
    if words.dtype != np.uint8 or words.ndim != 1 or ends is None or ends.dtype != np.int64 or ends.ndim != 1:
        raise VectorFileError(
            f"{path}: expected words as strings, or as uint8 with word_ends int64, found {words.dtype}"
        )
    if (np.diff(ends, prepend=0) < 0).any() or (ends[-1] if ends.size else 0) != words.size:
        raise VectorFileError(f"{path}: expected ascending word_ends up to {words.size}, found others")
    text, starts = words.tobytes(), [0, *ends[:-1].tolist()]
    spans = zip(starts, ends.tolist(), strict=False)
    return [repairs.decode(text[start:end], f"in row {row}") for row, (start, end) in enumerate(spans)]


def _metadata_of(array: npt.NDArray[Any], path: Path) -> Mapping[str, str]:
    try:
        metadata = json.loads(array.tobytes())
    except (ValueError, RecursionError) as error:
        raise VectorFileError(f"{path}: metadata: expected JSON, found: {error}") from error
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise VectorFileError(f"{path}: metadata: expected strings by name, found others")
    return metadata


def _read_members(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a zip archive by name."""
    size = path.stat().st_size
    arrays: dict[str, npt.NDArray[Any]] = {}
    try:
        with _BoundedFile(io.FileIO(path)) as file, zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                name = info.filename.removesuffix(".npy")
                if name not in ("vectors", "words", "word_ends", "counts", "metadata") or name in arrays:
                    continue
                most = min(info.compress_size, size) * (_MOST_DEFLATED if info.compress_type else 1)
                if info.file_size > most or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise VectorFileError(f"{path}: {name}: expected at most {most} bytes, found {info.file_size}")
                arrays[name] = _parse_member(archive.read(info), path, name)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, struct.error) as error:
        raise VectorFileError(f"{path}: expected a .npz archive, found: {error}") from error
    except (ValueError, OSError, UnicodeError) as error:
        if isinstance(error, VectorFileError) or getattr(error, "filename", None) is not None:
            raise
        raise VectorFileError(f"{path}: expected a .npz archive, found: {error}") from error
    return arrays


class _BoundedFile(io.BufferedReader):
    """A file that makes no room for more than it holds: zipfile asks for what damaged sizes say."""

    def read(self, size: int | None = -1, /) -> bytes:
        held = os.fstat(self.fileno()).st_size
        return super().read(-1 if size is None else min(size, held))


class _MemberCursor(BinaryCursor):
    """A cursor over bytes that were in an archive."""

    def __init__(self, path: Path, content: bytes) -> None:
        self.path, self.position = path, 0
        self.content = content  # type: ignore[assignment]  # read like a map
        self.size = len(content)


def _parse_member(content: bytes, path: Path, name: str) -> npt.NDArray[Any]:
    cursor = _MemberCursor(path.with_name(f"{path.name}: {name}"), content)
    kind, shape, fortran = _header(cursor)
    size = np.dtype(kind).itemsize * math.prod(shape)
    if size != len(content) - cursor.position:
        raise cursor.error(f"expected {size} bytes of {name}, found {len(content) - cursor.position}")
    array = cursor.array(kind, shape[::-1] if fortran else shape, name)
    return array.T if fortran else array


def write_npz(table: VectorTable, path: Path) -> None:
    """Writes the file whole or not at all, uncompressed.

    Raises:
        VectorFileError: a word cannot be encoded.
        OSError: the file cannot be written.
    """
    try:
        encoded = [word.encode() for word in table.words]
        metadata = json.dumps(dict(table.metadata), ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise VectorFileError(f"{path}: expected words and metadata that UTF-8 can hold: {error}") from error
    arrays: dict[str, npt.NDArray[Any]] = {
        "words": np.frombuffer(b"".join(encoded), np.uint8),
        "word_ends": np.cumsum([len(word) for word in encoded], dtype=np.int64),
        "vectors": table.vectors,
    }
    if table.counts is not None:
        arrays["counts"] = table.counts
    if table.metadata:
        arrays["metadata"] = np.frombuffer(metadata, np.uint8)
    with whole_file(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            # A fixed date: equal content, equal bytes.
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                _write_array(member, array)
