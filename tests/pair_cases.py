"""Explicit pairs to test with."""

from __future__ import annotations

from typing import NamedTuple

import torch
from blocks import Tables
from hypothesis import strategies as st
from torch import Tensor

LR = 0.05


class Case(NamedTuple):
    """Two tables, of different numbers of rows, and pairs of them."""

    tables: Tables
    in_ids: Tensor
    out_ids: Tensor


def random_case(
    pairs: int,
    outputs: int,
    dimensions: int,
    *,
    rows: tuple[int, int] = (11, 7),
    dtype: torch.dtype = torch.float64,
    ids: torch.dtype = torch.int64,
    seed: int = 0,
) -> Case:
    """Vectors of length near 1; few rows, so that most of them stand in many pairs."""
    generator = torch.Generator().manual_seed(seed)
    tables = (torch.randn(n, dimensions, generator=generator, dtype=torch.float64) / dimensions**0.5 for n in rows)
    return Case(
        Tables(*(table.to(dtype) for table in tables)),
        torch.randint(rows[0], (pairs,), generator=generator, dtype=ids),
        torch.randint(rows[1], (pairs, outputs), generator=generator, dtype=ids),
    )


def distinct_case(pairs: int, outputs: int, dimensions: int, dtype: torch.dtype) -> Case:
    """No row is used twice."""
    tables = random_case(0, 1, dimensions, rows=(pairs, pairs * outputs), dtype=dtype).tables
    return Case(tables, torch.randperm(pairs), torch.randperm(pairs * outputs).view(pairs, outputs))


cases = st.builds(
    random_case,
    st.integers(0, 40),
    st.integers(1, 12),
    st.integers(1, 200),
    rows=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    ids=st.sampled_from([torch.int32, torch.int64]),
    seed=st.integers(0, 1000),
)
