"""Rows of in_vectors that learn less than others, or nothing: each change times the row's factor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyembed import reference
from pyembed.reference import TokenBlock


class RowLocks:
    """Holds rows back while a slice trains: kernels move every row, and then locked ones take back their share.

    Args:
        factors: float32[V]. 0: the row stays as it is; 1: it learns as others do.
        in_padded: [V, D padded], the table whose rows they are.
        seed: of the rounding of bfloat16.

    Raises:
        ValueError: another shape than [V], or a factor that is no finite number.
    """

    def __init__(self, factors: NDArray[np.float32], in_padded: Tensor, seed: int) -> None:
        rows = len(in_padded)
        if factors.shape != (rows,):
            raise ValueError(f"locks: expected one factor for each of {rows:,} words, found shape {factors.shape}")
        if not np.isfinite(factors).all():
            word = int(np.flatnonzero(~np.isfinite(factors))[0])
            raise ValueError(f"locks: expected finite numbers, found {factors[word]} at index {word}")
        self._factors = torch.from_numpy(factors.astype(np.float32)).to(in_padded.device)
        self._locked = self._factors != 1
        self._table = in_padded
        self._seed = seed
        self._slices = 0

    @property
    def any(self) -> bool:
        """Whether there is a factor other than 1."""
        return bool(self._locked.any())

    @contextmanager
    def held(self, block: TokenBlock) -> Iterator[None]:
        """Of what the body changes in the block's locked rows, each keeps its factor's part, also where it raises."""
        ids = block.ids.long().unique()
        ids = ids[self._locked[ids]]
        before = reference.rows_of(self._table, ids)
        try:
            yield
        finally:
            self._slices += 1
            factors = self._factors[ids, None]
            change = reference.rows_of(self._table, ids) - before
            # a row that is to stay does so whatever became of it in between
            rows = torch.where(factors == 0, before, before + factors.to(before.dtype) * change)
            reference.store_rows_(self._table, ids, rows, self._seed, self._slices)
