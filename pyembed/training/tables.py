"""The two tables: allocated in large pages where the system has them, initialised as word2vec does."""

from __future__ import annotations

import mmap
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pyembed.config import TrainConfig
from pyembed.corpus.sampling import fill_uniform
from pyembed.training.device_memory import require_device_memory

_COLUMNS_TOGETHER = 16
_HUGE_PAGE = 2 << 20
_ELEMENTS_AT_ONCE = 1 << 17  # they stay in the cache until they are copied


def new_table(rows: int, columns: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Zeros, [rows, columns] on the CPU, at the start of a large page.

    Raises:
        MemoryError: the table does not fit; the message says how much was asked for.
    """
    size = rows * columns * dtype.itemsize
    try:
        # Anonymous memory is zero, and costs nothing until it is touched.
        memory = mmap.mmap(-1, size + _HUGE_PAGE)
    except (OSError, OverflowError) as error:
        raise MemoryError(
            f"a table of {rows:,} rows and {columns:,} columns needs {size / 1e9:.1f} GB, which could not be had; "
            "raise min_count, or set max_final_vocab, a smaller vector_size or table_dtype bfloat16"
        ) from error
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel without large pages: small ones work, slower
            memory.madvise(mmap.MADV_HUGEPAGE)
    storage = torch.frombuffer(memory, dtype=dtype)
    first = -storage.data_ptr() % _HUGE_PAGE // dtype.itemsize
    return storage[first : first + rows * columns].view(rows, columns)


@dataclass(frozen=True)
class Tables:
    """What is trained, on one device: float32 or bfloat16[V, D padded].

    D is padded to a multiple of 16, so that kernels meet no remainder and a row of float32 begins at a cache line. One
    of bfloat16 may begin amid a line, but takes no more lines for it. The padding is zero in both tables, and so adds
    nothing to a dot product and never changes.
    """

    in_padded: Tensor
    out_padded: Tensor
    dimensions: int
    """D."""

    @property
    def in_vectors(self) -> Tensor:
        """[V, D], a view."""
        return self.in_padded[:, : self.dimensions]

    @property
    def out_vectors(self) -> Tensor:
        """[V, D], a view."""
        return self.out_padded[:, : self.dimensions]


def new_tables(rows: int, config: TrainConfig) -> Tables:
    """in_vectors as word2vec starts them (reference.initial_in_vectors), out_vectors zero.

    Raises:
        MemoryError: they do not fit where they are to live; the message says how much they need and what would fit.
    """
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[config.table_dtype]
    columns = -(-config.vector_size // _COLUMNS_TOGETHER) * _COLUMNS_TOGETHER
    device = torch.device(config.device)
    if device.type == "cuda":
        require_device_memory(rows, columns, dtype, device)
    in_padded, out_padded = (
        new_table(rows, columns, dtype)
        if device.type == "cpu"
        else torch.zeros(rows, columns, dtype=dtype, device=device)
        for _ in range(2)
    )
    values = torch.empty(max(1, _ELEMENTS_AT_ONCE // config.vector_size), config.vector_size)
    for first_row, some in zip(range(0, rows, len(values)), in_padded.split(len(values)), strict=True):
        initial = values[: len(some)]
        fill_uniform(initial.numpy(), first_row, np.uint64(config.seed))
        some[:, : config.vector_size] = initial
    return Tables(in_padded, out_padded, config.vector_size)
