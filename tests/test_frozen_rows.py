"""Promises of frozen rows: no gradient, and not a bit changes, whatever the optimiser."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.utils import parametrizations, prune
from torch.testing import assert_close

from pyembed import nn as pnn
from pyembed import optim

IDS = torch.tensor([[1, 2, 1], [4, 1, 0]])
FROZEN = [1, 3]
"""One that is looked up, one that is not."""

OURS: list[tuple[Any, dict[str, Any]]] = [
    (optim.SGD, {"momentum": 0.9, "weight_decay": 0.1}),
    (optim.Adagrad, {"weight_decay": 0.1}),
    (optim.RowwiseAdagrad, {"weight_decay": 0.1}),
    (optim.AdamW, {"weight_decay": 0.1}),
]
DENSE: list[tuple[Any, dict[str, Any]]] = [
    (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}),
    (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "foreach": True}),
    (torch.optim.Adam, {"weight_decay": 0.1, "amsgrad": True}),
    (torch.optim.Adam, {"weight_decay": 0.1, "fused": True}),
    (torch.optim.AdamW, {"weight_decay": 0.1}),
    (torch.optim.Adagrad, {"weight_decay": 0.1}),
    (torch.optim.RMSprop, {"momentum": 0.9, "weight_decay": 0.1}),
    (torch.optim.NAdam, {"weight_decay": 0.1}),
    (torch.optim.RAdam, {"weight_decay": 0.1}),
    (torch.optim.Adamax, {"weight_decay": 0.1}),
    (torch.optim.Adadelta, {"lr": 1.0, "weight_decay": 0.1}),
    (torch.optim.ASGD, {"weight_decay": 0.1}),
    (torch.optim.Rprop, {}),
    (torch.optim.Adafactor, {"weight_decay": 0.1}),
    (torch.optim.Muon, {"weight_decay": 0.1}),
    (torch.optim.LBFGS, {"lr": 0.1, "max_iter": 2}),
    *((optimizer, {"lr": 0.1, **options}) for optimizer, options in OURS),
]
SPARSE: list[tuple[Any, dict[str, Any]]] = [
    (torch.optim.SGD, {"momentum": 0.9}),
    (torch.optim.SparseAdam, {}),
    (torch.optim.Adagrad, {}),
    *OURS,
]
MODULES = [pnn.Embedding, pnn.EmbeddingBag]
each_module = pytest.mark.parametrize("Module", MODULES)


def named(given: Any) -> str:
    return f"{given.__module__}.{given.__name__}" if isinstance(given, type) else str(given)


def train(module: torch.nn.Module, optimizer: torch.optim.Optimizer, steps: int = 3) -> None:
    def loss() -> Tensor:
        optimizer.zero_grad()
        value = (module(IDS) - 1).square().sum()
        value.backward()
        return value

    for _ in range(steps):
        optimizer.step(loss)


def moved_rows(before: Tensor, module: torch.nn.Module) -> list[int]:
    """The rows of which any bit has changed."""
    return (before.view(torch.int32) != module.weight.detach().view(torch.int32)).any(1).nonzero()[:, 0].tolist()


# --- under optimisers -------------------------------------------------------------------------------------------------


@each_module
@pytest.mark.parametrize(("Optimizer", "options"), DENSE, ids=named)
def test_no_optimizer_changes_a_frozen_row(Module: Any, Optimizer: Any, options: dict[str, Any]):
    """Frozen in the middle of training, when there is momentum."""
    module = Module(5, 4)
    optimizer = Optimizer(module.parameters(), **options)
    train(module, optimizer)
    module.freeze_rows(FROZEN)
    before = module.weight.detach().clone()
    train(module, optimizer)
    assert not set(moved_rows(before, module)) & set(FROZEN)
    assert set(moved_rows(before, module)) >= {0, 2, 4}


@each_module
@pytest.mark.parametrize(("Optimizer", "options"), OURS, ids=named)
def test_no_fused_optimizer_changes_a_frozen_row_or_padding(Module: Any, Optimizer: Any, options: dict[str, Any]):
    module = Module(5, 4, padding_idx=4)
    optimizer = optim.fuse(module, Optimizer, lr=0.1, **options)
    train(module, optimizer)
    module.freeze_rows(FROZEN)
    before = module.weight.detach().clone()
    train(module, optimizer)
    assert moved_rows(before, module) == [0, 2]


@each_module
@pytest.mark.parametrize(("Optimizer", "options"), SPARSE, ids=named)
def test_no_optimizer_of_sparse_gradients_changes_a_frozen_row(Module: Any, Optimizer: Any, options: dict[str, Any]):
    module = Module(5, 4, sparse=True)
    optimizer = Optimizer(module.parameters(), lr=0.1, **options)
    train(module, optimizer)
    module.freeze_rows(FROZEN)
    before = module.weight.detach().clone()
    train(module, optimizer)
    assert moved_rows(before, module) == [0, 2, 4]


def test_other_parameters_of_the_optimizer_train_as_ever():
    torch.manual_seed(0)
    model = torch.nn.Sequential(pnn.Embedding(5, 4), torch.nn.Linear(4, 4))
    twin = copy.deepcopy(model)
    model[0].freeze_rows(range(5))
    twin[0].requires_grad_(False)
    for each in (model, twin):
        train(each, torch.optim.AdamW(each.parameters(), lr=0.1))
    assert_close(model.state_dict(), twin.state_dict())


def test_a_step_within_a_step_leaves_frozen_rows_as_they_are():
    """Of a class that calls its parent's and then does something of its own."""
    module = pnn.Embedding(5, 4)
    torch.optim.SGD(module.parameters())  # the parent's step asks, too, as soon as there is one of it

    class Shrinking(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            loss = super().step(closure)
            with torch.no_grad():
                module.weight.mul_(0.5)
            return loss

    module.freeze_rows(FROZEN)
    before = module.weight.detach().clone()
    train(module, Shrinking(module.parameters(), lr=0.1))
    assert moved_rows(before, module) == [0, 2, 4]


@pytest.mark.parametrize("unfrozen", [False, True])
def test_an_optimizer_that_fails_leaves_nothing_behind(unfrozen: bool):
    module = pnn.Embedding(5, 4)
    module.freeze_rows(FROZEN)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)

    def fail() -> Tensor:
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        optimizer.step(fail)
    with torch.no_grad():
        module.weight[1] = 7
    if unfrozen:
        module.unfreeze_rows()
        optimizer.param_groups[0]["lr"] = 0.0
    train(module, optimizer)
    assert (module.weight[1] == 7).all()


