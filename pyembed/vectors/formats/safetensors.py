"""safetensors: the matrix as one tensor named `weight`, as torch.nn.Embedding names it; words and counts as metadata.

So `torch.nn.Embedding(V, D).load_state_dict(safetensors.torch.load_file(path))` works as it stands. Metadata are
strings by the format's rules: `words` and `counts` are JSON arrays, `pyembed_format` is the version of this layout.
Of a model's file (model_words.py) the vectors are read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pyembed.vectors.formats.model_words import MODEL_KEY, is_model, read_words
from pyembed.vectors.formats.repairs import Errors, Repairs
from pyembed.vectors.formats.safetensors_file import SafetensorsFile, json_text, write_file
from pyembed.vectors.formats.table import VectorFileError, VectorTable

_LAYOUT_VERSION = "1"
_OWN_KEYS = ("format", "pyembed_format", MODEL_KEY, "words", "counts")


def read(path: Path, *, errors: Errors = "strict", mmap: bool = False) -> VectorTable:
    """Reads a file that `write` made; with `mmap`, the vectors are left in it.

    Raises:
        VectorFileError: not a safetensors file, or without the tensor and metadata described above.
        OSError: the file cannot be read.
    """
    repairs = Repairs(path, errors)
    file = SafetensorsFile(path)
    if is_model(file):
        return _model_table(file, repairs, mmap)
    version = file.metadata.get("pyembed_format")
    if version != _LAYOUT_VERSION:
        raise VectorFileError(
            f"{path}: expected metadata pyembed_format = {_LAYOUT_VERSION!r}, found {version!r}; "
            "a safetensors file of other making holds no words"
        )
    if list(file.tensors) != ["weight"]:
        raise VectorFileError(f"{path}: expected one tensor named 'weight', found {list(file.tensors)}")
    if file.tensors["weight"].dtype != "F32":
        raise VectorFileError(f"{path}: weight: expected float32, found {file.tensors['weight'].dtype}")
    vectors = file.matrix("weight", mmap)
    words = _array(file.metadata, "words", str, len(vectors), path)
    counts = None
    if "counts" in file.metadata:
        counts = np.array(_array(file.metadata, "counts", int, len(vectors), path), dtype=np.int64)
    return repairs.table(words, vectors, counts, _others(file.metadata))


def _model_table(file: SafetensorsFile, repairs: Repairs, mmap: bool) -> VectorTable:
    words, counts = read_words(file)
    return repairs.table(words, file.matrix("weight", mmap), counts, _others(file.metadata))


def _others(metadata: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in metadata.items() if name not in _OWN_KEYS}


def begins(path: Path) -> bool:
    """Whether a file begins as all of this format do: a length below 2^32, then a JSON object.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        beginning = file.read(9)
    return beginning[4:] == b"\0\0\0\0{"


def _array(metadata: Mapping[str, str], name: str, kind: type, length: int, path: Path) -> list[Any]:
    try:
        values = json.loads(metadata.get(name, "null"))
    except (ValueError, RecursionError) as error:
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
    metadata["words"] = json_text(list(table.words))
    if table.counts is not None:
        metadata["counts"] = json_text(table.counts.tolist())
    write_file(path, {"weight": table.vectors}, metadata)
