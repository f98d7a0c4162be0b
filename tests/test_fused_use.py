"""Promises of optimisers that are fused into the backward pass: memory, mixed precision, refusals, saving, growing."""

from __future__ import annotations

import copy
import gc
import weakref
from typing import Any

import pytest
import torch
from optimizer_rules import D, Rule, V, each_rule, embedding, fused, random_table
from torch import Tensor
from torch.testing import assert_close

from pyembed import nn as pnn
from pyembed import ops, optim

# --- memory -----------------------------------------------------------------------------------------------------------


def allocations(run: Any) -> list[int]:
    """What PyTorch's allocator gave (above 0, bytes) and took back, in order."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        run()
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    return [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]


@each_rule
def test_no_gradient_of_the_table_ever_exists(rule: Rule) -> None:
    module = pnn.Embedding(50_000, D)
    fused(rule, module)
    ids, gradient = torch.randint(50_000, (64,)), torch.randn(64, D)
    module(ids).backward(gradient)
    sizes = allocations(lambda: module(ids).backward(gradient))
    assert 0 < max(sizes) < 50_000, "not even a byte for each row"


@each_rule
def test_a_step_takes_less_memory_than_three_times_the_rows_of_the_batch(rule: Rule) -> None:
    if not ops.is_native("update_rows_sgd_"):
        pytest.skip("PyTorch's kernels take more")
    module = pnn.Embedding(5_000, 128)
    fused(rule, module)
    ids, gradient = torch.randint(5_000, (2_000,)), torch.randn(2_000, 128)
    module(ids).backward(gradient)
    live = peak = 0
    for size in allocations(lambda: module(ids).backward(gradient)):
        live += size
        peak = max(peak, live)
    rows = 4 * gradient.numel()
    assert rows <= peak < 3 * rows, "the rows looked up are among it"


# --- mixed precision --------------------------------------------------------------------------------------------------


def scaled_training(
    module: Any, optimizers: list[Any], scaler: Any, losses: list[Tensor], *, call_step: bool
) -> list[float]:
    """The scale after each step. A step's loss is the sum of the rows of ids 1 and 2, times the step's factor."""
    scales = []
    for factor in losses:
        scaler.scale((module(torch.tensor([1, 2])) * factor).sum()).backward()
        if call_step:
            for optimizer in optimizers:
                scaler.step(optimizer)
        scaler.update()
        module.zero_grad()
        scales.append(scaler.get_scale())
    return scales


@pytest.mark.parametrize("call_step", [False, True])
def test_a_scaler_sees_what_it_sees_of_a_sparse_gradient(call_step: bool) -> None:
    start, options = random_table(dtype=torch.float32), {"init_scale": 8.0, "growth_interval": 2}
    losses = [torch.tensor(factor) for factor in (1.0, 2.0, float("inf"), 3.0, float("nan"), 1.0, 1.0)]
    module, plain = embedding(start), embedding(start, sparse=True)
    scaler, expected_scaler = (torch.amp.GradScaler("cpu", **options) for _ in range(2))
    optimizer = optim.fuse(module, optim.AdamW, lr=0.1, grad_scaler=scaler)
    expected = optim.AdamW(plain.parameters(), lr=0.1)
    scales = scaled_training(module, [optimizer], scaler, losses, call_step=call_step)
    assert scales == scaled_training(plain, [expected], expected_scaler, losses, call_step=True)
    assert_close(module.weight.detach(), plain.weight.detach())
    assert optimizer.state[module.weight]["step"] == 5


def test_a_disabled_scaler_changes_nothing() -> None:
    module, plain = embedding(random_table()), embedding(random_table())
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    optimizers = [optim.fuse(module, optim.SGD, lr=0.1, grad_scaler=scaler), optim.fuse(plain, optim.SGD, lr=0.1)]
    for each, optimizer in zip((module, plain), optimizers, strict=True):
        scaled_training(each, [optimizer], scaler, [torch.tensor(2.0)], call_step=True)
    assert torch.equal(module.weight, plain.weight)


def test_a_scaler_works_as_ever_after_unfuse() -> None:
    module, plain = (embedding(random_table(), sparse=True) for _ in range(2))
    scaler, expected_scaler = (torch.amp.GradScaler("cpu", init_scale=8.0) for _ in range(2))
    optimizer = optim.fuse(module, optim.SGD, lr=0.1, grad_scaler=scaler)
    optim.unfuse(module)
    for each, its, by in ((module, optimizer, scaler), (plain, optim.SGD(plain.parameters(), lr=0.1), expected_scaler)):
        scaled_training(each, [its], by, [torch.tensor(2.0), torch.tensor(float("inf"))], call_step=True)
    assert torch.equal(module.weight, plain.weight)


def test_autocast_leaves_the_table_its_type() -> None:
    module = embedding(random_table(dtype=torch.float32))
    optim.fuse(module, optim.SGD, lr=0.1)
    layer, before = torch.nn.Linear(D, 2), module.weight.detach().clone()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = layer(module(torch.tensor([1, 2]))).float().square().sum()
    loss.backward()
    assert module.weight.dtype == torch.float32
    assert not torch.equal(module.weight[1], before[1])


# --- what is refused --------------------------------------------------------------------------------------------------


def test_create_graph_is_refused() -> None:
    module = embedding(random_table())
    optim.fuse(module, optim.SGD, lr=0.1)
    before = module.weight.detach().clone()
    with pytest.raises(RuntimeError, match="create_graph"):
        module(torch.tensor([1])).square().sum().backward(create_graph=True)
    assert torch.equal(module.weight, before)


@pytest.mark.parametrize(
    "transform",
    [
        lambda module: torch.vmap(module)(torch.tensor([[1], [2]])),
        lambda module: torch.func.grad(lambda x: (module(torch.tensor([1])) * x).sum())(torch.ones(()).double()),
    ],
    ids=["vmap", "grad"],
)
def test_transforms_are_refused_where_the_table_would_be_trained(transform: Any) -> None:
    module = embedding(random_table())
    optim.fuse(module, optim.SGD, lr=0.1)
    with pytest.raises(RuntimeError, match=r"unfuse\(module\)"):
        transform(module)
    optim.unfuse(module)
    transform(module)


def test_vmap_looks_up_where_nothing_is_trained() -> None:
    module = embedding(random_table())
    optim.fuse(module, optim.SGD, lr=0.1)
    ids = torch.tensor([[1], [2]])
    with torch.no_grad():
        assert torch.equal(torch.vmap(module)(ids), module(ids))


@pytest.mark.parametrize(
    ("module", "kind", "options", "error"),
    [
        (lambda: torch.nn.Embedding(3, 2), optim.SGD, {}, TypeError),
        (lambda: pnn.Embedding(3, 2), torch.optim.SGD, {}, TypeError),
        (lambda: pnn.Embedding(3, 2), optim.SGD, {"lr": -1}, ValueError),
        (lambda: pnn.Embedding(3, 2), optim.SGD, {"accumulate": 0}, ValueError),
        (lambda: torch.nn.utils.parametrizations.weight_norm(pnn.Embedding(3, 2)), optim.SGD, {}, ValueError),
        (lambda: pnn.Embedding.from_pretrained(torch.zeros(3, 2)), optim.SGD, {}, ValueError),
    ],
    ids=["module of torch", "optimizer of torch", "option", "accumulate", "computed weight", "frozen weight"],
)
def test_fuse_refuses_what_it_cannot_do(
    module: Any, kind: Any, options: dict[str, Any], error: type[Exception]
) -> None:
    table = module()
    before = [parameter.requires_grad for parameter in table.parameters()]
    with pytest.raises(error, match=r"expected .*(got|found)"):
        optim.fuse(table, kind, **options)
    assert getattr(table, "receiver", None) is None
    assert [parameter.requires_grad for parameter in table.parameters()] == before


def test_a_module_is_fused_once() -> None:
    module = embedding(random_table())
    optim.fuse(module, optim.SGD, lr=0.1)
    with pytest.raises(ValueError, match="fused to it"):
        optim.fuse(module, optim.SGD, lr=0.1)


def test_a_gradient_that_comes_after_unfuse_is_told_apart() -> None:
    module = embedding(random_table())
    optim.fuse(module, optim.SGD, lr=0.1)
    loss = module(torch.tensor([1])).sum()
    optim.unfuse(module)
    with pytest.raises(RuntimeError, match="unfused"):
        loss.backward()


# --- the life of a fused table ----------------------------------------------------------------------------------------


def test_the_optimizer_trains_on_after_unfuse() -> None:
    module, plain = embedding(random_table(), sparse=True), embedding(random_table(), sparse=True)
    optimizer, expected = optim.fuse(module, optim.AdamW, lr=0.1), optim.AdamW(plain.parameters(), lr=0.1)
    for step in range(4):
        if step == 2:
            optim.unfuse(module)
        for each, its in ((module, optimizer), (plain, expected)):
            its.zero_grad()
            each(torch.tensor([1, 2, 2])).square().sum().backward()
            its.step()
    assert_close(module.weight.detach(), plain.weight.detach())
    optim.unfuse(module)
    assert module.weight.requires_grad


@each_rule
def test_fused_training_continues_bit_for_bit_after_it_was_saved(rule: Rule) -> None:
    module = embedding(random_table(dtype=torch.bfloat16))
    optimizer = fused(rule, module)

    def train(each: pnn.Embedding, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        for _ in range(3):
            each(torch.randint(V, (5,), generator=generator)).square().sum().backward()

    train(module, 0)
    again = pnn.Embedding(V, D, dtype=torch.bfloat16)
    again.load_state_dict(module.state_dict())
    fused(rule, again).load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for each in (module, again):
        train(each, 1)
    assert torch.equal(module.weight, again.weight)


@each_rule
def test_a_table_grows_in_the_middle_of_training(rule: Rule) -> None:
    start = random_table()
    module, untouched = embedding(start), embedding(start)
    for each in (module, untouched):
        fused(rule, each)
    for step in range(4):
        if step == 2:
            new = module.grow(3)
            fresh = module.weight[new.start :].detach().clone()
        for each in (module, untouched):
            each(torch.tensor([1, 4])).square().sum().backward()
    assert torch.equal(module.weight[:V], untouched.weight)
    assert torch.equal(module.weight[V:], fresh)
    module(torch.tensor(new)).sum().backward()
    assert not (module.weight[V:] == fresh).any()


def test_rows_may_be_frozen_and_unfrozen_between_steps() -> None:
    module = embedding(random_table(), padding_idx=0)
    optim.fuse(module, optim.SGD, lr=1.0)
    start = module.weight.detach().clone()
    for frozen, moved in (([2], 3), ([2, 3], 3), ([], 2)):
        module.unfreeze_rows()
        module.freeze_rows(torch.tensor(frozen, dtype=torch.int64))
        module(torch.tensor([0, 2, 3])).sum().backward()
        rest = [row for row in (0, 2) if row != moved]
        assert torch.equal(module.weight[rest], start[rest])
    assert_close(module.weight[[2, 3]].detach(), start[[2, 3]] - torch.tensor([[1.0], [2.0]], dtype=torch.float64))


def test_nothing_is_trained_without_gradients() -> None:
    module = embedding(random_table())
    optim.fuse(module, optim.SGD, lr=0.1)
    with torch.no_grad():
        assert not module(torch.tensor([1])).requires_grad
    with torch.inference_mode():
        module(torch.tensor([1]))
    assert module(torch.tensor([1])).requires_grad


def test_other_optimizers_and_clipping_leave_the_table_alone() -> None:
    module = embedding(random_table())
    model = torch.nn.Sequential(module, torch.nn.Linear(D, 2).double())
    optim.fuse(module, optim.SGD, lr=1e-9)
    others = torch.optim.AdamW(model.parameters(), lr=0.5, weight_decay=0.5)
    before = module.weight.detach().clone()
    model(torch.tensor([1])).sum().backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    others.step()
    assert_close(module.weight.detach(), before, rtol=1e-6, atol=1e-6)


def test_a_fused_table_is_freed_with_its_last_reference() -> None:
    gc.disable()
    try:
        module = embedding(random_table())
        optimizer = optim.fuse(module, optim.AdamW, lr=0.1)
        module(torch.tensor([1])).sum().backward()
        table, receiver = weakref.ref(module.weight), weakref.ref(module.receiver)
        del module, optimizer
        assert receiver() is None
        assert table() is None
    finally:
        gc.enable()