@settings(max_examples=60)
@given(st.sets(st.integers(0, 4)), st.sampled_from(MODULES), st.sampled_from(["sum", "mean", "max"]), st.booleans())
def test_other_rows_train_as_if_nothing_were_frozen(frozen: set[int], Module: Any, mode: str, sparse: bool):
    options = {"mode": mode} if Module is pnn.EmbeddingBag else {}
    sparse = sparse and mode != "max"
    torch.manual_seed(0)
    module, free = (Module(5, 4, sparse=sparse, dtype=torch.float64, **options) for _ in range(2))
    free.load_state_dict(module.state_dict())
    module.freeze_rows(sorted(frozen))
    for each in (module, free):
        each(IDS).square().sum().backward()
    gradient, whole = (each.weight.grad.to_dense() for each in (module, free))
    kept = [row for row in range(5) if row not in frozen]
    assert_close(gradient[kept], whole[kept])
    assert not gradient[sorted(frozen)].any()


# --- as modules -------------------------------------------------------------------------------------------------------


@each_module
def test_freezing_shows_in_the_mask_and_not_in_the_state_dict(Module: Any):
    module = Module(5, 4, padding_idx=2)
    assert module.frozen_rows is None
    assert module.rows_at_rest().tolist() == [False, False, True, False, False]
    module.freeze_rows(torch.tensor([[1], [3]], dtype=torch.int32))
    module.freeze_rows(range(4, 5))
    assert module.frozen_rows.tolist() == [False, True, False, True, True]
    assert module.rows_at_rest().tolist() == [False, True, True, True, True]
    assert list(module.state_dict()) == ["weight"]
    module.unfreeze_rows([3])
    assert module.frozen_rows.tolist() == [False, True, False, False, True]
    module.unfreeze_rows()
    assert module.frozen_rows is None
    assert Module(5, 4).rows_at_rest() is None


