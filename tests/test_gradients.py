"""Promises P2 and P3: the spec equals the slow twin, loss and gradient equal the spec, a small step tends to them."""

from __future__ import annotations

from dataclasses import replace

import naive
import pytest
import torch
from blocks import (
    EXACT_MODELS,
    RTOL,
    SHARINGS,
    Loss,
    Model,
    Tables,
    assert_tables_close,
    block_of,
    blocks,
    draws_of,
    each_dtype,
    each_loss,
    each_model,
    each_sharing,
    naive_centers,
    naive_windows,
    random_block,
    random_tables,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from pyembed import reference
from pyembed.config import Backend
from pyembed.reference import Draws, TokenBlock

pytestmark = pytest.mark.simt

LR = (0.05, 0.02)


def gradient(
    loss: Loss, tables: Tables, block: TokenBlock, draws: Draws, backend: Backend
) -> tuple[torch.Tensor, Tables]:
    """The loss and its gradient by autograd."""
    leaves = Tables(*(table.clone().requires_grad_() for table in tables))
    value = loss.loss(*leaves, block, draws, backend=backend)
    return value.detach(), Tables(*torch.autograd.grad(value, leaves))


# --- the spec itself --------------------------------------------------------------------------------------------------


@each_model
@settings(max_examples=30)
@given(
    block=blocks(vocabulary=6),
    window=st.integers(1, 4),
    negative=st.integers(1, 4),
    sharing=st.sampled_from(SHARINGS),
    shrink_windows=st.booleans(),
)
def test_the_sequential_spec_equals_the_slow_twin(
    model: Model, block: TokenBlock, window: int, negative: int, sharing: int, shrink_windows: bool
) -> None:
    draws = draws_of(6, window=window, negative=negative, sharing=sharing, shrink_windows=shrink_windows)
    tables = random_tables(6, 3)
    expected = tables.in_vectors.tolist(), tables.out_vectors.tolist()
    loss, pairs = naive.step(model.naive_gradient, *expected, naive_centers(block, draws), LR)
    total = reference.step_(model.gradient_of, *tables, block, draws, *LR)
    assert total.tolist() == pytest.approx([loss, pairs], rel=1e-12)
    for found, rows in zip(tables, expected, strict=True):
        assert_close(found, torch.tensor(rows, dtype=torch.float64), rtol=1e-12, atol=1e-12)


@each_loss
def test_the_loss_of_the_spec_equals_the_slow_twin(loss: Loss) -> None:
    model = next(model for model in EXACT_MODELS if model.name.startswith(loss.name))
    block, draws, tables = random_block(6), draws_of(6), random_tables(6, 3)
    rows = tables.in_vectors.tolist(), tables.out_vectors.tolist()
    windows = [model.naive_gradient(*rows, window) for window in naive_windows(block, draws)]
    total, *_ = reference.loss_and_gradient(loss.gradient_of, *tables, block, draws, batch=7)
    assert float(total) == pytest.approx(sum(window.loss for window in windows), rel=1e-12)


# --- P2: loss and gradient --------------------------------------------------------------------------------------------


@each_loss
@each_dtype
@each_sharing
@pytest.mark.parametrize("dimensions", [1, 7, 100])
def test_loss_and_gradient_equal_the_spec(
    loss: Loss, dtype: torch.dtype, sharing: int, dimensions: int, backend: Backend
) -> None:
    block, draws = random_block(40), draws_of(40, sharing=sharing)
    tables = random_tables(40, dimensions)
    spec_draws = draws if loss.name == "skipgram" else reference.cbow_draws(draws)
    value, *spec = reference.loss_and_gradient(loss.gradient_of, *tables, block, spec_draws)
    found, gradients = gradient(loss, Tables(*(table.to(dtype) for table in tables)), block, draws, backend)
    assert found.dtype == dtype
    assert found.shape == ()
    assert_close(found.double(), value, rtol=RTOL[dtype], atol=0)
    assert_tables_close(gradients, Tables(*spec), rtol=RTOL[dtype], atol=0.1 * RTOL[dtype])


@each_loss
def test_the_gradient_is_that_of_the_loss(loss: Loss, backend: Backend) -> None:
    block, draws = random_block(7, (3, 0, 1, 5), first_position=3), draws_of(7, window=2, negative=3)
    leaves = [table.requires_grad_() for table in random_tables(7, 3)]
    nondeterminism = 1e-12 if backend == "simt" else 0.0  # warps add their parts in any order
    assert torch.autograd.gradcheck(
        lambda *tables: loss.loss(*tables, block, draws, backend=backend), leaves, nondet_tol=nondeterminism
    )


@each_loss
def test_a_factor_on_the_loss_scales_its_gradient(loss: Loss, backend: Backend) -> None:
    block, draws, tables = random_block(9), draws_of(9), random_tables(9, 4)
    leaves = Tables(*(table.clone().requires_grad_() for table in tables))
    (3.5 * loss.loss(*leaves, block, draws, backend=backend)).backward()
    _, expected = gradient(loss, tables, block, draws, backend)
    for leaf, one in zip(leaves, expected, strict=True):
        assert_close(leaf.grad, 3.5 * one)


@each_loss
def test_blocks_of_a_range_have_losses_that_add_up(loss: Loss, backend: Backend) -> None:
    whole, draws, tables = random_block(9), draws_of(9), random_tables(9, 4)
    parts = [replace(whole, center_begin=a, center_end=b) for a, b in ((0, 4), (4, 4), (4, len(whole.ids)))]
    total = sum(loss.loss(*tables, part, draws, backend=backend) for part in parts)
    assert_close(total, loss.loss(*tables, whole, draws, backend=backend))


@each_loss
def test_the_loss_of_a_block_without_pairs_is_zero(loss: Loss, backend: Backend) -> None:
    value, gradients = gradient(loss, random_tables(9, 5), block_of([[1], []]), draws_of(9), backend)
    assert float(value) == 0
    assert not gradients.in_vectors.any()
    assert not gradients.out_vectors.any()


# --- P3: a small step is the gradient ---------------------------------------------------------------------------------


@pytest.mark.parametrize("model", EXACT_MODELS, ids=lambda model: model.name)
@pytest.mark.parametrize("seed", range(3))
def test_a_small_step_tends_to_the_gradient(model: Model, seed: int, backend: Backend) -> None:
    """A tenth of the rate leaves a tenth of the difference, for a block where rows meet again and again."""
    block, draws = random_block(6, seed=seed), draws_of(6, seed=seed)
    tables = random_tables(6, 5, seed=seed)
    _, *spec = reference.loss_and_gradient(model.gradient_of, *tables, block, draws)
    errors = []
    for lr in (1e-6, 1e-7):
        after = tables.copy()
        model.step_(*after, block, draws, lr, lr, backend=backend)
        slopes = [(old - new) / lr for old, new in zip(tables, after, strict=True)]
        errors.append(max(float((a - b).abs().max()) for a, b in zip(slopes, spec, strict=True)))
    assert errors[0] < 1e-2
    assert errors[1] < errors[0] / 5
