"""Promises of optimisers that are fused into the backward pass: the steps that they make."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from optimizer_rules import RULES, D, Rule, V, each_dtype, each_rule, embedding, fused, random_table
from torch import Tensor
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint

from pyembed import nn as pnn
from pyembed import optim

MODES = ["sum", "mean", "max"]


# --- the same as without fusing ---------------------------------------------------------------------------------------


@st.composite
def lookups(draw: st.DrawFn) -> list[tuple[Tensor, Tensor]]:
    """For each step ids of any shape, of both types and also columns first in memory, and what the loss multiplies
    their rows by."""
    steps = []
    for _ in range(draw(st.integers(1, 4))):
        shape = draw(st.lists(st.integers(0, 4), max_size=3))
        generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
        ids = torch.randint(V, shape, generator=generator, dtype=draw(st.sampled_from([torch.int32, torch.int64])))
        if draw(st.booleans()):
            ids = ids.permute(tuple(range(ids.dim()))[::-1])
        steps.append((ids, torch.randn(*ids.shape, D, dtype=torch.float64, generator=generator)))
    return steps


@settings(max_examples=200)
@given(
    steps=lookups(),
    rule=st.sampled_from(RULES),
    padding=st.sampled_from([None, 0, 3, -1]),
    by_frequency=st.booleans(),
    frozen=st.sets(st.integers(0, V - 1), max_size=2),
    clip=st.sampled_from([None, 0.7]),
)
def test_a_fused_step_is_the_step_of_a_sparse_gradient(
    steps: list[tuple[Tensor, Tensor]],
    rule: Rule,
    padding: int | None,
    by_frequency: bool,
    frozen: set[int],
    clip: float | None,
) -> None:
    """And, to be dense where torch can only be dense, of a dense one of the same rows."""
    start, clipping = random_table(), {} if clip is None else {"clip_norm": clip}
    options = {"padding_idx": padding, "scale_grad_by_freq": by_frequency}
    module, plain = embedding(start, **options), embedding(start, **options)
    for each in (module, plain):
        if frozen:
            each.freeze_rows(sorted(frozen))
    optimizer, expected = fused(rule, module, **clipping), rule.ours([plain.weight], **clipping)
    for ids, factors in steps:
        (module(ids) * factors).sum().backward()
        plain.zero_grad()
        (plain(ids) * factors).sum().backward()
        touched = ids.unique().long()
        at_rest = module.rows_at_rest()
        if at_rest is not None:
            touched = touched[~at_rest[touched]]
        plain.weight.grad = torch.sparse_coo_tensor(touched[None], plain.weight.grad[touched], (V, D))
        expected.step()
    assert_close(module.weight.detach(), plain.weight.detach(), rtol=1e-9, atol=1e-11)
    assert torch.equal(module.weight[sorted(frozen)], start[sorted(frozen)])
    assert module.weight.grad is None
    assert optimizer.state[module.weight].get("step", 0) == len(steps)


@st.composite
def bag_batches(draw: st.DrawFn) -> tuple[Tensor, Tensor | None, bool]:
    """Input, offsets and include_last_offset."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    kind = draw(st.sampled_from([torch.int32, torch.int64]))
    if draw(st.booleans()):
        return (
            torch.randint(V, (draw(st.integers(0, 3)), draw(st.integers(1, 3))), generator=generator, dtype=kind),
            None,
            False,
        )
    lengths = draw(st.lists(st.integers(0, 3), min_size=1, max_size=4))
    ends = torch.tensor([0, *lengths]).cumsum(0).to(kind)
    last = draw(st.booleans())
    return torch.randint(V, (sum(lengths),), generator=generator, dtype=kind), ends if last else ends[:-1], last


