"""Promises of what row-wise optimisers remember: state that is saved, loaded and grown; rows at rest; missed decay."""

from __future__ import annotations

import copy
import io
import math
import pickle

import pytest
import torch
from optimizer_rules import D, Rule, V, each_dtype, each_rule, each_torch_rule, sparse_gradient, train
from torch import Tensor
from torch.testing import assert_close

from pyembed import nn as pnn
from pyembed import optim

# --- state ------------------------------------------------------------------------------------------------------------

STATE = {
    "SGD": set(),
    "SGD, decay": set(),
    "SGD, momentum": {"momentum_buffer", "last_step"},
    "SGD, nesterov": {"momentum_buffer", "last_step"},
    "Adagrad": {"sum"},
    "RowwiseAdagrad": {"sum"},
    "AdamW": {"exp_avg", "exp_avg_sq", "last_step", "last_log_decay", "log_decay"},
}


@each_dtype
@each_rule
def test_state_continues_bit_for_bit_after_it_was_saved(rule: Rule, dtype: torch.dtype) -> None:
    table = torch.randn(V, D).to(dtype).requires_grad_()
    optimizer = rule.ours([table], seed=3)
    train(optimizer, table, 4, every_row=False)
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    again = table.detach().clone().requires_grad_()
    loaded = rule.ours([again], seed=3)
    loaded.load_state_dict(torch.load(file, weights_only=True))
    kept = optimizer.state[table]
    assert kept.keys() == STATE[rule.name] | {"step"}
    for name, value in kept.items():
        assert type(loaded.state[again][name]) is type(value)
        if isinstance(value, Tensor):
            assert loaded.state[again][name].dtype == value.dtype
            assert value.dtype in (torch.float64, torch.float32, torch.int32)
    for each, parameter in ((optimizer, table), (loaded, again)):
        train(each, parameter, 3, 1, every_row=False)
    assert torch.equal(table, again)


def test_a_loaded_state_is_a_copy() -> None:
    table, other = (torch.ones(V, D, requires_grad=True) for _ in range(2))
    optimizer, loaded = optim.AdamW([table]), optim.AdamW([other])
    train(optimizer, table, 2, every_row=False)
    loaded.load_state_dict(optimizer.state_dict())
    before = optimizer.state[table]["exp_avg"].clone()
    train(loaded, other, 2, every_row=False)
    assert torch.equal(optimizer.state[table]["exp_avg"], before)


def test_hooks_on_loading_are_heard() -> None:
    table = torch.ones(V, D, requires_grad=True)
    optimizer = optim.Adagrad([table])
    train(optimizer, table, 1, every_row=False)
    state = optimizer.state_dict()
    other = {"state": {0: {"step": 7, "sum": torch.full((V, D), 3.0)}}, "param_groups": state["param_groups"]}
    optimizer.register_load_state_dict_pre_hook(lambda _optimizer, _given: other)
    optimizer.load_state_dict(state)
    assert optimizer.state[table]["step"] == 7
    assert (optimizer.state[table]["sum"] == 3).all()


@each_torch_rule
def test_the_state_of_the_optimizer_of_torch_is_taken(rule: Rule) -> None:
    start = torch.randn(V, D).double()
    theirs, ours = (start.clone().requires_grad_() for _ in range(2))
    torchs = rule.torchs([theirs])
    train(torchs, theirs, 4, every_row=True)
    ours.data.copy_(theirs.data)
    optimizer = rule.ours([ours])
    optimizer.load_state_dict(torchs.state_dict())
    for each, parameter in ((torchs, theirs), (optimizer, ours)):
        train(each, parameter, 4, 1, every_row=True)
    assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("AdamW", {"amsgrad": True}),
        ("AdamW", {"maximize": True}),
        ("SGD", {"momentum": 0.9, "dampening": 0.5}),
        ("Adagrad", {"lr_decay": 0.1}),
    ],
    ids=str,
)
def test_the_state_of_another_rule_is_refused(name: str, options: dict[str, float]) -> None:
    table = torch.ones(V, D, requires_grad=True)
    optimizer, (*_, option) = getattr(optim, name)([table]), options
    state = getattr(torch.optim, name)([table], **options).state_dict()
    with pytest.raises(ValueError, match=f"{option}: expected no such option"):
        optimizer.load_state_dict(state)
    assert option not in optimizer.param_groups[0]


@each_rule
def test_a_copy_of_an_optimizer_goes_on_alike(rule: Rule) -> None:
    table = torch.randn(V, D, requires_grad=True)
    optimizer = rule.ours([table])
    train(optimizer, table, 2, every_row=False)
    pairs = [(optimizer, table)]
    for duplicate in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        pairs.append((duplicate, duplicate.param_groups[0]["params"][0]))
    for each, parameter in pairs:
        train(each, parameter, 2, 1, every_row=False)
        assert torch.equal(parameter, table)