@each_module
def test_unfrozen_rows_train_again(Module: Any):
    module = Module(5, 4)
    module.freeze_rows(FROZEN)
    module.unfreeze_rows()
    before = module.weight.detach().clone()
    train(module, torch.optim.AdamW(module.parameters()))
    assert moved_rows(before, module) == [0, 1, 2, 3, 4]


@each_module
@pytest.mark.parametrize("bad", [5, -1])
def test_only_rows_of_the_table_can_be_frozen(Module: Any, bad: int):
    module = Module(5, 4)
    with pytest.raises(IndexError, match=rf"ids\[1\]: expected an id of 0 to 4.*found {bad}"):
        module.freeze_rows([0, bad])
    assert module.frozen_rows is None


@each_module
@pytest.mark.parametrize("ids", [torch.tensor([False, True, False, True, False]), [1.0], [True]], ids=str)
def test_only_ids_freeze_rows_and_no_masks(Module: Any, ids: Any):
    module = Module(5, 4)
    with pytest.raises(TypeError, match=r"ids: expected int32 or int64, found .*mask\.nonzero"):
        module.freeze_rows(ids)
    module.freeze_rows([])
    module.freeze_rows([2])
    with pytest.raises(TypeError, match="ids: expected"):
        module.unfreeze_rows(ids)
    assert module.frozen_rows.nonzero().tolist() == [[2]]


@each_module
@pytest.mark.parametrize("how", ["deepcopy", "pickle", "state_dict"])
def test_copies_of_frozen_rows_are_frozen_and_loaded_tables_are_not(Module: Any, how: str):
    module = Module(5, 4)
    module.freeze_rows(FROZEN)
    if how == "state_dict":
        copied = Module(5, 4)
        copied.load_state_dict(module.state_dict())
    else:
        copied = copy.deepcopy(module) if how == "deepcopy" else pickle.loads(pickle.dumps(module))
    before = copied.weight.detach().clone()
    train(copied, torch.optim.AdamW(copied.parameters()))
    assert moved_rows(before, copied) == [0, 1, 2, 3, 4] if how == "state_dict" else [0, 2, 4]


@each_module
def test_rows_of_a_parametrised_or_pruned_table_stay_frozen(Module: Any):
    normed = parametrizations.weight_norm(Module(5, 4))
    pruned = prune.random_unstructured(Module(5, 4), "weight", 0.3)
    for module in (normed, copy.deepcopy(normed), pruned):
        module.freeze_rows(FROZEN)
        before = module.weight.detach().clone()
        train(module, torch.optim.AdamW(module.parameters()))
        module(IDS)
        assert set(moved_rows(before, module)) == {0, 2, 4}


@each_module
def test_max_norm_leaves_frozen_rows_as_they_are(Module: Any):
    module = Module(5, 4, max_norm=0.1)
    module.freeze_rows(FROZEN)
    before = module.weight.detach().clone()
    module(IDS)
    assert moved_rows(before, module) == [0, 2, 4]


@each_module
def test_frozen_rows_under_compilers_and_transforms(Module: Any):
    module = Module(5, 4, max_norm=1.0)
    module.freeze_rows(FROZEN)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    compiled(IDS).sum().backward()
    assert not module.weight.grad[FROZEN].any()
    assert module.weight.grad[[0, 2, 4]].any(1).all()

    def loss(weight: Tensor) -> Tensor:
        return torch.func.functional_call(module, {"weight": weight}, (IDS,)).sum()

    assert_close(torch.func.grad(loss)(module.weight.detach().clone()), module.weight.grad)


@each_module
def test_frozen_rows_follow_the_table_to_another_device_and_type(Module: Any):
    module = Module(5, 4)
    module.freeze_rows(FROZEN)
    assert module.double().frozen_rows.dtype == torch.bool
    assert module.to("meta").frozen_rows.device.type == "meta"