@settings(max_examples=150)
@given(
    batch=bag_batches(),
    mode=st.sampled_from(MODES),
    weighted=st.booleans(),
    padding=st.sampled_from([None, 2]),
    rule=st.sampled_from(RULES),
)
def test_fused_bags_are_bags_with_a_sparse_gradient(
    batch: tuple[Tensor, Tensor | None, bool], mode: str, weighted: bool, padding: int | None, rule: Rule
) -> None:
    """The weights of a bag's rows get their gradient, too."""
    input, offsets, last = batch
    start, options = random_table(), {"mode": mode, "padding_idx": padding, "include_last_offset": last}
    module, plain = (pnn.EmbeddingBag(V, D, _weight=start.clone(), **options) for _ in range(2))
    fused(rule, module)
    expected = rule.ours([plain.weight])
    for step in range(2):
        generator = torch.Generator().manual_seed(step)
        weights = (
            torch.rand(input.shape, dtype=torch.float64, generator=generator) if weighted and mode != "max" else None
        )
        gradients = []
        for each in (module, plain):
            leaf = None if weights is None else weights.clone().requires_grad_()
            output = each(input, offsets, leaf)
            factors = torch.randn(output.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(step))
            (output * factors).sum().backward()
            gradients.append(None if leaf is None else leaf.grad)
        assert_close(*gradients)
        touched = input.unique().long()
        touched = touched if padding is None else touched[touched != padding]
        plain.weight.grad = torch.sparse_coo_tensor(touched[None], plain.weight.grad[touched], (V, D))
        expected.step()
        plain.weight.grad = None
        assert_close(module.weight.detach(), plain.weight.detach(), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.torchs], ids=lambda rule: rule.name)
def test_a_fused_optimizer_is_torchs_where_every_row_is_looked_up(rule: Rule) -> None:
    start = random_table()
    module, plain = embedding(start), torch.nn.Embedding(V, D, _weight=start.clone())
    fused(rule, module)
    expected = rule.torchs(plain.parameters())
    for step in range(5):
        ids = torch.cat([torch.arange(V), torch.randint(V, (4,), generator=torch.Generator().manual_seed(step))])
        module(ids).square().sum().backward()
        expected.zero_grad()
        plain(ids).square().sum().backward()
        expected.step()
    assert_close(module.weight.detach(), plain.weight.detach(), rtol=1e-9, atol=1e-12)


@each_dtype
@each_rule
def test_every_type_of_table_trains(rule: Rule, dtype: torch.dtype) -> None:
    """With the same bits as by a sparse gradient of the same optimiser."""
    start = random_table(dtype=dtype)
    module, plain = embedding(start), embedding(start, sparse=True)
    fused(rule, module, seed=5)
    optimizer = rule.ours([plain.weight], seed=5)
    for step in range(3):
        ids = torch.randint(V, (6,), generator=torch.Generator().manual_seed(step))
        for each in (module, plain):
            each.zero_grad()
            each(ids).square().sum().backward()
        optimizer.step()
    assert torch.equal(module.weight, plain.weight)


def test_max_norm_holds_before_the_lookup() -> None:
    start = random_table()
    module, plain = embedding(start, max_norm=1.0), embedding(start, max_norm=1.0, sparse=True)
    optim.fuse(module, optim.SGD, lr=0.1)
    optimizer = optim.SGD(plain.parameters(), lr=0.1)
    for each in (module, plain):
        each(torch.tensor([1, 3, 3])).square().sum().backward()
    optimizer.step()
    assert_close(module.weight.detach(), plain.weight.detach())


# --- what makes one step ----------------------------------------------------------------------------------------------


@each_rule
def test_all_lookups_of_a_pass_make_one_step(rule: Rule) -> None:
    start, ids = random_table(), torch.tensor([0, 3, 3, 5, 1, 0])
    twice, once = embedding(start), embedding(start)
    optimizers = [fused(rule, module) for module in (twice, once)]
    for _ in range(3):
        (twice(ids[:2]).square().sum() + twice(ids[2:].view(2, 2)).square().sum()).backward()
        once(ids).square().sum().backward()
    assert_close(twice.weight.detach(), once.weight.detach())
    assert optimizers[0].state[twice.weight]["step"] == 3


def test_bags_and_lookups_of_one_table_make_one_step() -> None:
    """A plain lookup and weighted bags: the receiver of one module may serve another of the same table."""
    start = random_table()
    module, plain = embedding(start), embedding(start, sparse=True)
    bags, plain_bags = (pnn.EmbeddingBag(V, D, mode="mean", _weight=torch.zeros(V, D).double()) for _ in range(2))
    optimizer = optim.fuse(module, optim.AdamW, lr=0.1)
    expected = optim.AdamW(plain.parameters(), lr=0.1)
    bags.weight, bags.receiver = module.weight, module.receiver
    plain_bags.weight, plain_bags.sparse = plain.weight, True
    input = torch.tensor([[1, 2], [2, 7]])
    for first, second in ((module, bags), (plain, plain_bags)):
        (first(torch.tensor([2, 4])).square().sum() + second(input).square().sum()).backward()
    expected.step()
    assert_close(module.weight.detach(), plain.weight.detach())
    assert optimizer.state[module.weight]["step"] == 1


