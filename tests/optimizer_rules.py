"""The row-wise optimisers, each beside torch.optim's of the same rule; and small tables to train, for tests."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from pyembed import nn as pnn
from pyembed import optim

V, D = 9, 4


class Rule(NamedTuple):
    """A way to construct an optimiser from parameters, and torch's; None where it has none."""

    name: str
    ours: Any
    torchs: Any


RULES = [
    Rule("SGD", partial(optim.SGD, lr=0.1), partial(torch.optim.SGD, lr=0.1)),
    Rule(
        "SGD, decay", partial(optim.SGD, lr=0.1, weight_decay=0.2), partial(torch.optim.SGD, lr=0.1, weight_decay=0.2)
    ),
    Rule(
        "SGD, momentum",
        partial(optim.SGD, lr=0.1, momentum=0.8, weight_decay=0.2),
        partial(torch.optim.SGD, lr=0.1, momentum=0.8, weight_decay=0.2),
    ),
    Rule(
        "SGD, nesterov",
        partial(optim.SGD, lr=0.1, momentum=0.8, nesterov=True),
        partial(torch.optim.SGD, lr=0.1, momentum=0.8, nesterov=True),
    ),
    Rule(
        "Adagrad",
        partial(optim.Adagrad, lr=0.1, weight_decay=0.2, initial_accumulator_value=0.3, eps=1e-3),
        partial(torch.optim.Adagrad, lr=0.1, weight_decay=0.2, initial_accumulator_value=0.3, eps=1e-3),
    ),
    Rule("RowwiseAdagrad", partial(optim.RowwiseAdagrad, lr=0.1, weight_decay=0.2), None),
    Rule(
        "AdamW",
        partial(optim.AdamW, lr=0.1, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.2),
        partial(torch.optim.AdamW, lr=0.1, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.2),
    ),
]
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
each_torch_rule = pytest.mark.parametrize("rule", [r for r in RULES if r.torchs], ids=lambda rule: rule.name)
each_dtype = pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=lambda d: str(d).removeprefix("torch.")
)


def sparse_gradient(ids: Tensor, rows: Tensor, size: tuple[int, ...] = (V, D)) -> Tensor:
    return torch.sparse_coo_tensor(ids[None], rows, size)


def train(optimizer: torch.optim.Optimizer, parameter: Tensor, steps: int, seed: int = 0, *, every_row: bool) -> None:
    """Steps with gradients that depend on seed alone; sparse ones if not of every row."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        if every_row:
            parameter.grad = torch.randn(parameter.shape, generator=generator, dtype=torch.float64).to(parameter.dtype)
        else:
            ids = torch.randint(V, (6,), generator=generator)
            rows = torch.randn(6, D, generator=generator, dtype=torch.float64).to(parameter.dtype)
            parameter.grad = sparse_gradient(ids, rows, tuple(parameter.shape))
        optimizer.step()


def fused(rule: Rule, module: Any, **options: Any) -> Any:
    """The optimiser of the rule, fused into the module."""
    return optim.fuse(module, rule.ours.func, **rule.ours.keywords, **options)


def embedding(start: Tensor, **options: Any) -> pnn.Embedding:
    return pnn.Embedding(*start.shape, _weight=start.clone(), **options)


def random_table(rows: int = V, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(rows, D, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).to(dtype)
