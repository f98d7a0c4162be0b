"""Promises of the CUDA kernels beyond those that they share with the other backends, under the execution shim.

One warp trains one window after the other: the sequential spec. Many train without waiting for one another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import simt
import torch
from blocks import (
    EXACT_MODELS,
    LENGTHS,
    MODELS,
    SHARINGS,
    SKIPGRAM,
    Loss,
    Model,
    Tables,
    assert_tables_close,
    block_of,
    draws_of,
    each_loss,
    each_model,
    random_block,
    random_tables,
    with_distinct_rows,
)
from torch.testing import assert_close

from pyembed import reference
from pyembed.config import WriteBack
from pyembed.reference import Draws, TokenBlock

pytestmark = pytest.mark.usefixtures("shim")

LR = (0.05, 0.02)
DIMENSIONS = [1, 31, 100, 128, 300, 513]
COLUMNS_TOGETHER = 16
SIMT: Any = "simt"
each_write_back = pytest.mark.parametrize("write_back", ["add", "store"])
each_padding = pytest.mark.parametrize("padded", [False, True], ids=["dense rows", "padded rows"])


@pytest.fixture
def shim() -> Iterator[None]:
    simt.require()
    yield
    simt.set_seed(0)


def padded_rows(tables: Tables) -> Tables:
    """The same values in the first columns of rows that kernels may read 16 bytes at a time; zeros in the others."""
    D = tables.in_vectors.shape[1]
    columns = -(-D // COLUMNS_TOGETHER) * COLUMNS_TOGETHER
    return Tables(*(torch.nn.functional.pad(table, (0, columns - D)) for table in tables))


def spec_draws(model: Model, draws: Draws) -> Draws:
    return draws if model is SKIPGRAM else reference.cbow_draws(draws)


def check_sequential(
    model: Model, block: TokenBlock, draws: Draws, tables: Tables, padded: bool, **options: Any
) -> None:
    """One warp on these tables does what the spec does in float64, and leaves the padding as it was."""
    D = tables.in_vectors.shape[1]
    after = padded_rows(tables) if padded else tables.copy()
    loss, pairs = model.step_(*after, block, draws, *LR, threads=1, backend=SIMT, **options).tolist()
    expected = Tables(*(table.double() for table in tables)).copy()
    total = reference.step_(model.gradient_of, *expected, block, spec_draws(model, draws), *LR)
    assert_tables_close(Tables(*(table[:, :D] for table in after)), expected, rtol=1e-5, atol=1e-5)
    assert loss == pytest.approx(float(total[0]), rel=1e-5)
    assert pairs == float(total[1])
    assert not any(table[:, D:].any() for table in after)


# --- one warp ---------------------------------------------------------------------------------------------------------


@each_model
@each_padding
@pytest.mark.parametrize("dimensions", DIMENSIONS)
@pytest.mark.parametrize("vocabulary", [3, 40], ids=["colliding rows", "words enough"])
def test_one_warp_is_the_sequential_spec(model: Model, dimensions: int, vocabulary: int, padded: bool) -> None:
    """Sentences of 0 to 14 tokens, in which words repeat, and draws that repeat."""
    block = random_block(vocabulary, first_position=2**32 - 9)
    check_sequential(model, block, draws_of(vocabulary), random_tables(vocabulary, dimensions, torch.float32), padded)


@pytest.mark.parametrize("model", MODELS[:2], ids=lambda model: model.name)
@each_padding
@pytest.mark.parametrize("window", range(1, 11))
def test_one_warp_is_the_sequential_spec_for_every_window(model: Model, window: int, padded: bool) -> None:
    block = random_block(50, (30, 0, 1, 2, 11, 21))
    for sharing in SHARINGS:
        draws = draws_of(50, window=window, sharing=sharing)
        for each in (draws, replace(draws, shrink_windows=False)):
            check_sequential(model, block, each, random_tables(50, 20, torch.float32), padded)


@pytest.mark.parametrize("model", MODELS[:2], ids=lambda model: model.name)
@each_padding
@pytest.mark.parametrize("negative", [1, 2, 3, 5, 6, 12, 20])
def test_one_warp_is_the_sequential_spec_for_any_number_of_negatives(model: Model, negative: int, padded: bool) -> None:
    block = random_block(25, (30, 0, 1, 2))
    for sharing in SHARINGS:
        draws = draws_of(25, negative=negative, sharing=sharing)
        check_sequential(model, block, draws, random_tables(25, 40, torch.float32), padded)


@pytest.mark.parametrize("model", MODELS[:2], ids=lambda model: model.name)
@each_padding
@pytest.mark.parametrize("centers", [(0, 0), (0, 1), (4, 9), (13, 14), (29, 30)])
def test_one_warp_is_the_sequential_spec_for_a_range_of_centers(
    model: Model, centers: tuple[int, int], padded: bool
) -> None:
    """Tokens before and after the centers are contexts, and are written back as such."""
    block = replace(random_block(50), center_begin=centers[0], center_end=centers[1])
    check_sequential(model, block, draws_of(50), random_tables(50, 20, torch.float32), padded)


@each_model
@each_padding
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_one_warp_does_not_depend_on_the_order_of_its_lanes(model: Model, seed: int, padded: bool) -> None:
    block, draws = random_block(9), draws_of(9)
    tables = random_tables(9, 36, torch.float32)
    tables = padded_rows(tables) if padded else tables
    results = []
    for order in (0, seed):
        simt.set_seed(order)
        after = tables.copy()
        results.append((model.step_(*after, block, draws, *LR, backend=SIMT), *after))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@each_model
@each_write_back
@pytest.mark.parametrize("frequent", [1, 4, 9, 2**40])
def test_one_warp_may_hold_no_row_of_a_frequent_word(model: Model, write_back: WriteBack, frequent: int) -> None:
    block, draws, tables = random_block(9), draws_of(9), random_tables(9, 36, torch.float32)
    check_sequential(model, block, draws, tables, True, write_back=write_back, frequent=frequent)


@each_model
def test_one_warp_adds_what_it_would_store(model: Model) -> None:
    for padded in (False, True):
        block, draws, tables = random_block(9), draws_of(9), random_tables(9, 36, torch.float32)
        check_sequential(model, block, draws, tables, padded, write_back="store")


# --- many warps -------------------------------------------------------------------------------------------------------


@cache
def distinct_windows() -> tuple[TokenBlock, Draws]:
    """40 windows, no row of which belongs to another."""
    block = block_of([[200 * i, 200 * i + 7] for i in range(20)])
    return block, with_distinct_rows(block, draws_of(8_000, negative=3))


@each_model
@each_write_back
@each_padding
@pytest.mark.parametrize("order", [0, 1, 2])
def test_many_warps_are_the_spec_where_windows_share_no_row(
    model: Model, write_back: WriteBack, padded: bool, order: int
) -> None:
    block, draws = distinct_windows()
    tables = random_tables(8_000, 20, torch.float32)
    expected = tables.copy()
    total = reference.step_(model.gradient_of, *expected, block, draws, *LR)
    after = padded_rows(tables) if padded else tables.copy()
    simt.set_seed(order)
    found = model.step_(*after, block, draws, *LR, threads=0, write_back=write_back, backend=SIMT)
    assert_close(found, total, rtol=1e-5, atol=0)
    assert_tables_close(Tables(*(table[:, :20] for table in after)), expected, rtol=0, atol=1e-6)


@each_padding
@pytest.mark.parametrize("model", EXACT_MODELS, ids=lambda model: model.name)
@pytest.mark.parametrize("sharing", SHARINGS)
@pytest.mark.parametrize(("order", "frequent"), [(0, 0), (1, 5), (2, 0), (3, 9)])
def test_many_warps_that_add_lose_no_update(
    model: Model, padded: bool, sharing: int, order: int, frequent: int
) -> None:
    """Nine words, so that every row is in the hands of several warps. A pair's part of a gradient is about 0.2."""
    block, draws, lr = random_block(9), draws_of(9, sharing=sharing), 3e-5
    tables = random_tables(9, 20, torch.float32)
    doubles = Tables(*(table.double() for table in tables))
    _, *gradient = reference.loss_and_gradient(model.gradient_of, *doubles, block, spec_draws(model, draws))
    after = padded_rows(tables) if padded else tables.copy()
    simt.set_seed(order)
    model.step_(*after, block, draws, lr, lr, threads=7, write_back="add", frequent=frequent, backend=SIMT)
    for before, now, expected in zip(tables, after, gradient, strict=True):
        assert_close((before - now[:, :20]).double() / lr, expected, rtol=0, atol=0.1)


