"""Modules and pairs to test nn.NegativeSampling with."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pyembed import nn as pnn
from pyembed.config import Backend

IN_BATCH = pytest.mark.parametrize("in_batch", [False, True], ids=["drawn", "in_batch"])


def sampling(backend: Backend = "auto", **options: object) -> pnn.NegativeSampling:
    """9 centers, 7 outputs, D = 4, rows of length near 1."""
    torch.manual_seed(0)
    options = {"dtype": torch.float64, "noise": [5, 1, 1, 2, 8, 3, 1]} | options
    module = pnn.NegativeSampling(9, 4, 7, backend=backend, **options)
    for table in (module.in_vectors, module.out_vectors):
        torch.nn.init.normal_(table.weight, std=0.5)
    return module


def pairs(count: int = 20, seed: int = 0, dtype: torch.dtype = torch.int64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(n, (count,), generator=generator).to(dtype) for n in (9, 7))


def weights(module: pnn.NegativeSampling) -> list[Tensor]:
    return [table.weight.detach().clone() for table in (module.in_vectors, module.out_vectors)]