@each_rule
def test_state_grows_with_its_table(rule: Rule) -> None:
    """Old rows go on as if nothing had happened; new rows as rows that no step has touched."""
    torch.manual_seed(0)
    module = pnn.Embedding(V, D, sparse=True, dtype=torch.float64)
    start = torch.cat([module.weight.detach(), torch.ones(2, D, dtype=torch.float64)])
    large = start.clone().requires_grad_()
    pairs = [(rule.ours([module.weight]), module.weight), (rule.ours([large]), large)]
    for optimizer, parameter in pairs:
        train(optimizer, parameter, 3, every_row=False)
    module.grow(2, rows=start[V:])
    decay = math.exp(pairs[1][0].state[large].get("log_decay", 0.0))
    large.data[V:] *= 1 / decay  # what these rows lose as soon as they are touched: the decay since the first step
    ids, rows = torch.tensor([0, V, V + 1, V]), torch.randn(4, D, dtype=torch.float64)
    for optimizer, parameter in pairs:
        parameter.grad = sparse_gradient(ids, rows, (V + 2, D))
        optimizer.step()
    assert_close(module.weight.detach(), large.detach(), rtol=1e-10, atol=1e-12)


def test_a_state_of_another_table_is_refused() -> None:
    small, large = torch.ones(4, 2, requires_grad=True), torch.ones(6, 2, requires_grad=True)
    optimizer, other = optim.Adagrad([large]), optim.Adagrad([small])
    train(optimizer, large, 1, every_row=True)
    other.load_state_dict(optimizer.state_dict())
    with pytest.raises(ValueError, match=r"sum: expected the state of a parameter of shape \[4, 2\]"):
        train(other, small, 1, every_row=True)


# --- rows that are not touched, and rows that are frozen --------------------------------------------------------------


@each_dtype
def test_rows_catch_up_with_the_decay_of_each_step_at_its_own_rate(dtype: torch.dtype) -> None:
    """Also a table of bfloat16, whose rows are rounded once and not at every step: no decay is too small for it."""
    torch.manual_seed(0)
    table = torch.full((V, 4000 // V), 2.0, dtype=dtype).requires_grad_()
    optimizer = optim.AdamW([table], lr=1e-2, weight_decay=1e-2)
    factor = 1.0
    for step in range(5):
        optimizer.param_groups[0]["lr"] = rate = 0.01 * (step + 1)
        factor *= 1 - rate * 1e-2
        table.grad = sparse_gradient(
            torch.tensor([step]), torch.zeros(1, table.shape[1], dtype=dtype), tuple(table.shape)
        )
        optimizer.step()
    assert torch.equal(table[8].detach(), torch.full_like(table[8], 2.0))
    optimizer.catch_up()
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-6, torch.float16: 1e-3, torch.bfloat16: 1e-3}[dtype]
    assert_close(
        table.detach().double().mean(1), torch.full((V,), 2 * factor, dtype=torch.float64), rtol=tolerance, atol=0
    )
    before = table.detach().clone()
    optimizer.catch_up()
    assert torch.equal(table, before), "once is enough"


def test_frozen_rows_do_not_catch_up() -> None:
    module = pnn.Embedding(V, D, sparse=True)
    start = module.weight.detach().clone()
    optimizer = optim.AdamW([module.weight], lr=0.1, weight_decay=0.5)
    module.freeze_rows([2, 5])
    module(torch.tensor([0, 2])).sum().backward()
    optimizer.step()
    optimizer.catch_up()
    assert torch.equal(module.weight[[2, 5]], start[[2, 5]])
    assert_close(module.weight[1].detach(), start[1] * 0.95)
    module.unfreeze_rows()
    optimizer.catch_up()
    assert torch.equal(module.weight[[2, 5]], start[[2, 5]]), "spared the decay of the time that they were frozen"


@each_rule
def test_a_frozen_row_stays_as_it_is_to_the_bit(rule: Rule) -> None:
    module = pnn.Embedding(V, D)
    optimizer = rule.ours(module.parameters())
    for step in range(4):
        if step == 2:
            module.freeze_rows([1, 4])
            frozen = module.weight[[1, 4]].detach().clone()
        optimizer.zero_grad()
        module(torch.tensor([0, 1, 1, 4, 6])).square().sum().backward()
        optimizer.step()
    assert torch.equal(module.weight[[1, 4]], frozen)


@each_rule
def test_state_follows_the_type_of_its_parameter(rule: Rule) -> None:
    module = pnn.Embedding(V, D, sparse=True)
    twin = copy.deepcopy(module).double()
    optimizers = [rule.ours(each.parameters()) for each in (module, twin)]
    for step in range(4):
        if step == 2:
            module.double()
        for each, optimizer in zip((module, twin), optimizers, strict=True):
            train(optimizer, each.weight, 1, step, every_row=False)
    assert_close(module.weight, twin.weight, rtol=1e-4, atol=1e-5)
    assert module.weight.dtype == torch.float64
