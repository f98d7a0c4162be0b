"""Promises of nn.NegativeSampling: its loss, its draws, and what it refuses."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sampling_cases import IN_BATCH, pairs, sampling, weights
from torch import Tensor
from torch.testing import assert_close

from pyembed import nn as pnn
from pyembed import ops
from pyembed.config import Backend


def sigmoid(score: float) -> float:
    return 1 / (1 + math.exp(-score))


def slow_drawn_loss(module: pnn.NegativeSampling, centers: Tensor, contexts: Tensor, first: int) -> float:
    into, out = (table.tolist() for table in weights(module))
    drawn = ops.draw_negatives(module.alias_table, first, len(centers), module.negative, module.seed, 0)
    loss = 0.0
    for center, context, negatives in zip(centers.tolist(), contexts.tolist(), drawn.tolist(), strict=True):
        score = [sum(a * b for a, b in zip(into[center], row, strict=True)) for row in out]
        loss -= math.log(sigmoid(score[context]))
        loss -= sum(math.log(sigmoid(-score[negative])) for negative in negatives if negative != context)
    return loss


def slow_in_batch_loss(module: pnn.NegativeSampling, centers: Tensor, contexts: Tensor, noise: list[float]) -> float:
    """Each row of the batch adds its item's weight; of the sum of all, those of the center's own item are right."""
    into, out = (table.tolist() for table in weights(module))
    loss = 0.0
    for center, context in zip(centers.tolist(), contexts.tolist(), strict=True):
        weight = [
            math.exp(sum(a * b for a, b in zip(into[center], out[item], strict=True))) / (noise[item] / sum(noise))
            for item in contexts.tolist()
        ]
        right = sum(w for w, item in zip(weight, contexts.tolist(), strict=True) if item == context)
        loss -= math.log(right / sum(weight))
    return loss


# --- the loss ---------------------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(count=st.integers(1, 12), negative=st.integers(1, 9), seed=st.integers(0, 99))
def test_the_loss_is_that_of_the_formula(backend: Backend, count: int, negative: int, seed: int) -> None:
    module = sampling(backend, negative=negative, seed=seed)
    for first in (0, count):  # the second batch draws on
        centers, contexts = pairs(count, seed + first)
        expected = slow_drawn_loss(module, centers, contexts, first)
        assert module.loss(centers, contexts, "sum").item() == pytest.approx(expected, rel=1e-12)
    assert module.position == 2 * count


@given(count=st.integers(1, 12), seed=st.integers(0, 99))
def test_the_in_batch_loss_is_that_of_the_formula(count: int, seed: int) -> None:
    noise = [5.0, 1.0, 0.5, 2.0, 8.0, 3.0, 1.0]
    module = sampling(in_batch=True, noise=noise)
    centers, contexts = pairs(count, seed)
    expected = slow_in_batch_loss(module, centers, contexts, noise)
    assert module.loss(centers, contexts, "sum").item() == pytest.approx(expected, rel=1e-11)


@IN_BATCH
def test_shapes_and_reductions(backend: Backend, in_batch: bool) -> None:
    module = sampling(backend, in_batch=in_batch).eval()
    centers, contexts = pairs(20, dtype=torch.int32)
    total = module.loss(centers, contexts, "sum")
    assert total.shape == ()
    assert total.dtype == torch.float64
    assert_close(module(centers.view(4, 5), contexts.long().view(4, 5)), total / 20)


@IN_BATCH
def test_gradcheck(backend: Backend, in_batch: bool) -> None:
    module = sampling(backend, in_batch=in_batch).eval()  # which draws the same negatives in every call
    names = [name for name, _ in module.named_parameters()]

    def loss(*tables: Tensor) -> Tensor:
        return torch.func.functional_call(module, dict(zip(names, tables, strict=True)), pairs())

    torch.autograd.gradcheck(loss, tuple(module.parameters()))


@pytest.mark.parametrize("option", ["sparse", "scale_grad_by_freq", "padding_idx", "max_norm", "frozen", "float32"])
def test_what_a_table_is_told_holds_in_the_loss(backend: Backend, option: str) -> None:
    """Where tables do more than look rows up, the loss goes through their own lookups."""
    plain = sampling(backend).eval()
    tables = weights(plain)
    if option == "max_norm":
        for table in (*tables, plain.in_vectors.weight.data, plain.out_vectors.weight.data):
            table /= table.norm(dim=1, keepdim=True)  # so that 1 is no limit
    options = {"sparse": True, "scale_grad_by_freq": True, "padding_idx": 3, "max_norm": 1.0 + 1e-9}
    told = {option: options[option]} if option in options else {}
    dtype = torch.float32 if option == "float32" else torch.float64
    modules = [pnn.Embedding.from_pretrained(table.to(dtype), freeze=False, **told) for table in tables]
    if option == "frozen":
        modules[1].freeze_rows([3])
    module = pnn.NegativeSampling.from_tables(*modules, noise=[5, 1, 1, 2, 8, 3, 1], backend=backend).eval()
    losses = [each.loss(*pairs()) for each in (module, plain)]
    assert_close(losses[0], losses[1].to(dtype))
    for loss in losses:
        loss.backward()
    found, full = modules[1].weight.grad, plain.out_vectors.weight.grad
    assert found.is_sparse == (option == "sparse")
    if option in ("padding_idx", "frozen"):
        assert not found[3].any()
        full[3] = 0
    if option != "scale_grad_by_freq":
        assert_close(found.to_dense(), full.to(dtype))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_has_a_loss_and_no_step(dtype: torch.dtype) -> None:
    module, exact = (sampling(dtype=kind).eval() for kind in (dtype, torch.float64))
    exact.load_state_dict(module.state_dict())
    loss = module.loss(*pairs())
    assert_close(loss, exact.loss(*pairs()).to(dtype), rtol=2e-2, atol=0)
    loss.backward()
    with pytest.raises(ValueError, match=f"expects a parameter of float32 or float64.*found {dtype}; use loss"):
        module.step(*pairs(), 0.1)


@IN_BATCH
def test_no_pairs_no_loss(backend: Backend, in_batch: bool) -> None:
    module = sampling(backend, in_batch=in_batch)
    before, none = weights(module), torch.empty(0, dtype=torch.int64)
    module.loss(none, none).backward()
    assert not any(parameter.grad.any() for parameter in module.parameters())
    assert module.loss(none, none) == module.step(none, none, 0.1) == 0
    assert_close(weights(module), before, rtol=0, atol=0)


# --- draws ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", ["counts", "weights", "tensor", None])
@pytest.mark.parametrize("exponent", [0.75, 1.0, 0.0])
def test_negatives_follow_the_noise(noise: str | None, exponent: float) -> None:
    """Chi-square with 6 degrees of freedom; 22.5 is the 99.9th percentile, and every run draws the same."""
    counts = np.array([50, 10, 10, 20, 80, 30, 10])
    given_noise = {"counts": counts, "weights": counts / counts.sum(), "tensor": torch.tensor(counts)}.get(noise)
    module = pnn.NegativeSampling(9, 4, 7, noise=given_noise, exponent=exponent, negative=4)
    drawn = ops.draw_negatives(module.alias_table, 0, 5000, 4, 1, 0)
    expected = np.ones(7) if noise is None else counts**exponent
    expected = expected / expected.sum() * drawn.numel()
    observed = np.bincount(drawn.flatten().numpy(), minlength=7)
    assert ((observed - expected) ** 2 / expected).sum() < 22.5


def test_an_output_of_weight_zero_is_never_drawn() -> None:
    module = pnn.NegativeSampling(9, 4, 3, noise=[1, 0, 2])
    assert not (ops.draw_negatives(module.alias_table, 0, 2000, 5, 1, 0) == 1).any()


def test_draws_do_not_depend_on_the_batch_size(backend: Backend) -> None:
    whole, parts = sampling(backend), sampling(backend)
    centers, contexts = pairs(20)
    total = sum(
        parts.loss(*some, "sum") for some in zip(centers.split([1, 12, 7]), contexts.split([1, 12, 7]), strict=True)
    )
    assert_close(whole.loss(centers, contexts, "sum"), total)


def test_a_run_that_goes_on_from_a_saved_state_equals_one_without_a_break(backend: Backend, tmp_path: Path) -> None:
    unbroken = sampling(backend, negative=3)
    unbroken.step(*pairs(), 0.1)
    torch.save(unbroken.state_dict(), tmp_path / "state.pt")
    resumed = sampling(backend, negative=3, noise=None)  # the noise is saved too
    resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    losses = [module.step(*pairs(seed=1), 0.1) for module in (unbroken, resumed)]
    assert losses[0] == losses[1]
    assert_close(weights(resumed), weights(unbroken), rtol=0, atol=0)


def test_an_evaluation_changes_nothing_and_repeats(backend: Backend) -> None:
    module = sampling(backend)
    module.step(*pairs(), 0.1)
    module.eval()
    assert module.loss(*pairs()) == module.loss(*pairs())
    assert module.position == 20
    module.train()
    assert module.loss(*pairs()) != module.loss(*pairs())


def test_seeds_draw_differently() -> None:
    assert len({sampling(seed=seed).loss(*pairs()).item() for seed in range(4)}) == 4


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"negative": 0}, "negative: expected 1 to 1000, got 0"),
        ({"seed": -1}, "seed: expected at least 0, got -1"),
        ({"noise": [1, 2]}, r"noise: expected a weight for each of 7 outputs, got shape \(2,\)"),
        ({"noise": [1, 2, -1, 0, 0, 0, 0]}, "noise: expected finite weights >= 0"),
        ({"noise": [1, 2, math.inf, 0, 0, 0, 0]}, "noise: expected finite weights >= 0"),
        ({"noise": [0] * 7}, "one of them above 0"),
    ],
)
def test_bad_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pnn.NegativeSampling(9, 4, 7, **options)


def test_tables_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="out_vectors: expected the D, dtype and device of in_vectors"):
        pnn.NegativeSampling.from_tables(torch.zeros(3, 4), torch.zeros(3, 5))
    with pytest.raises(
        TypeError, match=r"out_vectors: expected .* got torch\.nn\..*Embedding; of a module pass its weight"
    ):
        pnn.NegativeSampling.from_tables(torch.zeros(3, 4), torch.nn.Embedding(3, 4))


@IN_BATCH
@pytest.mark.parametrize("call", ["loss", "step"])
def test_bad_pairs_are_refused_and_change_nothing(backend: Backend, in_batch: bool, call: str) -> None:
    module = sampling(backend, in_batch=in_batch)
    before = weights(module)
    rate = (0.1,) if call == "step" else ()
    good = torch.tensor([1, 2])
    for bad, where in ((torch.tensor([1, 9]), r"\[1\].*9"), (torch.tensor([-1, 1]), r"\[0\].*-1")):
        for name, batch in (("centers", (bad, good)), ("contexts", (good, bad))):
            with pytest.raises(IndexError, match=name + where):
                getattr(module, call)(*batch, *rate)
    with pytest.raises(ValueError, match=r"contexts: expected one for each center, shape \[2\], got \[1\]"):
        getattr(module, call)(good, good[:1], *rate)
    with pytest.raises(ValueError, match="reduction: expected 'mean' or 'sum', got 'none'"):
        getattr(module, call)(good, good, *rate, reduction="none")
    assert_close(weights(module), before, rtol=0, atol=0)
    assert module.position == 0


def test_steps_on_tables_that_are_more_than_a_parameter_are_refused() -> None:
    limited = pnn.NegativeSampling.from_tables(pnn.Embedding(9, 4, max_norm=1.0), pnn.Embedding(7, 4))
    with pytest.raises(ValueError, match=r"in_vectors: step expects .* found max_norm=1.0; use loss"):
        limited.step(*pairs(), 0.1)
    computed = sampling()
    torch.nn.utils.parametrizations.weight_norm(computed.out_vectors)
    with pytest.raises(ValueError, match=r"out_vectors: step expects .* found a weight that is computed from others"):
        computed.step(*pairs(), 0.1)
    computed.loss(*pairs()).backward()
