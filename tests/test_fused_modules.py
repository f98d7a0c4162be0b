"""Promises of fused tables whose modules are shared, changed and run as programs do that: nothing fails unheard."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator
from threading import Thread
from typing import Any

import pytest
import torch
from optimizer_rules import D, V, embedding, random_table
from torch import Tensor
from torch.nn.utils import parametrizations, prune
from torch.testing import assert_close

from pyembed import nn as pnn
from pyembed import optim

# --- modules of one table ---------------------------------------------------------------------------------------------


def two_of_one_table(**options: Any) -> tuple[pnn.Embedding, pnn.Embedding]:
    """The first is fused; the second has its weight and its receiver."""
    first, second = (embedding(random_table()) for _ in range(2))
    optim.fuse(first, optim.SGD, lr=1.0, **options)
    second.weight, second.receiver = first.weight, first.receiver
    return first, second


def test_a_receiver_says_so_where_its_module_is_gone() -> None:
    first, second = two_of_one_table(accumulate=2)
    del first
    for _ in range(2):
        with pytest.raises(RuntimeError, match="gone or unfused"):
            second(torch.tensor([1])).sum().backward()


def test_unfuse_ends_the_updates_of_all_modules() -> None:
    first, second = two_of_one_table()
    optim.unfuse(first)
    before = second.weight.detach().clone()
    with pytest.raises(RuntimeError, match="gone or unfused"):
        second(torch.tensor([1])).sum().backward()
    assert torch.equal(second.weight, before)
    second.receiver = None
    second(torch.tensor([1])).sum().backward()
    assert second.weight.grad is not None


def test_a_shallow_copy_shares_weight_and_optimizer() -> None:
    module = embedding(random_table())
    optim.fuse(module, optim.SGD, lr=1.0)
    module.freeze_rows([2])
    before, shared = module.weight.detach().clone(), copy.copy(module)
    assert not module.weight.requires_grad
    shared(torch.tensor([1, 2])).sum().backward()
    assert_close(module.weight[[1, 2]].detach(), before[[1, 2]] - torch.tensor([[1.0], [0.0]], dtype=torch.float64))


# --- another weight ---------------------------------------------------------------------------------------------------


def assigned(module: pnn.Embedding) -> None:
    module.load_state_dict(copy.deepcopy(module.state_dict()), assign=True)


def replaced(module: pnn.Embedding) -> None:
    module.weight = torch.nn.Parameter(module.weight.detach().clone())


@pytest.mark.parametrize("change", [assigned, replaced])
def test_the_optimizer_goes_on_with_another_weight(change: Callable[[pnn.Embedding], None]) -> None:
    """With its state, which is saved and caught up with as that of the one before."""
    module, plain = (embedding(random_table()) for _ in range(2))
    optimizers = [optim.fuse(each, optim.AdamW, lr=0.1) for each in (module, plain)]
    for step in range(3):
        for each in (module, plain):
            if step == 1 and each is module:
                change(each)
            each(torch.tensor([1, step + 2])).square().sum().backward()
    for optimizer in optimizers:
        optimizer.catch_up()
    assert torch.equal(module.weight, plain.weight)
    assert_close(*(optimizer.state_dict()["state"] for optimizer in optimizers))
    assert not module.weight.requires_grad


@pytest.mark.parametrize(
    "compute",
    [parametrizations.weight_norm, lambda module: prune.random_unstructured(module, "weight", 0.3)],
    ids=["parametrised", "pruned"],
)
def test_a_weight_that_is_computed_since_is_refused(compute: Any) -> None:
    module = embedding(random_table())
    optimizer = optim.fuse(module, optim.AdamW, lr=0.1)
    compute(module)
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"unfuse\(module\) before it is parametrised"):
            module(torch.tensor([1])).sum().backward()
    assert not optimizer.state


def test_a_padding_row_does_not_catch_up() -> None:
    module = embedding(random_table(), padding_idx=3)
    optimizer = optim.fuse(module, optim.AdamW, lr=0.1, weight_decay=0.5)
    before = module.weight.detach().clone()
    module(torch.tensor([1, 3])).sum().backward()
    optimizer.catch_up()
    assert torch.equal(module.weight[3], before[3])
    assert_close(module.weight[5].detach(), before[5] * 0.95)
    optim.unfuse(module)
    module(torch.tensor([1])).sum().backward()
    optimizer.step()
    assert_close(module.weight[3].detach(), before[3] * 0.95), "as a row of a dense gradient again"


# --- passes -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def switching() -> Iterator[None]:
    """Threads take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("switching")
def test_passes_of_several_threads_all_make_their_steps() -> None:
    module = pnn.Embedding(V, D, _weight=torch.zeros(V, D))
    optimizer = optim.fuse(module, optim.SGD, lr=1.0)

    def work() -> None:
        for _ in range(40):
            module(torch.arange(V)).sum().backward()

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert optimizer.state[module.weight]["step"] == 160
    assert torch.equal(module.weight, torch.full((V, D), -160.0))


