"""Allocates and initialises the two tables so that a row begins at a cache line and large tables use large pages."""

from __future__ import annotations

import mmap

import numba
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pyembed.corpus.random_words import fill_random_words

INITIAL_STREAM = 3
"""reference.INITIAL; a test compares them."""

_ROW_FLOATS = 16  # a cache line: rows that begin at one are read and written without splits
_HUGE_PAGE = 2 << 20


def new_table(rows: int, dimensions: int) -> Tensor:
    """Zeros, float32[V, D] on the CPU, with rows that begin at a cache line: a view of [V, D rounded up to 16].

    Raises:
        MemoryError: the table does not fit; the message says how much was asked for.
    """
    stride = -(-dimensions // _ROW_FLOATS) * _ROW_FLOATS
    size = rows * stride * 4
    try:
        # Anonymous memory is zero, page-aligned and costs nothing until it is touched.
        memory = mmap.mmap(-1, size + _HUGE_PAGE)
    except (OSError, OverflowError) as error:
        raise MemoryError(
            f"a table of {rows:,} rows and {dimensions:,} dimensions needs {size / 1e9:.1f} GB, which could not be had; "
            "raise min_count, or set max_final_vocab or a smaller vector_size"
        ) from error
    if hasattr(mmap, "MADV_HUGEPAGE"):
        try:
            memory.madvise(mmap.MADV_HUGEPAGE)
        except OSError:
            pass  # a kernel without large pages: small ones work, slower
    storage = torch.frombuffer(memory, dtype=torch.float32)
    misaligned = storage.data_ptr() % _HUGE_PAGE // 4
    first = (_HUGE_PAGE // 4 - misaligned) % (_HUGE_PAGE // 4)
    return storage[first : first + rows * stride].view(rows, stride)[:, :dimensions]


def initialise_(in_vectors: Tensor, seed: int) -> None:
    """word2vec's start, reference.initial_in_vectors, written into a float32[V, D] on the CPU."""
    _fill_uniform(in_vectors.numpy(), np.uint64(seed))


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
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
