"""The tables: allocated in large pages where the system has them, initialised as word2vec does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pyembed.config import TrainConfig
from pyembed.corpus.sampling import fill_uniform
from pyembed.memory import LARGE_PAGE, anonymous_memory
from pyembed.training.device_memory import require_device_memory

_COLUMNS_TOGETHER = 16
_ELEMENTS_AT_ONCE = 1 << 17  # they stay in the cache until they are copied


def new_table(rows: int, columns: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Zeros, [rows, columns] on the CPU, at the start of a large page.

    Raises:
        MemoryError: the table does not fit; the message says how much was asked for.
    """
    size = rows * columns * dtype.itemsize
    try:
        memory = anonymous_memory(size + LARGE_PAGE, large_pages=True)
    except (OSError, OverflowError) as error:
        raise MemoryError(
            f"a table of {rows:,} rows and {columns:,} columns needs {size / 1e9:.1f} GB, which could not be had; "
            "raise min_count, or set max_final_vocab, a smaller vector_size or table_dtype bfloat16"
        ) from error
    storage = torch.frombuffer(memory, dtype=dtype)
    first = -storage.data_ptr() % LARGE_PAGE // dtype.itemsize
    return storage[first : first + rows * columns].view(rows, columns)


@dataclass(frozen=True)
class Tables:
    """What is trained, on one device: float32 or bfloat16[rows, D padded].

    D is padded to a multiple of 16, so that kernels meet no remainder and a row of float32 begins at a cache line. One
    of bfloat16 may begin amid a line, but takes no more lines for it. The padding is zero in every table, and so adds
    nothing to a dot product and never changes.
    """

    in_padded: Tensor
    """[V, D padded]."""
    out_padded: Tensor | None
    """[V, D padded]; None where there are no negatives."""
    node_padded: Tensor | None
    """[max(V - 1, 1), D padded], the inner nodes of Huffman's tree; None without hierarchical softmax."""
    dimensions: int
    """D."""

    @property
    def in_vectors(self) -> Tensor:
        """[V, D], a view."""
        return self.in_padded[:, : self.dimensions]

    @property
    def out_vectors(self) -> Tensor | None:
        """[V, D], a view."""
        return None if self.out_padded is None else self.out_padded[:, : self.dimensions]

    @property
    def node_vectors(self) -> Tensor | None:
        """[max(V - 1, 1), D], a view."""
        return None if self.node_padded is None else self.node_padded[:, : self.dimensions]

    @property
    def padded(self) -> tuple[Tensor, ...]:
        """Every table there is."""
        return tuple(table for table in (self.in_padded, self.out_padded, self.node_padded) if table is not None)

    @property
    def nbytes(self) -> int:
        """Memory of all tables."""
        return sum(table.nbytes for table in self.padded)


def padded_columns(dimensions: int) -> int:
    """D padded: a multiple of 16."""
    return -(-dimensions // _COLUMNS_TOGETHER) * _COLUMNS_TOGETHER


def new_tables(rows: int, config: TrainConfig) -> Tables:
    """in_vectors as word2vec starts them (reference.initial_in_vectors), the others zero.

    rows: V, >= 1.

    Raises:
        MemoryError: they do not fit where they are to live; the message says how much they need and what would fit.
    """
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[config.table_dtype]
    columns = padded_columns(config.vector_size)
    device = torch.device(config.device)
    if device.type == "cuda":
        require_device_memory(1 + (config.negative > 0) + config.hs, rows, columns, dtype, device)

    def zeros(rows: int) -> Tensor:
        if device.type == "cpu":
            return new_table(rows, columns, dtype)
        return torch.zeros(rows, columns, dtype=dtype, device=device)

    in_padded = zeros(rows)
    values = torch.empty(max(1, _ELEMENTS_AT_ONCE // config.vector_size), config.vector_size)
    for first_row, some in zip(range(0, rows, len(values)), in_padded.split(len(values)), strict=True):
        initial = values[: len(some)]
        fill_uniform(initial.numpy(), first_row, np.uint64(config.seed))
        some[:, : config.vector_size] = initial
    return Tables(
        in_padded,
        out_padded=zeros(rows) if config.negative else None,
        node_padded=zeros(max(rows - 1, 1)) if config.hs else None,
        dimensions=config.vector_size,
    )


def grown_tables(tables: Tables, rows: int, config: TrainConfig) -> Tables:
    """Tables of more words: old rows keep their vectors, new ones start as new_tables starts rows of their numbers.

    The nodes all start at zero, because the tree of other counts gives them other meanings. rows: V, at least as many
    as there are.

    Raises:
        ValueError: fewer rows than there are, or another vector_size.
        MemoryError: as new_tables; the old tables stay until the new ones are filled.
    """
    old_rows = len(tables.in_padded)
    if rows < old_rows:
        raise ValueError(f"rows: expected at least the {old_rows:,} there are, found {rows:,}")
    if config.vector_size != tables.dimensions:
        raise ValueError(
            f"vector_size: expected that of the tables, {tables.dimensions}, found {config.vector_size}; "
            "vectors of another size are trained anew"
        )
    grown = new_tables(rows, config)
    grown.in_padded[:old_rows] = tables.in_padded
    if grown.out_padded is not None and tables.out_padded is not None:
        grown.out_padded[:old_rows] = tables.out_padded
    return grown
