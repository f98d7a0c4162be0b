"""Optimisers of rows to test with, and batches of gradients for them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from pyembed import ops
from pyembed.reference import RowGradients, arithmetic_dtype

LR = 0.1
DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]


class Optimizer(NamedTuple):
    """An update, and the shapes of the state that it needs."""

    name: str
    update_: Callable[..., None]
    state_dims: tuple[int, ...]
    remembers_steps: bool = False

    def state(self, weight: Tensor) -> list[Tensor]:
        """Zeros, as before the first step."""
        state = [weight.new_zeros(weight.shape[:dims], dtype=arithmetic_dtype(weight)) for dims in self.state_dims]
        if self.remembers_steps:
            state.append(weight.new_zeros(len(weight), dtype=torch.int32))
        if self.name == "adamw":
            state.append(weight.new_zeros(len(weight), dtype=torch.float64))
        return state

    def step_(
        self, weight: Tensor, state: list[Tensor], given: RowGradients, step: int, weight_decay: float, **options: Any
    ) -> None:
        """One step at the rate of LR, which was the rate of all steps before."""
        if self.name == "adamw":
            options["log_decay"] = step * math.log1p(-LR * weight_decay)
        else:
            options["weight_decay"] = weight_decay
        self.update_(weight, *state, given, LR, step=step, **options)


SGD = Optimizer("sgd", ops.update_rows_sgd_, ())
MOMENTUM = Optimizer("momentum", ops.update_rows_momentum_, (2,), remembers_steps=True)
ADAGRAD = Optimizer("adagrad", ops.update_rows_adagrad_, (2,))
ROWWISE = Optimizer("rowwise_adagrad", ops.update_rows_rowwise_adagrad_, (1,))
ADAMW = Optimizer("adamw", ops.update_rows_adamw_, (2, 2), remembers_steps=True)
OPTIMIZERS = [SGD, MOMENTUM, ADAGRAD, ROWWISE, ADAMW]
each_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: optimizer.name)
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype).removeprefix("torch."))


class Case(NamedTuple):
    """A table, and the gradient of what was looked up in it."""

    weight: Tensor
    given: RowGradients

    def to_float64(self) -> Case:
        floats = {
            name: value.double()
            for name, value in self.given._asdict().items()
            if isinstance(value, Tensor) and value.is_floating_point()
        }
        return Case(self.weight.double(), self.given._replace(**floats))

    def dense_gradient(self) -> Tensor:
        grad = self.given.grad.reshape(-1, self.weight.shape[1])
        return torch.zeros_like(self.weight).index_add_(0, self.given.ids.flatten(), grad)


def random_case(
    rows: int,
    shape: tuple[int, ...],
    dimensions: int,
    *,
    dtype: torch.dtype = torch.float64,
    device: str = "cpu",
    seed: int = 0,
) -> Case:
    """Numbers of magnitude 1."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(rows, shape, generator=generator)
    tensors = (torch.randn(*size, dimensions, generator=generator).to(dtype) for size in ((rows,), shape))
    weight, grad = (tensor.to(device) for tensor in tensors)
    return Case(weight, RowGradients(ids.to(device), grad))


def with_everything(case: Case, bags: int, seed: int) -> Case:
    """Some rows frozen, a scale, gradients that are clipped, and, where there are bags, ids that share a factor's
    multiple of their bag's gradient."""
    generator = torch.Generator().manual_seed(seed)
    weight, (ids, grad, *_) = case
    frozen = (torch.rand(len(weight), generator=generator) < 0.3).to(ids.device)
    given = RowGradients(ids, grad, frozen=frozen, scale=0.5, clip_norm=0.7 * weight.shape[1] ** 0.5)
    if bags:
        factors = torch.rand(ids.shape, generator=generator).to(ids.device, arithmetic_dtype(weight))
        bag_ids = torch.randint(bags, ids.shape, generator=generator).to(ids.device)
        grad = torch.randn(bags, weight.shape[1], generator=generator).to(weight)
        given = given._replace(grad=grad, bags=bag_ids, factors=factors)
    return Case(weight, given)


def trained(
    optimizer: Optimizer, weight: Tensor, batches: list[RowGradients], backend: Any, **options: Any
) -> list[Tensor]:
    """The table and the state after a step for each batch; in between, steps are missed."""
    table, state = weight.clone(), optimizer.state(weight)
    for step, given in enumerate(batches, start=1):
        at = {"step": 3 * step, "seed": 5, "weight_decay": 0.1, "backend": backend, **options}
        optimizer.step_(table, state, given, **at)
    return [table, *state]