def test_a_step_that_fails_does_not_keep_later_ones_from_being_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where another process did not answer in time. The gradients of the step are dropped."""
    module = embedding(random_table())
    optim.fuse(module, optim.SGD, lr=1.0)
    before = module.weight.detach().clone()

    def fail(*_arguments: object) -> None:
        raise TimeoutError

    loss = module(torch.tensor([1])).sum()
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["pyembed.optim.fuse"], "gathered", fail)
        with pytest.raises(TimeoutError):
            loss.backward()
    for _ in range(2):
        module(torch.tensor([2])).sum().backward()
    assert_close(module.weight[[1, 2]].detach(), before[[1, 2]] - torch.tensor([[0.0], [2.0]], dtype=torch.float64))


# --- mixed precision --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factors", [(1.0, 1.0), (float("inf"), 1.0), (1.0, float("nan"))])
def test_a_scaler_hears_of_all_passes_between_two_updates(factors: tuple[float, float]) -> None:
    module = embedding(random_table())
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=1)
    optimizer = optim.fuse(module, optim.SGD, lr=1.0, grad_scaler=scaler)
    before = module.weight.detach().clone()
    for row, factor in enumerate(factors):
        scaler.scale((module(torch.tensor([row])) * factor).sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    finite = torch.tensor(factors).isfinite()
    assert scaler.get_scale() == (16 if finite.all() else 4)
    assert_close(module.weight[:2].detach(), before[:2] - finite[:, None].double())


def test_a_disabled_scaler_skips_nothing() -> None:
    module = embedding(random_table())
    optim.fuse(module, optim.SGD, lr=1.0, grad_scaler=torch.amp.GradScaler("cpu", enabled=False))
    (module(torch.tensor([1])) * float("nan")).sum().backward()
    assert module.weight[1].isnan().all()


def weights_of(mode: str) -> Tensor | None:
    return torch.ones(2, 2, dtype=torch.float64) if mode == "weighted" else None


@pytest.mark.parametrize("mode", ["sum", "weighted", "mean", "rows"])
def test_a_scaler_asks_about_rows_that_move_alone(mode: str) -> None:
    """As torch, whose gradient of a padding row is 0."""
    options = {"_weight": random_table(), "padding_idx": 0}
    module: Any = pnn.Embedding(V, D, **options)
    if mode != "rows":
        module = pnn.EmbeddingBag(V, D, mode="sum" if mode == "weighted" else mode, **options)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    optim.fuse(module, optim.SGD, lr=1.0, grad_scaler=scaler)
    before = module.weight.detach().clone()
    ids = torch.tensor([[0, 0], [1, 0]])
    looked_up = module(ids) if mode == "rows" else module(ids, None, weights_of(mode))
    gradient = torch.ones_like(looked_up)
    gradient[0] = float("inf")
    looked_up.backward(scaler.scale(gradient))
    scaler.update()
    assert scaler.get_scale() == 8
    assert_close(module.weight[:2].detach(), before[:2] - torch.tensor([[0.0], [1.0]], dtype=torch.float64))


# --- bags -------------------------------------------------------------------------------------------------------------


def test_fused_bags_refuse_what_bags_refuse() -> None:
    for mode, shape, error in (("max", (2, 2), NotImplementedError), ("sum", (4,), ValueError)):
        module = pnn.EmbeddingBag(V, D, mode=mode)
        optim.fuse(module, optim.SGD, lr=0.1)
        with pytest.raises(error, match="per_sample_weights"):
            module(torch.tensor([[1, 2], [3, 4]]), None, torch.ones(shape))


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_fused_bags_of_equal_length_have_no_last_offset(mode: str) -> None:
    options = {"mode": mode, "include_last_offset": True, "_weight": random_table()}
    module, plain = pnn.EmbeddingBag(V, D, **options), torch.nn.EmbeddingBag(V, D, **copy.deepcopy(options))
    optim.fuse(module, optim.SGD, lr=1.0)
    ids = torch.tensor([[1, 2], [2, 3]])
    expected = plain(ids)
    expected.sum().backward()
    output = module(ids)
    assert torch.equal(output, expected)
    output.sum().backward()
    assert_close(module.weight.detach(), plain.weight.detach() - plain.weight.grad)


def test_a_bag_of_padding_alone_has_a_finite_gradient() -> None:
    module = pnn.EmbeddingBag(V, D, mode="mean", padding_idx=0, _weight=random_table())
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    optim.fuse(module, optim.SGD, lr=1.0, grad_scaler=scaler)
    before = module.weight.detach().clone()
    scaler.scale(module(torch.tensor([[0, 0], [1, 0]])).sum()).backward()
    assert_close(module.weight[1].detach(), before[1] - 1)


def test_what_is_kept_of_weighted_bags_holds_no_graph() -> None:
    module = pnn.EmbeddingBag(V, D, mode="sum")
    optim.fuse(module, optim.SGD, lr=1.0, accumulate=2)
    weights = torch.ones(1, 2, requires_grad=True)
    module(torch.tensor([[1, 2]]), None, weights * 2).sum().backward()
    assert not any(kept.factors.requires_grad for kept in module.receiver._kept)
