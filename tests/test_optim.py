"""Promises of the row-wise optimisers, used as torch.optim's are."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from optimizer_rules import RULES, D, Rule, V, each_rule, each_torch_rule, sparse_gradient, train
from torch import Tensor
from torch.testing import assert_close

from pyembed import optim

TENSORS = {
    "0-d": torch.randn(()),
    "1-d": torch.randn(7),
    "2-d": torch.randn(6, 5),
    "columns first": torch.randn(5, 6).T,
    "one column": torch.randn(1, 6).T,
    "4-d": torch.randn(3, 2, 3, 3),
    "channels last": torch.randn(3, 2, 3, 3).contiguous(memory_format=torch.channels_last),
    "empty": torch.randn(0, 4),
}


# --- in place of torch.optim's ----------------------------------------------------------------------------------------


@each_torch_rule
@pytest.mark.parametrize("like", TENSORS.values(), ids=TENSORS)
def test_dense_gradients_follow_the_optimizer_of_torch(like: Tensor, rule: Rule) -> None:
    ours, torchs = (like.double().clone(memory_format=torch.preserve_format).requires_grad_() for _ in range(2))
    for parameter, make in ((ours, rule.ours), (torchs, rule.torchs)):
        train(make([parameter]), parameter, 5, every_row=True)
    assert_close(ours, torchs, rtol=1e-10, atol=1e-12)
    assert ours.stride() == like.stride()


@each_torch_rule
def test_one_optimizer_serves_a_whole_model(rule: Rule) -> None:
    """Its defaults are torch's, too: here only what the rule names is set."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.LayerNorm(6), torch.nn.Linear(6, 2)).double()
    twin = copy.deepcopy(model)
    for net, make in ((model, rule.ours), (twin, rule.torchs)):
        optimizer = make(net.parameters())
        for step in range(6):
            optimizer.zero_grad()
            x = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(step))
            net(x).square().mean().backward()
            optimizer.step()
    assert_close(model.state_dict(), twin.state_dict(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["SGD", "Adagrad", "AdamW"])
def test_defaults_are_those_of_torch(name: str) -> None:
    parameter = torch.zeros(1, 1, requires_grad=True)
    ours, torchs = (getattr(where, name)([parameter]).defaults for where in (optim, torch.optim))
    assert {key: value for key, value in torchs.items() if key in ours}.items() <= ours.items()
    assert ours.keys() - torchs.keys() == {"clip_norm", "warmup", "seed"}


@each_rule
def test_a_sparse_gradient_need_not_be_coalesced(rule: Rule) -> None:
    start, ids, rows = torch.randn(V, D).double(), torch.tensor([3, 1, 3, 3, 0]), torch.randn(5, D).double()
    tables = [start.clone().requires_grad_() for _ in range(2)]
    for table, gradient in zip(
        tables, (sparse_gradient(ids, rows), sparse_gradient(ids, rows).coalesce()), strict=True
    ):
        optimizer = rule.ours([table])
        for _ in range(3):
            table.grad = gradient
            optimizer.step()
        assert gradient.is_coalesced() == (table is tables[1]), "the gradient stays as it came"
    assert_close(tables[0], tables[1], rtol=1e-12, atol=1e-12)
    untouched = [2, 4, 5, 6, 7, 8]
    assert torch.equal(tables[0][untouched], start[untouched])


@each_rule
def test_a_sparse_gradient_of_every_row_is_as_a_dense_one(rule: Rule) -> None:
    start, every = torch.randn(V, D).double(), torch.arange(V)
    sparse, dense = (start.clone().requires_grad_() for _ in range(2))
    optimizers = [rule.ours([table]) for table in (sparse, dense)]
    for step in range(4):
        rows = torch.randn(V, D, generator=torch.Generator().manual_seed(step)).double()
        sparse.grad, dense.grad = sparse_gradient(every, rows), rows
        for optimizer in optimizers:
            optimizer.step()
    assert_close(sparse, dense, rtol=1e-12, atol=1e-12)


@each_torch_rule
@pytest.mark.parametrize(
    "schedule",
    [
        lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5),
        lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 5),
        lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.2, total_steps=9, cycle_momentum=False),
    ],
    ids=["step", "cosine", "one cycle"],
)
@pytest.mark.filterwarnings("error")
def test_schedulers_of_torch_set_the_rate(schedule: Any, rule: Rule) -> None:
    start = torch.randn(V, D).double()
    tables = [start.clone().requires_grad_() for _ in range(2)]
    for table, make in zip(tables, (rule.ours, rule.torchs), strict=True):
        optimizer = make([table])
        scheduler = schedule(optimizer)
        for step in range(8):
            train(optimizer, table, 1, step, every_row=True)
            scheduler.step()
    assert_close(tables[0], tables[1], rtol=1e-9, atol=1e-12)


