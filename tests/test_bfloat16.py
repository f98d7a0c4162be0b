"""Promises of bfloat16 tables: float32 arithmetic, and rounding that is unbiased, close, and loses no exact value."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from blocks import (
    MODELS,
    RTOL,
    SHARINGS,
    Model,
    Tables,
    block_of,
    draws_of,
    each_loss,
    each_model,
    naive_windows,
    random_block,
    random_tables,
    spec_step,
)
from blocks import Loss as LossOp
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from pyembed import Word2Vec, ops, reference
from pyembed.config import Backend, TrainConfig
from pyembed.reference import Draws, TokenBlock
from pyembed.training.tables import new_tables

pytestmark = pytest.mark.simt

LR = (0.05, 0.02)


def neighbours(values: Tensor) -> tuple[Tensor, Tensor]:
    """The bfloat16 numbers next to float32 values, towards zero and away from it, as float32."""
    towards_zero = values.view(torch.int32) & -(1 << 16)
    return towards_zero.view(torch.float32), (towards_zero + (1 << 16)).view(torch.float32)


def bfloat16_tables(vocabulary: int, dimensions: int) -> Tables:
    return Tables(*(table.bfloat16() for table in random_tables(vocabulary, dimensions, torch.float32)))


# --- rounding ---------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(-(2.0**126), 2.0**126, width=32), min_size=1, max_size=20), st.integers(0, 2**16 - 1))
def test_a_value_is_rounded_to_one_of_its_neighbours(values: list[float], bits: int) -> None:
    value = torch.tensor(values)
    rounded = reference.round_stochastically(value, torch.full(value.shape, bits, dtype=torch.int32)).float()
    inner, outer = neighbours(value)
    assert bool(((rounded == inner) | ((rounded == outer) & (value != inner))).all())


@pytest.mark.parametrize("value", [1.0, -2.5, 0.0, 3.0e38, math.inf, -math.inf])
def test_exact_values_stay_whatever_the_bits(value: float) -> None:
    bits = torch.arange(1 << 16, dtype=torch.int32)
    exact = torch.tensor(value).bfloat16()
    assert (reference.round_stochastically(exact.float().expand(1 << 16), bits) == exact).all()


@pytest.mark.parametrize("value", [1.0001, -0.0137, 255.3, 1e-40, -7e20])
def test_all_bits_together_round_to_the_value_itself(value: float) -> None:
    """Each of the 2^16 random numbers once: their mean is the expectation, exactly."""
    bits = torch.arange(1 << 16, dtype=torch.int32)
    single = torch.tensor(value)
    rounded = reference.round_stochastically(single.expand(1 << 16), bits)
    assert float(rounded.double().mean()) == float(single)


# --- steps ------------------------------------------------------------------------------------------------------------


def lone_pair(seed: int) -> tuple[TokenBlock, Draws]:
    """One window whose radius and negatives are the same for every seed, so that only the rounding differs."""
    table = torch.tensor([[0, 2]] * 4, dtype=torch.int32)  # every column's alias is word 2
    return block_of([[0, 1]], centers=(0, 1)), Draws(table, window=1, negative=1, seed=seed, epoch=0)


@each_model
def test_a_step_is_right_on_average_and_never_off_by_a_neighbour(model: Model, backend: Backend) -> None:
    tables, seeds = bfloat16_tables(4, 150), 150
    expected = spec_step(model, tables, *lone_pair(0), LR)
    sums = [torch.zeros_like(table) for table in expected]
    for seed in range(seeds):
        after = tables.copy()
        model.step_(*after, *lone_pair(seed), *LR, backend=backend)
        for total, table, exact in zip(sums, after, expected, strict=True):
            inner, outer = neighbours(exact.float())
            assert bool(((table == inner) | (table == outer)).all())
            total += table.double()
    for total, exact, rows in zip(sums, expected, ([1], [0, 2]), strict=True):
        inner, outer = (neighbour.double() for neighbour in neighbours(exact.float()))
        chance = ((exact - inner) / (outer - inner)).clamp(0, 1)  # of the outer neighbour
        score = (total - seeds * exact) / ((outer - inner) * (seeds * chance * (1 - chance) + 1).sqrt())
        assert score.abs().max() < 5
        assert abs(float(score[rows].mean())) < 4 / math.sqrt(score[rows].numel())


@pytest.mark.parametrize("model", MODELS[:2], ids=lambda model: model.name)
def test_updates_below_the_distance_of_neighbours_add_up(model: Model, backend: Backend) -> None:
    """Rounding to the nearest would leave the tables as they were for ever."""
    block = block_of([[0, 1]] * 500)
    draws = Draws(torch.tensor([[0, 2]] * 4, dtype=torch.int32), window=1, negative=1, seed=3, epoch=0)
    start, lr = Tables(torch.ones(4, 32), torch.ones(4, 32)), (4e-5, 4e-5)
    after = Tables(*(table.bfloat16() for table in start))
    single = start.copy()
    model.step_(*after, block, draws, *lr, backend=backend)
    model.step_(*single, block, draws, *lr, backend=backend)
    for row, table in ((1, 0), (2, 1)):
        moved = float((after[table][row].float() - start[table][row]).mean())
        expected = float((single[table][row] - start[table][row]).mean())
        assert abs(expected) > 1e-3
        assert moved == pytest.approx(expected, rel=0.25)


@each_model
@pytest.mark.parametrize("sharing", SHARINGS)
def test_a_long_block_ends_near_the_float32_tables(model: Model, sharing: int, backend: Backend) -> None:
    block, draws = random_block(30, (20, 0, 1, 30) * 5), draws_of(30, sharing=sharing)
    tables = bfloat16_tables(30, 40)
    after, single = tables.copy(), Tables(*(table.float() for table in tables))
    found = model.step_(*after, block, draws, *LR, backend=backend).tolist()
    expected = model.step_(*single, block, draws, *LR, backend=backend).tolist()
    assert found == pytest.approx(expected, rel=0.01)
    for rounded, exact, before in zip(after, single, tables, strict=True):
        assert rounded.dtype == torch.bfloat16
        assert (rounded.float() - exact).norm() < 0.2 * (exact - before.float()).norm()


@each_model
def test_one_thread_repeats_and_another_seed_rounds_otherwise(model: Model, backend: Backend) -> None:
    tables = bfloat16_tables(4, 100)
    first, again, other = (tables.copy() for _ in range(3))
    for after, seed in ((first, 1), (again, 1), (other, 2)):
        model.step_(*after, *lone_pair(seed), *LR, backend=backend)
    assert torch.equal(first.in_vectors, again.in_vectors)
    assert torch.equal(first.out_vectors, again.out_vectors)
    assert not torch.equal(first.in_vectors, other.in_vectors)


def test_rounding_differs_from_position_to_position(backend: Backend) -> None:
    block, draws = lone_pair(1)
    results = []
    for position in (0, 1, 2**32):
        after = bfloat16_tables(4, 100)
        ops.skipgram_step_(*after, replace(block, first_position=position), draws, *LR, backend=backend)
        results.append(after.in_vectors[1])
    assert not torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


@each_model
def test_rows_that_no_window_uses_stay_as_they_are(model: Model, backend: Backend) -> None:
    block, draws = block_of([[1, 2, 3], [4], [5, 6]], centers=(1, 5)), draws_of(400)
    tables = bfloat16_tables(400, 9)
    after = tables.copy()
    model.step_(*after, block, draws, 1.0, 1.0, backend=backend)
    windows = [window for window in naive_windows(block, draws) if window.contexts]
    contexts = {word for window in windows for word in window.contexts}
    outputs = {word for window in windows for word in (window.center, *window.negatives)}
    for before, now, used in zip(tables, after, (contexts, outputs), strict=True):
        assert set((before != now).any(1).nonzero().flatten().tolist()) == used


@pytest.mark.parametrize("model", MODELS[:2], ids=lambda model: model.name)
def test_rows_may_lie_apart_and_columns_too(model: Model, backend: Backend) -> None:
    block, draws, expected = random_block(12), draws_of(12), bfloat16_tables(12, 19)
    apart = [torch.full((12, 22), 7.0, dtype=torch.bfloat16)[:, :19].copy_(table) for table in expected]
    transposed = [table.T.contiguous().T for table in expected]
    model.step_(*expected, block, draws, *LR, backend=backend)
    for tables in (apart, transposed):
        model.step_(*tables, block, draws, *LR, backend=backend)
        assert all(torch.equal(a, b) for a, b in zip(tables, expected, strict=True))


@each_loss
def test_losses_ask_for_float32_through_which_gradients_pass(loss: LossOp, backend: Backend) -> None:
    block, draws = random_block(12), draws_of(12)
    leaves = Tables(*(table.requires_grad_() for table in bfloat16_tables(12, 5)))
    call = partial(loss.loss, block=block, draws=draws, backend=backend)
    with pytest.raises(RuntimeError, match=r"in_vectors: expected float32 or float64 for a loss.*table\.float\(\)"):
        call(*leaves)
    gradients = torch.autograd.grad(call(*(leaf.float() for leaf in leaves)), leaves)
    _, *expected = reference.loss_and_gradient(
        loss.gradient_of, *(leaf.detach().double() for leaf in leaves), block, draws
    )
    for found, exact in zip(gradients, expected, strict=True):
        assert found.dtype == torch.bfloat16
        assert_close(found.double(), exact, rtol=2**-8, atol=RTOL[torch.float32])


# --- tables and models ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dimensions", [1, 31, 100, 300])
def test_tables_have_half_the_bytes_and_begin_at_the_spec(dimensions: int) -> None:
    config = TrainConfig(vector_size=dimensions, table_dtype="bfloat16")
    half, whole = new_tables(3000, config), new_tables(3000, replace(config, table_dtype="float32"))
    assert torch.equal(half.in_vectors, whole.in_vectors.bfloat16())
    assert not half.out_padded.any()
    assert not half.in_padded[:, dimensions:].any()
    for table in (half.in_padded, half.out_padded):
        assert table.data_ptr() % 64 == 0
        assert table.stride(0) % 16 == 0
    assert 2 * half.in_padded.nbytes == whole.in_padded.nbytes


@pytest.mark.simt(False)  # a model asks for a backend by its configuration
@pytest.mark.parametrize("sg", [0, 1])
def test_a_model_with_bfloat16_tables_learns_as_well(sg: int, backend: Backend) -> None:
    rng = torch.Generator().manual_seed(1)
    topics = torch.randint(2, (200,), generator=rng)
    sentences = [
        [f"{topic}-{int(word)}" for word in torch.randint(8, (10,), generator=rng)] for topic in topics.tolist()
    ]
    options: dict[str, Any] = {"sg": sg, "min_count": 1, "sample": 0, "vector_size": 40, "epochs": 3}
    options |= {"workers": 1, "alpha": 0.1, "backend": backend}
    half, whole = (Word2Vec(**options, table_dtype=dtype).fit(sentences) for dtype in ("bfloat16", "float32"))
    assert half.report.table_bytes == half.tables.in_padded.nbytes * 2 < whole.report.table_bytes
    assert half.wv.vectors.dtype == "float32"
    assert half.report.epochs[-1].loss == pytest.approx(whole.report.epochs[-1].loss, rel=0.02)
    assert not half.tables.in_padded[:, 40:].any()
    assert not half.tables.out_padded[:, 40:].any()
