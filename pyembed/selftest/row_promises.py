"""The promises of the ops on explicit pairs and on rows of an embedding: reference.py sections 9 and 10.

lookups      equal bit for bit
row updates  float32, within 1e-5 of the spec in float64, what an optimiser remembers too
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from pyembed import ops, reference
from pyembed.reference import RowGradients
from pyembed.selftest.cases import random_tables
from pyembed.selftest.deviations import check, largest_difference, relative, unequal
from pyembed.selftest.results import Check

_ROWS, _DIMENSIONS, _COUNT = 60, 100, 300
"""So few rows that most are touched several times."""


def row_checks(device: str) -> Iterator[Check]:
    """Every op on one case."""
    yield check("gradients", "pairs", 1e-5, _pair_gradients, device)
    yield check("steps", "pairs that repeat rows, exact", 1e-6, _pair_steps, device)
    yield check("lookups", "rows that repeat", 0, _lookup, device)
    for name, (update, states) in _UPDATES.items():
        yield check("row updates", name, 1e-5, _update, update, states, device)


def _pairs() -> tuple[Tensor, Tensor]:
    """Rows of in_vectors, and of out_vectors."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(_ROWS, (_COUNT,), generator=generator), torch.randint(_ROWS, (_COUNT, 6), generator=generator)


def _pair_gradients(device: str) -> float:
    (in_ids, out_ids), tables = _pairs(), random_tables(_ROWS, _DIMENSIONS)
    found = [table.to(device, copy=True).requires_grad_() for table in tables]
    loss = ops.pair_loss(found[0], found[1], in_ids.to(device), out_ids.to(device))
    loss.backward()
    exact = [table.double().requires_grad_() for table in tables]
    expected = ops.pair_loss(exact[0], exact[1], in_ids, out_ids, backend="torch")
    expected.backward()
    compared = [(loss, expected.detach()), *((one.grad, other.grad) for one, other in zip(found, exact, strict=True))]
    return max(relative(one, other) for one, other in compared if one is not None and other is not None)


def _pair_steps(device: str) -> float:
    (in_ids, out_ids), tables, lr = _pairs(), random_tables(_ROWS, _DIMENSIONS), 0.01
    found = [table.to(device, copy=True) for table in tables]
    ops.pair_step_(found[0], found[1], in_ids.to(device), out_ids.to(device), lr)
    exact = (tables[0].double(), tables[1].double())
    reference.pair_step_(*exact, in_ids, out_ids, lr, batch=len(in_ids))
    return largest_difference((found[0].cpu(), found[1].cpu()), exact)


def _lookup(device: str) -> float:
    weight, ids = random_tables(_ROWS, _DIMENSIONS)[0], _pairs()[1]
    return unequal([ops.lookup(weight.to(device), ids.to(device))], [weight[ids]])


def _adagrad(weight: Tensor, states: list[Tensor], given: RowGradients, **options: Any) -> None:
    ops.update_rows_adagrad_(weight, states[0], given, 0.01, **options)


def _rowwise_adagrad(weight: Tensor, states: list[Tensor], given: RowGradients, **options: Any) -> None:
    ops.update_rows_rowwise_adagrad_(weight, states[0], given, 0.01, **options)


def _adamw(weight: Tensor, states: list[Tensor], given: RowGradients, **options: Any) -> None:
    last_step = torch.ones(_ROWS, dtype=torch.int32, device=weight.device)
    last_log_decay = torch.full((_ROWS,), -1e-4, dtype=torch.float64, device=weight.device)
    state = (states[0], states[1], last_step, last_log_decay)
    ops.update_rows_adamw_(weight, *state, given, 0.01, log_decay=-3e-4, step=3, **options)


def _momentum(weight: Tensor, states: list[Tensor], given: RowGradients, **options: Any) -> None:
    last_step = torch.ones(_ROWS, dtype=torch.int32, device=weight.device)
    ops.update_rows_momentum_(weight, states[0], last_step, given, 0.01, step=3, **options)


def _sgd(weight: Tensor, _states: list[Tensor], given: RowGradients, **options: Any) -> None:
    ops.update_rows_sgd_(weight, given, 0.01, **options)


_Update = Callable[..., None]
_UPDATES: dict[str, tuple[_Update, list[tuple[int, ...]]]] = {
    "SGD": (_sgd, []),
    "SGD with momentum": (_momentum, [(_ROWS, _DIMENSIONS)]),
    "Adagrad": (_adagrad, [(_ROWS, _DIMENSIONS)]),
    "row-wise Adagrad": (_rowwise_adagrad, [(_ROWS,)]),
    "AdamW": (_adamw, [(_ROWS, _DIMENSIONS)] * 2),
}
"""How each is called, and the shapes of what it remembers."""


def _update(update: _Update, shapes: list[tuple[int, ...]], device: str) -> float:
    weight, ids = random_tables(_ROWS, _DIMENSIONS)[0], _pairs()[0]
    generator = torch.Generator().manual_seed(1)
    grad = torch.randn(_COUNT, _DIMENSIONS, generator=generator)
    states = [0.1 + torch.rand(shape, generator=generator) for shape in shapes]
    found = [tensor.to(device, copy=True) for tensor in (weight, *states)]
    update(found[0], found[1:], RowGradients(ids.to(device), grad.to(device)))
    exact = [tensor.double() for tensor in (weight, *states)]
    update(exact[0], exact[1:], RowGradients(ids, grad.double()), backend="torch")
    return max(relative(one, other) for one, other in zip(found, exact, strict=True))