@each_rule
def test_warm_up_raises_the_rate_linearly_on_top_of_a_scheduler(rule: Rule) -> None:
    start = torch.randn(V, D).double()
    tables = [start.clone().requires_grad_() for _ in range(2)]
    optimizers = [rule.ours([tables[0]], warmup=4), rule.ours([tables[1]])]
    halving = [torch.optim.lr_scheduler.StepLR(optimizer, 3, 0.5) for optimizer in optimizers]
    for step in range(7):
        optimizers[1].param_groups[0]["lr"] = halving[1].get_last_lr()[0] * min(1, (step + 1) / 4)
        for table, optimizer in zip(tables, optimizers, strict=True):
            train(optimizer, table, 1, step, every_row=False)
        optimizers[1].param_groups[0]["lr"] = halving[1].get_last_lr()[0]
        for scheduler in halving:
            scheduler.step()
    assert_close(tables[0], tables[1], rtol=1e-12, atol=1e-12)


@each_rule
def test_the_rate_may_be_a_tensor(rule: Rule) -> None:
    start = torch.randn(V, D).double()
    tables = [start.clone().requires_grad_() for _ in range(2)]
    for table, lr in zip(tables, (0.25, torch.tensor(0.25)), strict=True):
        train(rule.ours([table], lr=lr), table, 3, every_row=False)
    assert torch.equal(*tables)


@each_rule
def test_groups_have_options_of_their_own(rule: Rule) -> None:
    start = torch.randn(V, D).double()
    together, alone = ([start.clone().requires_grad_() for _ in range(2)] for _ in range(2))
    one = rule.ours([{"params": [together[0]], "lr": 0.3}])
    one.add_param_group({"params": [together[1]], "clip_norm": 0.5})
    two = [rule.ours([alone[0]], lr=0.3), rule.ours([alone[1]], clip_norm=0.5)]
    for step in range(3):
        for tables in (together, alone):
            for table in tables:
                table.grad = torch.randn(V, D, generator=torch.Generator().manual_seed(step)).double()
        one.step()
        for optimizer in two:
            optimizer.step()
    for ours, expected in zip(together, alone, strict=True):
        assert torch.equal(ours, expected)


def test_clipping_scales_long_rows_down_and_no_others() -> None:
    table = torch.zeros(3, 2, requires_grad=True)
    table.grad = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    optim.SGD([table], lr=1.0, clip_norm=1.0).step()
    assert_close(table.detach(), -torch.tensor([[0.6, 0.8], [0.3, 0.4], [0.0, 0.0]]))


def test_a_closure_is_evaluated_with_gradients() -> None:
    table = torch.ones(2, 2, requires_grad=True)
    optimizer = optim.SGD([table], lr=0.5)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = table.square().sum()
        loss.backward()
        return loss

    with torch.no_grad():
        assert optimizer.step(closure) == 4
    assert torch.equal(table.detach(), torch.zeros(2, 2))


def test_parameters_without_a_gradient_are_passed_over() -> None:
    table = torch.ones(2, 2, requires_grad=True)
    optimizer = optim.AdamW([table])
    optimizer.step()
    assert torch.equal(table.detach(), torch.ones(2, 2))
    assert not optimizer.state[table]


# --- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("SGD", {"lr": -0.1}),
        ("SGD", {"lr": math.nan}),
        ("SGD", {"weight_decay": -1.0}),
        ("SGD", {"clip_norm": 0.0}),
        ("SGD", {"warmup": -1}),
        ("SGD", {"seed": -1}),
        ("SGD", {"momentum": 1.0}),
        ("SGD", {"nesterov": True}),
        ("Adagrad", {"eps": -1e-9}),
        ("RowwiseAdagrad", {"initial_accumulator_value": -1.0}),
        ("AdamW", {"betas": (0.9, 1.0)}),
        ("AdamW", {"betas": (-0.1, 0.9)}),
        ("AdamW", {"eps": -1.0}),
    ],
    ids=str,
)
def test_an_option_out_of_range_is_refused(kind: str, options: dict[str, Any]) -> None:
    (name,) = options
    make = getattr(optim, kind)
    with pytest.raises(ValueError, match=f"{name}: expected .*, got"):
        make([torch.zeros(2, 2)], **options)
    optimizer = make([torch.zeros(2, 2)])
    with pytest.raises(ValueError, match=name):
        optimizer.add_param_group({"params": [torch.zeros(2, 2)], **options})
    assert len(optimizer.param_groups) == 1


def test_a_decay_that_turns_rows_around_is_refused() -> None:
    table = torch.ones(2, 2, requires_grad=True)
    table.grad = torch.ones(2, 2)
    optimizer = optim.AdamW([table], lr=2.0, weight_decay=0.5)
    with pytest.raises(ValueError, match=r"lr \* weight_decay: expected below 1, got 1"):
        optimizer.step()
    assert torch.equal(table.detach(), torch.ones(2, 2))
    assert optimizer.state[table]["step"] == 0


def test_a_gradient_with_two_sparse_dimensions_is_refused() -> None:
    table = torch.ones(2, 2, requires_grad=True)
    table.grad = torch.eye(2).to_sparse()
    with pytest.raises(RuntimeError, match="one sparse dimension, got"):
        optim.SGD([table]).step()


def test_rules_name_all_optimizers() -> None:
    used = {rule.ours.func for rule in RULES}
    assert used == {
        kind for kind in vars(optim).values() if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer)
    }
