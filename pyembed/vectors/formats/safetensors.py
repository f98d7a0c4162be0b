"""safetensors: the matrix as one tensor named `weight`, as torch.nn.Embedding names it; words and counts as metadata.

So `torch.nn.Embedding(V, D).load_state_dict(safetensors.torch.load_file(path))` works as it stands. Metadata are
strings by the format's rules: `words` and `counts` are JSON arrays, `pyembed_format` is the version of this layout.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from pyembed.files import whole_file
from pyembed.vectors.formats.table import VectorFileError, VectorTable, require_distinct

_LAYOUT_VERSION = "1"
_LONGEST_HEADER = 100_000_000
"""Bytes; readers of safetensors refuse more."""
_OWN_KEYS = ("format", "pyembed_format", "words", "counts")


def read(path: Path) -> VectorTable:
    """Reads a file that `write` made.

    Raises:
        VectorFileError: not a safetensors file, or without the tensor and metadata described above.
        OSError: the file cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    with path.open("rb"):
        pass  # a missing file is an OSError, as in every other format
    try:
        with safe_open(path, framework="numpy") as file:
            metadata: dict[str, str] = file.metadata() or {}
            version = metadata.get("pyembed_format")
            if version != _LAYOUT_VERSION:
                raise VectorFileError(
                    f"{path}: expected metadata pyembed_format = {_LAYOUT_VERSION!r}, found {version!r}; "
                    "a safetensors file of other making holds no words"
                )
            if list(file.keys()) != ["weight"]:
                raise VectorFileError(f"{path}: expected one tensor named 'weight', found {list(file.keys())}")
            vectors = file.get_tensor("weight")
    except SafetensorError as error:
        raise VectorFileError(f"{path}: expected a safetensors file, found: {error}") from error
    if vectors.dtype != np.float32 or vectors.ndim != 2 or vectors.shape[1] == 0:
        raise VectorFileError(
            f"{path}: weight: expected float32 of shape [V, D], found {vectors.dtype} of shape {list(vectors.shape)}"
        )
    words = _array(metadata, "words", str, len(vectors), path)
    require_distinct(words, path)
    counts = None
    if "counts" in metadata:
        counts = np.array(_array(metadata, "counts", int, len(vectors), path), dtype=np.int64)
    others = {name: value for name, value in metadata.items() if name not in _OWN_KEYS}
    return VectorTable(words=words, vectors=vectors, counts=counts, metadata=others)


def _array(metadata: dict[str, str], name: str, kind: type, length: int, path: Path) -> list[Any]:
    try:
        values = json.loads(metadata.get(name, "null"))
    except (json.JSONDecodeError, RecursionError) as error:
        raise VectorFileError(f"{path}: metadata {name}: expected JSON, found: {error}") from error
    if not isinstance(values, list) or len(values) != length:
        found = f"{len(values)} values" if isinstance(values, list) else type(values).__name__
        raise VectorFileError(f"{path}: metadata {name}: expected {length} values, one a row, found {found}")
    for row, value in enumerate(values):
        if type(value) is not kind or (isinstance(value, int) and not 0 <= value < 2**63):
            raise VectorFileError(f"{path}: metadata {name}: row {row}: expected {kind.__name__}, found {value!r}")
    return values


def write(table: VectorTable, path: Path) -> None:
    """Writes the file whole or not at all.

    Raises:
        VectorFileError: the words are too many for the format's header, or metadata use a name reserved here.
        OSError: the file cannot be written.
    """
    reserved = [name for name in table.metadata if name in _OWN_KEYS]
    if reserved:
        raise VectorFileError(f"{path}: metadata: expected none of {', '.join(_OWN_KEYS)}, found {reserved[0]!r}")
    metadata = {"format": "pt", "pyembed_format": _LAYOUT_VERSION, **table.metadata}
    metadata["words"] = _json(list(table.words))
    if table.counts is not None:
        metadata["counts"] = _json(table.counts.tolist())
    vectors = np.ascontiguousarray(table.vectors, dtype="<f4")
    tensor = {"dtype": "F32", "shape": list(vectors.shape), "data_offsets": [0, 4 * math.prod(vectors.shape)]}
    try:
        header = _json({"__metadata__": metadata, "weight": tensor}).encode()
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
        file.write(vectors.data)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
