"""Promises of grow(): more rows, in the same parameter, in the middle of training."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils import parametrizations
from torch.testing import assert_close

from pyembed import nn as pnn
from pyembed import optim

IDS = torch.tensor([[1, 2, 1], [4, 1, 0]])
each_module = pytest.mark.parametrize("Module", [pnn.Embedding, pnn.EmbeddingBag])
OPTIMIZERS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"momentum": 0.9}),
    ("Adam", {"amsgrad": True}),
    ("AdamW", {}),
    ("Adagrad", {"initial_accumulator_value": 0.5}),
    ("RMSprop", {"momentum": 0.9, "centered": True}),
    ("NAdam", {}),
    ("Rprop", {}),
    ("Adadelta", {}),
]


def step(module: torch.nn.Module, optimizer: torch.optim.Optimizer, ids: Tensor) -> None:
    optimizer.zero_grad()
    module(ids).square().sum().backward()
    optimizer.step()


@each_module
def test_growing_keeps_rows_and_parameter_and_tells_the_new_ids(Module: Any):
    module = Module(5, 3, padding_idx=2)
    weight, before = module.weight, module.weight.detach().clone()
    assert module.grow(2) == range(5, 7)
    assert module.weight is weight
    assert (module.num_embeddings, weight.shape, module.padding_idx) == (7, (7, 3), 2)
    assert torch.equal(weight[:5], before)
    assert weight[5:].all()
    module(torch.tensor([[5, 6]])).sum().backward()
    assert weight.grad[5:].all()
    assert module.grow(0) == range(7, 7)
    assert list(module.state_dict()) == ["weight"]


@each_module
def test_new_rows_are_drawn_as_the_first_or_given(Module: Any):
    module = Module(0, 3)
    torch.manual_seed(1)
    module.grow(4)
    torch.manual_seed(1)
    assert torch.equal(module.weight, torch.empty(4, 3).normal_())
    module.grow(2, rows=torch.full((2, 3), 7.0))
    assert (module.weight[4:] == 7).all()


@each_module
def test_what_cannot_grow_is_refused(Module: Any):
    module = Module(5, 3)
    with pytest.raises(ValueError, match="found n = -1"):
        module.grow(-1)
    with pytest.raises(ValueError, match=r"rows of shape \[n, 3\], found n = 2 and rows of shape \[3, 2\]"):
        module.grow(2, rows=torch.zeros(3, 2))
    with pytest.raises(ValueError, match="remove the parametrisation"):
        parametrizations.weight_norm(module).grow(1)


@each_module
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_a_gradient_that_waits_grows_too(Module: Any, sparse: bool):
    module = Module(5, 3, sparse=sparse)
    module(IDS).sum().backward()
    module.grow(2)
    module(torch.tensor([[6, 6]])).sum().backward()
    found = module.weight.grad.to_dense()
    assert found.shape == (7, 3)
    assert found.all(1).tolist() == [True, True, True, False, True, False, True]


@each_module
def test_growing_after_an_output_that_is_still_held(Module: Any):
    module = Module(5, 3)
    held = module(IDS)
    module.grow(1)
    module(torch.tensor([[5]])).sum().backward()
    assert module.weight.grad.shape == (6, 3)
    assert held.shape[-1] == 3


@each_module
@pytest.mark.parametrize(("name", "options"), OPTIMIZERS, ids=str)
def test_training_goes_on_as_if_the_table_had_been_larger_from_the_start(
    Module: Any, name: str, options: dict[str, Any]
):
    large = Module(7, 3)
    small = Module(5, 3, _weight=large.weight[:5].detach().clone())
    late = large.weight[5:].detach().clone()
    optimizers = [getattr(torch.optim, name)(module.parameters(), lr=0.1, **options) for module in (large, small)]
    for module, optimizer in zip((large, small), optimizers, strict=True):
        step(module, optimizer, IDS)
        if module is small:
            module.grow(2, optimizers[1:], rows=late)
        else:
            with torch.no_grad():
                module.weight[5:] = late
        step(module, optimizer, IDS + 2)
    assert_close(small.weight, large.weight)


@each_module
@pytest.mark.parametrize("name", ["SGD", "SparseAdam", "Adagrad"])
def test_states_of_sparse_gradients_grow(Module: Any, name: str):
    module = Module(5, 3, sparse=True)
    options = {"momentum": 0.9} if name == "SGD" else {}
    optimizer = getattr(torch.optim, name)(module.parameters(), lr=0.1, **options)
    step(module, optimizer, IDS)
    module.grow(2, [optimizer])
    before = module.weight.detach().clone()
    step(module, optimizer, IDS + 2)
    assert (module.weight != before).any(1)[(IDS + 2).unique()].all()


@each_module
@pytest.mark.parametrize("fused", [False, True])
def test_our_optimizers_need_not_be_told(Module: Any, fused: bool):
    module = Module(5, 3)
    told = copy.deepcopy(module)
    for each in (module, told):
        torch.manual_seed(0)
        optimizer = optim.fuse(each, optim.AdamW) if fused else optim.AdamW(each.parameters())
        step(each, optimizer, IDS)
        each.grow(2, [optimizer] if each is told else [])
        step(each, optimizer, IDS + 2)
    assert_close(module.weight, told.weight)


@each_module
def test_new_rows_are_not_frozen(Module: Any):
    module = Module(5, 3)
    module.freeze_rows([1])
    module.grow(2)
    assert module.frozen_rows.tolist() == [False, True, False, False, False, False, False]
