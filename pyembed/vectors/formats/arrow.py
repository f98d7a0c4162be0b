"""Parquet and Arrow files: columns `word`, `vector` and, where known, `count`. They need the package pyarrow.

`vector` is written as a list of fixed size of float32, and read from any list of floats. Metadata lie in the schema.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pyembed.files import whole_file
from pyembed.vectors.arrays import Float32Array, Int64Array
from pyembed.vectors.formats.repairs import Errors, Repairs
from pyembed.vectors.formats.table import VectorFileError, VectorTable

_OWN_PREFIX = b"pyembed."
"""Before the names of metadata, which a schema shares with those of other programs."""


def pyarrow_package() -> Any:
    """The package, or a ModuleNotFoundError that says how to install it."""
    try:
        import pyarrow
    except ImportError:
        raise ModuleNotFoundError(
            "Parquet and Arrow files need the package pyarrow: pip install 'pyembed-torch[arrow]'", name="pyarrow"
        ) from None
    return pyarrow


def read_parquet(path: Path, *, errors: Errors = "strict") -> VectorTable:
    """Reads a Parquet file.

    Raises:
        VectorFileError: the file is damaged, or lacks a column.
        ModuleNotFoundError: pyarrow is not installed.
        OSError: the file cannot be read.
    """
    pyarrow_package()
    from pyarrow import parquet

    return _read(path, errors, lambda: parquet.read_table(path, columns=None, use_threads=False))


def read_arrow(path: Path, *, errors: Errors = "strict") -> VectorTable:
    """Reads an Arrow file (the IPC format, Feather's second version); raises as `read_parquet`."""
    pyarrow = pyarrow_package()

    def read_table() -> Any:
        with pyarrow.OSFile(str(path)) as source, pyarrow.ipc.open_file(source) as reader:
            return reader.read_all()

    return _read(path, errors, read_table)


def _read(path: Path, errors: Errors, read_table: Callable[[], Any]) -> VectorTable:
    pyarrow = pyarrow_package()
    repairs = Repairs(path, errors)
    with path.open("rb"):
        pass  # a missing file is an OSError, as in every other format
    try:
        table = read_table()
        table.validate(full=True)
        missing = {"word", "vector"} - set(table.column_names)
        if missing or len(set(table.column_names)) < len(table.column_names):
            raise VectorFileError(f"{path}: expected the columns word and vector, found {table.column_names}")
        words = table["word"].cast(pyarrow.string()).to_pylist()
        if None in words:
            raise VectorFileError(f"{path}: expected a word in each row, found none in row {words.index(None)}")
        vectors = _vectors(table["vector"], path)
        counts = _counts(table["count"]) if "count" in table.column_names else None
        schema = table.schema.metadata or {}
        metadata = {
            name[len(_OWN_PREFIX) :].decode(): value.decode()
            for name, value in schema.items()
            if name.startswith(_OWN_PREFIX)
        }
    except VectorFileError:
        raise
    except (pyarrow.ArrowException, OSError, ValueError, KeyError) as error:
        raise VectorFileError(f"{path}: expected a table of words and vectors, found: {error}") from error
    return repairs.table(words, vectors, counts, metadata)


def _vectors(column: Any, path: Path) -> Float32Array:
    pyarrow = pyarrow_package()
    values = column.combine_chunks()
    if isinstance(values, pyarrow.ChunkedArray):
        values = pyarrow.concat_arrays(values.chunks)
    lengths = set(pyarrow.compute.list_value_length(values).unique().to_pylist())
    if len(values) and (len(lengths) != 1 or lengths & {None, 0}):
        raise VectorFileError(
            f"{path}: vector: expected lists of one length, found lengths {sorted(map(str, lengths))}"
        )
    numbers = values.flatten()
    if numbers.null_count or not pyarrow.types.is_floating(numbers.type):
        raise VectorFileError(f"{path}: vector: expected floats without nulls, found {numbers.type}")
    dimensions = lengths.pop() if len(values) else getattr(values.type, "list_size", 1)
    floats = np.asarray(numbers.to_numpy(zero_copy_only=False), dtype=np.float32)
    return np.array(floats.reshape(len(values), dimensions))


def _counts(column: Any) -> Int64Array:
    if column.null_count:
        raise ValueError("expected a count for each word, found nulls")
    counts = column.to_numpy()
    if counts.dtype.kind not in "iu":
        raise ValueError(f"expected counts as whole numbers, found {counts.dtype}")
    return np.array(counts, dtype=np.int64)


def write_parquet(table: VectorTable, path: Path) -> None:
    """Writes the file whole or not at all.

    Raises:
        VectorFileError: a word cannot be encoded.
        ModuleNotFoundError: pyarrow is not installed.
        OSError: the file cannot be written.
    """
    pyarrow_package()
    from pyarrow import parquet

    content = _content(table, path)
    with whole_file(path) as file:
        parquet.write_table(content, file)


def write_arrow(table: VectorTable, path: Path) -> None:
    """Writes the file whole or not at all; raises as `write_parquet`."""
    pyarrow = pyarrow_package()
    content = _content(table, path)
    with whole_file(path) as file, pyarrow.ipc.new_file(file, content.schema) as writer:
        writer.write_table(content)


def _content(table: VectorTable, path: Path) -> Any:
    pyarrow = pyarrow_package()
    numbers = pyarrow.array(np.ascontiguousarray(table.vectors, dtype=np.float32).ravel())
    try:
        columns = {
            "word": pyarrow.array(list(table.words), pyarrow.string()),
            "vector": pyarrow.FixedSizeListArray.from_arrays(numbers, table.vectors.shape[1]),
        }
        metadata = {_OWN_PREFIX + name.encode(): value.encode() for name, value in table.metadata.items()}
    except UnicodeEncodeError as error:
        raise VectorFileError(f"{path}: expected words and metadata that UTF-8 can hold: {error}") from error
    if table.counts is not None:
        columns["count"] = pyarrow.array(table.counts)
    return pyarrow.table(columns).replace_schema_metadata(metadata or None)