@each_rule
def test_accumulation_makes_one_step_of_several_passes(rule: Rule) -> None:
    start, batches = random_table(), torch.randint(V, (6, 5), generator=torch.Generator().manual_seed(0))
    module, plain = embedding(start), embedding(start, sparse=True)
    fused(rule, module, accumulate=3)
    expected = rule.ours(plain.parameters())
    for number, ids in enumerate(batches, start=1):
        before = module.weight.detach().clone()
        module(ids).square().sum().backward()
        plain(ids).square().sum().backward()
        if number % 3:
            assert torch.equal(module.weight, before)
        else:
            expected.step()
            expected.zero_grad()
        assert_close(module.weight.detach(), plain.weight.detach())


def test_step_applies_what_accumulation_keeps_and_nothing_else() -> None:
    module = embedding(random_table())
    optimizer = optim.fuse(module, optim.SGD, lr=1.0, accumulate=4)
    before = module.weight.detach().clone()
    module(torch.tensor([2])).sum().backward()
    module(torch.tensor([2])).sum().backward()
    for _ in range(2):
        optimizer.step()
        optimizer.zero_grad()
        assert_close(module.weight[2].detach(), before[2] - 2)
    for _ in range(4):
        module(torch.tensor([2])).sum().backward()
    assert_close(module.weight[2].detach(), before[2] - 6)


def test_a_pass_that_fails_leaves_nothing_behind() -> None:
    module = embedding(random_table())
    optim.fuse(module, optim.SGD, lr=1.0)
    before = module.weight.detach().clone()
    early = torch.zeros(1, D, dtype=torch.float64, requires_grad=True)

    def fail(_gradient: Tensor) -> None:
        raise ArithmeticError("on the way back")

    early.register_hook(fail)
    for _ in range(2):
        with pytest.raises(ArithmeticError):
            (early.exp() + module(torch.tensor([1])) + module(torch.tensor([1]))).sum().backward()
        assert torch.equal(module.weight, before)
    module(torch.tensor([1])).sum().backward()
    assert_close(module.weight[1].detach(), before[1] - 1)


def test_gradients_of_other_tensors_update_nothing() -> None:
    module = embedding(random_table())
    optim.fuse(module, optim.SGD, lr=1.0)
    before, x = module.weight.detach().clone(), torch.ones(1, D, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad((module(torch.tensor([1])) * x).sum(), [x])
    assert torch.equal(gradient, before[[1]])
    (module(torch.tensor([1])) * x).sum().backward(inputs=[x])
    assert torch.equal(module.weight, before)


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointing_recomputes_and_updates_once(reentrant: bool) -> None:
    start, ids = random_table(), torch.tensor([1, 4, 4])
    module, plain = embedding(start), embedding(start)
    for each in (module, plain):
        optim.fuse(each, optim.AdamW, lr=0.1)
    x = torch.ones(3, D, dtype=torch.float64, requires_grad=True)
    checkpoint(lambda y: module(ids).square() * y, x, use_reentrant=reentrant).sum().backward()
    plain(ids).square().sum().backward()
    assert_close(module.weight.detach(), plain.weight.detach())


@pytest.mark.filterwarnings("error")
def test_schedulers_need_no_call_of_step() -> None:
    module, plain = embedding(random_table()), embedding(random_table(), sparse=True)
    optimizer, expected = (
        optim.fuse(module, optim.SGD, lr=1.0, warmup=3),
        optim.SGD(plain.parameters(), lr=1.0, warmup=3),
    )
    schedulers = [torch.optim.lr_scheduler.StepLR(each, 2, 0.5) for each in (optimizer, expected)]
    for _ in range(5):
        for each in (module, plain):
            each(torch.tensor([1, 2])).sum().backward()
        expected.step()
        expected.zero_grad()
        for scheduler in schedulers:
            scheduler.step()
    assert_close(module.weight.detach(), plain.weight.detach())