@pytest.mark.parametrize("model", MODELS[:2], ids=lambda model: model.name)
@each_write_back
@each_padding
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_many_warps_on_few_words_stay_near_one(
    model: Model, write_back: WriteBack, padded: bool, dtype: torch.dtype
) -> None:
    """Whatever a race costs, what stands in a row is what somebody computed."""
    block, draws = random_block(60, LENGTHS * 12), draws_of(60)
    tables = random_tables(60, 20, dtype)
    tables = padded_rows(tables) if padded else tables
    one, many = tables.copy(), tables.copy()
    totals = [
        model.step_(*after, block, draws, *LR, threads=threads, write_back=write_back, backend=SIMT)
        for after, threads in ((one, 1), (many, 5))
    ]
    assert totals[0][1] == totals[1][1]
    assert_close(totals[1][0], totals[0][0], rtol=0.02, atol=0)
    for before, alone, together in zip(tables, one, many, strict=True):
        change = (alone.double() - before.double()).norm()
        assert (together.double() - alone.double()).norm() < 0.6 * change


# --- losses and gradients ---------------------------------------------------------------------------------------------


@each_loss
@pytest.mark.parametrize("dimensions", DIMENSIONS)
@pytest.mark.parametrize("sharing", SHARINGS)
def test_losses_and_gradients_of_any_dimension_equal_the_spec(loss: Loss, dimensions: int, sharing: int) -> None:
    block, draws = random_block(12), draws_of(12, sharing=sharing)
    tables = random_tables(12, dimensions)
    spec = draws if loss.name == "skipgram" else reference.cbow_draws(draws)
    value, *gradient = reference.loss_and_gradient(loss.gradient_of, *tables, block, spec)
    leaves = [table.float().requires_grad_() for table in tables]
    found = loss.loss(*leaves, block, draws, backend=SIMT)
    found.backward()  # type: ignore[no-untyped-call]
    assert_close(found.double(), value, rtol=1e-5, atol=0)
    for leaf, expected in zip(leaves, gradient, strict=True):
        assert leaf.grad is not None
        assert_close(leaf.grad.double(), expected, rtol=1e-5, atol=2e-6)


# --- options ----------------------------------------------------------------------------------------------------------


@each_model
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threads": -1}, r"threads: expected >= 0, got -1"),
        ({"frequent": -1}, r"frequent: expected >= 0, got -1"),
        ({"write_back": "swap"}, r"write_back: expected add or store, got swap"),
    ],
)
def test_bad_options_are_refused_by_name(model: Model, options: dict[str, Any], message: str) -> None:
    tables = random_tables(12, 5)
    before = tables.copy()
    with pytest.raises(RuntimeError, match=message):
        model.step_(*tables, random_block(12), draws_of(12), *LR, **options, backend=SIMT)
    assert all(torch.equal(a, b) for a, b in zip(tables, before, strict=True))
