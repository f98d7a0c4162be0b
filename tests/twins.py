"""torch's modules and ours side by side: tests that run on either, and pairs with equal weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call
from torch.testing import assert_close

from pyembed import nn as pnn

each_embedding = pytest.mark.parametrize("Embedding", [torch.nn.Embedding, pnn.Embedding], ids=["torch", "pyembed"])
each_bag = pytest.mark.parametrize("EmbeddingBag", [torch.nn.EmbeddingBag, pnn.EmbeddingBag], ids=["torch", "pyembed"])
each_module = pytest.mark.parametrize(
    "Module", [torch.nn.Embedding, pnn.Embedding, torch.nn.EmbeddingBag, pnn.EmbeddingBag], ids=str
)
"""EmbeddingBag looks up [bags, n] as Embedding does."""

IDS = torch.tensor([[1, 2, 1], [4, 1, 0]])
"""For tables of five rows."""


def is_ours(module: object) -> bool:
    return module in (pnn.Embedding, pnn.EmbeddingBag) or isinstance(module, (pnn.Embedding, pnn.EmbeddingBag))


def pair(name: str, *sizes: int, **options: Any) -> tuple[torch.nn.Module, torch.nn.Module]:
    """torch's module of this name and ours, with equal weights."""
    theirs, ours = getattr(torch.nn, name)(*sizes, **options), getattr(pnn, name)(*sizes, **options)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


class Outcome:
    """What came of a lookup and its backward pass: tensors, or the type of an error."""

    def __init__(self, module: torch.nn.Module, *arguments: Any) -> None:
        self.error: type[Exception] | None = None
        self.tensors: list[Tensor] = []
        self.layout: Any = None
        leaves = [given for given in (*module.parameters(), *arguments) if isinstance(given, Tensor)]
        leaves = [leaf for leaf in leaves if leaf.requires_grad]
        for leaf in leaves:
            leaf.grad = None
        try:
            output = module(*arguments)
            if leaves:
                output.backward(torch.linspace(-1, 2, output.numel()).view(output.shape).to(output.dtype))
        except Exception as error:  # whatever it is, the other module must raise it, too
            self.error = type(error)
        else:
            gradients = [leaf.grad for leaf in leaves if leaf.grad is not None]
            self.layout = [(gradient.layout, gradient.dtype) for gradient in gradients]
            self.tensors = [output, *map(to_dense, gradients), *(leaf.detach() for leaf in module.parameters())]

    def assert_equals(self, other: Outcome) -> None:
        if self.error is not None or other.error is not None:
            assert self.error is not None
            assert other.error is not None, f"no {self.error}"
            assert issubclass(other.error, self.error)
        assert self.layout == other.layout
        assert_close(other.tensors, self.tensors, equal_nan=True)


def to_dense(gradient: Tensor) -> Tensor:
    return gradient.to_dense() if gradient.is_sparse else gradient


def looked_up(module: torch.nn.Module, ids: Tensor = IDS) -> Callable[[Tensor], Tensor]:
    """The output as a function of the table."""
    return lambda weight: functional_call(module, {"weight": weight}, (ids,))


def train(model: Callable[[Tensor], Tensor], *parameters: Tensor, steps: int = 3) -> list[float]:
    optimizer = torch.optim.SGD(parameters, lr=0.05)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model(IDS).square().sum()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
