"""The two tables: allocated in large pages where the system has them, initialised as word2vec does."""

from __future__ import annotations

import mmap
from contextlib import suppress
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pyembed.config import TrainConfig
from pyembed.corpus.random_words import fill_random_words

INITIAL_STREAM = 3
"""reference.INITIAL; a test compares them."""

_LINE_FLOATS = 16  # in a cache line
_HUGE_PAGE = 2 << 20


def new_table(rows: int, columns: int) -> Tensor:
    """Zeros, float32[rows, columns] on the CPU, at the start of a large page.

    Raises:
        MemoryError: the table does not fit; the message says how much was asked for.
    """
    size = rows * columns * 4
    try:
        # Anonymous memory is zero, and costs nothing until it is touched.
        memory = mmap.mmap(-1, size + _HUGE_PAGE)
    except (OSError, OverflowError) as error:
        raise MemoryError(
            f"a table of {rows:,} rows and {columns:,} columns needs {size / 1e9:.1f} GB, which could not be had; "
            "raise min_count, or set max_final_vocab or a smaller vector_size"
        ) from error
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel without large pages: small ones work, slower
            memory.madvise(mmap.MADV_HUGEPAGE)
    storage = torch.frombuffer(memory, dtype=torch.float32)
    first = -storage.data_ptr() % _HUGE_PAGE // 4
    return storage[first : first + rows * columns].view(rows, columns)


@dataclass(frozen=True)
class Tables:
    """What is trained, on one device: float32[V, D padded].

    D is padded to whole cache lines, so that a row begins at one and kernels meet no remainder. The padding is zero in
    both tables, and so adds nothing to a dot product and never changes.
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
    """in_vectors as word2vec starts them (reference.initial_in_vectors), out_vectors zero."""
    columns = -(-config.vector_size // _LINE_FLOATS) * _LINE_FLOATS
    in_padded, out_padded = new_table(rows, columns), new_table(rows, columns)
    _fill_uniform(in_padded[:, : config.vector_size].numpy(), np.uint64(config.seed))
    return Tables(in_padded.to(config.device), out_padded.to(config.device), config.vector_size)


@numba.njit(cache=True, nogil=True)
def _fill_uniform(table: npt.NDArray[np.float32], seed: np.uint64) -> None:
    rows, dimensions = table.shape
    words = np.empty((dimensions // 4 + 2, 4), np.uint32)
    for row in range(rows):
        element = row * dimensions
        fill_random_words(seed, np.uint64(0), np.uint64(INITIAL_STREAM), np.uint64(element // 4), words)
        shift = element % 4
        for column in range(dimensions):
            word = words[(shift + column) >> 2, (shift + column) & 3]
            uniform = np.float32(word >> np.uint32(8)) * np.float32(2.0**-24)
            table[row, column] = (uniform - np.float32(0.5)) / np.float32(dimensions)
