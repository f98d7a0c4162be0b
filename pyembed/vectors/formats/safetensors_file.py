"""A safetensors file as it lies on disk: the length of a JSON header, the header, the tensors' bytes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pyembed.files import whole_file
from pyembed.vectors.arrays import Float32Array
from pyembed.vectors.formats.binary_cursor import BinaryCursor
from pyembed.vectors.formats.table import VectorFileError

_LONGEST_HEADER = 100_000_000
"""Bytes; readers of safetensors refuse more."""
_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "BOOL": 1} | {
    f"{sign}{8 * size}": size for sign in "IU" for size in (1, 2, 4, 8)
}
_FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}
_NUMPY = (
    _FLOATS
    | {"BF16": "<u2", "BOOL": "|b1"}
    | {f"{sign}{8 * size}": f"<{sign.lower()}{size}" for sign in "IU" for size in (1, 2, 4, 8)}
)
_NAMES = {np.dtype(numpy): name for name, numpy in _NUMPY.items() if name != "BF16"}
_ROWS_AT_ONCE = 1 << 16
"""What is not contiguous is copied so many rows at a time to be written."""


class Tensor(NamedTuple):
    """A tensor's place in a file."""

    dtype: str
    """As the format names it."""
    shape: tuple[int, ...]
    start: int
    """First byte in the file."""


class SafetensorsFile:
    """Names, places and metadata; and tensors, one at a time."""

    def __init__(self, path: Path) -> None:
        """Reads the header.

        Raises:
            VectorFileError: not a safetensors file, or cut short.
            OSError: the file cannot be read.
        """
        self.path = path
        try:
            self._cursor = BinaryCursor(path)
            (length,) = self._cursor.numbers("Q", "the length of the header")
            if length > _LONGEST_HEADER:
                raise self._cursor.error(f"expected a header of at most {_LONGEST_HEADER} bytes, found {length}")
            header = json.loads(self._cursor.bytes(length, "the header"))
            if not isinstance(header, dict):
                raise self._cursor.error("expected names in the header, found none")
            metadata = header.pop("__metadata__", None) or {}
            if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
                raise self._cursor.error("expected metadata of strings by name, found others")
            self.metadata: Mapping[str, str] = metadata
            self.tensors = {name: self._tensor(name, entry) for name, entry in header.items()}
        except (ValueError, RecursionError) as error:
            raise VectorFileError(f"{path}: expected a safetensors file, found: {error}") from error

    def _tensor(self, name: str, entry: Any) -> Tensor:
        start_of_data, room = self._cursor.position, self._cursor.size - self._cursor.position
        try:
            dtype, shape, (start, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
            numbers = [*shape, start, end]
            size = _BYTES[dtype] * math.prod(shape) if all(type(number) is int for number in numbers) else -1
        except (KeyError, TypeError, ValueError):
            raise VectorFileError(f"tensor {name!r}: expected type, shape and offsets, found {entry!r:.100}") from None
        if not 0 <= start <= end <= room or end - start != size or min(shape, default=0) < 0:
            found = f"{dtype} of shape {shape!r:.100} in bytes {start} to {end} of {room}"
            raise VectorFileError(f"tensor {name!r}: expected a place in the file that fits its shape, found {found}")
        return Tensor(dtype, tuple(shape), start_of_data + start)

    def matrix(self, name: str, mmap: bool = False) -> Float32Array:
        """A tensor of floats, [rows, columns], as float32; with `mmap`, float32 alone, and left in the file.

        Raises:
            VectorFileError: it has other numbers, or another shape.
        """
        tensor = self.tensors[name]
        if len(tensor.shape) != 2 or not tensor.shape[1] or tensor.dtype not in (*_FLOATS, "BF16"):
            found = f"{tensor.dtype} of shape {list(tensor.shape)}"
            raise VectorFileError(f"{self.path}: {name}: expected floats of shape [V, D], found {found}")
        if mmap and tensor.dtype != "F32":
            raise VectorFileError(f"{self.path}: {name}: expected float32, to be memory-mapped, found {tensor.dtype}")
        self._cursor.position = tensor.start
        if tensor.dtype == "BF16":  # the upper half of a float32
            halves: npt.NDArray[np.uint16] = self._cursor.array("<u2", tensor.shape, name)
            return (halves.astype(np.uint32) << 16).view(np.float32)
        array = self._cursor.array(_FLOATS[tensor.dtype], tensor.shape, name)
        with np.errstate(over="ignore"):
            return array if mmap else np.array(array, dtype=np.float32)

    def numbers(self, name: str, *dtypes: str) -> npt.NDArray[Any]:
        """A tensor as it lies in the file, read-only; of bfloat16 the uint16 of the same bits.

        Raises:
            VectorFileError: there is none of that name, or of another dtype than those named.
        """
        tensor = self.tensors.get(name)
        if tensor is None or tensor.dtype not in (dtypes or _NUMPY):
            found = f"{tensor.dtype}" if tensor else f"only {', '.join(self.tensors) or 'metadata'}"
            raise VectorFileError(f"{self.path}: {name}: expected {' or '.join(dtypes) or 'numbers'}, found {found}")
        self._cursor.position = tensor.start
        return self._cursor.array(_NUMPY[tensor.dtype], tensor.shape, name)


def write_file(
    path: Path,
    tensors: Mapping[str, npt.NDArray[Any]],
    metadata: Mapping[str, str],
    *,
    bfloat16: Collection[str] = (),
) -> None:
    """Writes tensors and metadata, whole or not at all.

    Args:
        path: of the file.
        tensors: by name, of any numbers that numpy and the format both have.
        metadata: strings by name.
        bfloat16: names of tensors whose uint16 are the bits of bfloat16.

    Raises:
        VectorFileError: metadata cannot be encoded, or are too long for the format's header.
        OSError: the file cannot be written.
    """
    # The widest first, so that all lie aligned.
    arrays = dict(sorted(tensors.items(), key=lambda item: -item[1].itemsize))
    entries: dict[str, Any] = {}
    end = 0
    for name, array in arrays.items():
        dtype = "BF16" if name in bfloat16 else _NAMES[array.dtype.newbyteorder("<")]
        entries[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [end, end + array.nbytes]}
        end += array.nbytes
    try:
        header = json_text({"__metadata__": dict(metadata), **entries}).encode()
    except UnicodeEncodeError as error:
        raise VectorFileError(f"{path}: expected words and metadata that UTF-8 can hold: {error}") from error
    header += b" " * (-len(header) % 8)  # the format wants tensors aligned
    if len(header) > _LONGEST_HEADER:
        raise VectorFileError(
            f"{path}: expected words and counts within the {_LONGEST_HEADER} bytes of a safetensors header, "
            f"found {len(header)}; save as .bin or .txt"
        )
    with whole_file(path) as file:
        file.write(len(header).to_bytes(8, "little"))
        file.write(header)
        for array in arrays.values():
            for start in range(0, len(array), _ROWS_AT_ONCE):
                rows = array[start : start + _ROWS_AT_ONCE]
                file.write(np.ascontiguousarray(rows, dtype=rows.dtype.newbyteorder("<")).data)


def can_hold(dtype: np.dtype[Any]) -> bool:
    """Whether a tensor can be of numpy's dtype."""
    return dtype.newbyteorder("<") in _NAMES


def json_text(value: Any, default: Callable[[Any], Any] | None = None) -> str:
    """JSON without spaces, in UTF-8; `default` makes something that JSON knows of what it does not."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=default)
