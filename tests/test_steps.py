"""Promise P4: where rows are distinct a step equals the spec; and what a step may and may not change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import naive
import pytest
import torch
from blocks import (
    LENGTHS,
    RTOL,
    SHARINGS,
    SKIPGRAM,
    Model,
    Tables,
    assert_tables_close,
    block_of,
    blocks,
    draws_of,
    each_dtype,
    each_model,
    naive_windows,
    random_block,
    random_tables,
    require_native,
    spec_step,
    with_distinct_rows,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from pyembed import ops, reference
from pyembed.config import Backend
from pyembed.ops import torch_kernels
from pyembed.reference import PER_PAIR, PER_WINDOW, Draws, TokenBlock

pytestmark = pytest.mark.simt

LR = (0.05, 0.02)
DIMENSIONS = [1, 7, 31, 100, 128, 300, 513]
NEGATIVES = [1, 2, 5, 6, 12]


# --- P4: a step equals the spec ---------------------------------------------------------------------------------------


@cache
def distinct_pairs(negative: int) -> tuple[TokenBlock, Draws]:
    """Sentences of two of 600 words, none of which is used by two windows."""
    block = block_of([[20 * i, 20 * i + 7] for i in range(2)], first_position=2**32 - 3)
    return block, with_distinct_rows(block, draws_of(600, negative=negative))


@cache
def lone_window(negative: int, center: int) -> tuple[TokenBlock, Draws]:
    """One center of a sentence of 11 tokens, with 500 words."""
    block = block_of([[1, 2], list(range(100, 111)), [3]], centers=(2 + center, 3 + center))
    return block, with_distinct_rows(block, draws_of(500, negative=negative, window=10))


@each_model
@each_dtype
@pytest.mark.parametrize("dimensions", DIMENSIONS)
def test_a_step_on_distinct_rows_equals_the_spec(
    model: Model, dtype: torch.dtype, dimensions: int, backend: Backend
) -> None:
    """No row is used by two windows, so no mode can differ."""
    tables = random_tables(600, dimensions)
    for negative in NEGATIVES:
        block, draws = distinct_pairs(negative)
        after = Tables(*(table.to(dtype) for table in tables)).copy()
        loss, pairs = model.step_(*after, block, draws, *LR, backend=backend).tolist()
        expected = tables.copy()
        expected_loss, expected_pairs = reference.step_(model.gradient_of, *expected, block, draws, *LR).tolist()
        assert_tables_close(after, expected, rtol=0, atol=1e-6 if dtype == torch.float32 else 1e-12)
        assert loss == pytest.approx(expected_loss, rel=1e-5)
        assert pairs == expected_pairs == 4


@each_model
@pytest.mark.parametrize("dimensions", DIMENSIONS)
def test_one_window_of_any_width_equals_the_spec(model: Model, dimensions: int, backend: Backend) -> None:
    """Windows of 1 to 10 contexts, all distinct."""
    tables = random_tables(500, dimensions, torch.float32)
    for negative in NEGATIVES:
        for center in (0, 2, 5, 7, 10):
            block, draws = lone_window(negative, center)
            after = tables.copy()
            model.step_(*after, block, draws, *LR, backend=backend)
            assert_tables_close(after, spec_step(model, tables, block, draws, LR), rtol=0, atol=1e-6)


@each_model
@settings(max_examples=25)
@given(
    block=blocks(vocabulary=6),
    window=st.integers(1, 6),
    negative=st.sampled_from(NEGATIVES),
    sharing=st.sampled_from(SHARINGS),
    shrink_windows=st.booleans(),
    dimensions=st.sampled_from([1, 3, 17]),
)
def test_compiled_float64_is_the_sequential_spec_on_any_block(
    model: Model,
    block: TokenBlock,
    window: int,
    negative: int,
    sharing: int,
    shrink_windows: bool,
    dimensions: int,
    compiled: Backend,
) -> None:
    draws = draws_of(6, window=window, negative=negative, sharing=sharing, shrink_windows=shrink_windows)
    tables = random_tables(6, dimensions)
    after = tables.copy()
    total = model.step_(*after, block, draws, *LR, backend=compiled)
    expected = tables.copy()
    spec_draws = draws if model is SKIPGRAM else reference.cbow_draws(draws)
    spec_total = reference.step_(model.gradient_of, *expected, block, spec_draws, *LR)
    assert_tables_close(after, expected, rtol=1e-12, atol=1e-12)
    assert_close(total, spec_total, rtol=1e-12, atol=1e-12)


@each_model
@pytest.mark.parametrize("negative", NEGATIVES)
@pytest.mark.parametrize(
    ("dimensions", "sharing"), [*((D, PER_WINDOW) for D in (1, 31, 100, 513)), (100, PER_PAIR), (31, 3)]
)
@pytest.mark.parametrize("shrink_windows", [True, False], ids=["shrinking", "fixed"])
def test_compiled_float32_is_the_sequential_spec_where_contexts_are_distinct(
    model: Model, negative: int, dimensions: int, sharing: int, shrink_windows: bool, compiled: Backend
) -> None:
    """A long sentence without a repeated token, windows of 0 to 10 contexts, outputs that repeat now and then."""
    block = block_of([[7], list(range(60)), [], [9, 8]])
    draws = draws_of(60, negative=negative, sharing=sharing, shrink_windows=shrink_windows)
    tables = random_tables(60, dimensions, torch.float32)
    after = tables.copy()
    loss, pairs = model.step_(*after, block, draws, *LR, backend=compiled).tolist()
    expected = Tables(*(table.double() for table in tables))
    spec_draws = draws if model is SKIPGRAM else reference.cbow_draws(draws)
    expected_loss, expected_pairs = reference.step_(model.gradient_of, *expected, block, spec_draws, *LR).tolist()
    assert_tables_close(after, expected, rtol=1e-5, atol=5e-6)
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    assert pairs == expected_pairs


@pytest.mark.parametrize("negative", [1, 5, 6, 12])
@pytest.mark.parametrize("sentence", [[1, 0, 1], [1, 1, 1, 0, 1, 1], [1, 2, 1, 0, 2, 1, 2], [1, 1, 2, 0]])
def test_compiled_float32_differs_in_second_order_only_where_contexts_repeat(
    negative: int, sentence: list[int], compiled: Backend
) -> None:
    """A lost update would be of first order in the rate."""
    center = sentence.index(0)
    block = block_of([sentence], centers=(center, center + 1))
    draws = with_distinct_rows(block, draws_of(300, window=1000, negative=negative))
    tables = random_tables(300, 20, torch.float32)
    for lr in (0.1, 0.01, 0.001):
        after = tables.copy()
        ops.skipgram_step_(*after, block, draws, lr, lr, backend=compiled)
        expected = spec_step(SKIPGRAM, tables, block, draws, (lr, lr))
        assert_tables_close(after, expected, rtol=0, atol=15 * lr**2 + 1e-6)


@each_model
@pytest.mark.parametrize(("sharing", "shrink_windows"), [(PER_WINDOW, True), (3, True), (PER_WINDOW, False)])
def test_the_torch_step_is_the_window_batched_spec(
    model: Model, sharing: int, shrink_windows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_kernels, "WINDOWS_PER_BATCH", 8)
    draws = draws_of(40, sharing=sharing, shrink_windows=shrink_windows)
    block, tables = random_block(40), random_tables(40, 6)
    after, expected = tables.copy(), tables.copy()
    model.step_(*after, block, draws, *LR, backend="torch")
    reference.step_(model.gradient_of, *expected, block, draws, *LR, batch=8)
    assert_tables_close(after, expected, rtol=1e-12, atol=1e-12)


# --- several threads, several calls -----------------------------------------------------------------------------------


@each_model
@each_dtype
def test_one_thread_repeats_bit_for_bit(model: Model, dtype: torch.dtype, backend: Backend) -> None:
    block, draws, tables = random_block(9, LENGTHS * 4), draws_of(9), random_tables(9, 33, dtype)
    first, second = tables.copy(), tables.copy()
    totals = [model.step_(*each, block, draws, *LR, backend=backend) for each in (first, second)]
    assert torch.equal(*totals)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@each_model
@pytest.mark.parametrize("vocabulary", [40, 2000], ids=["all copied", "some"])
def test_several_threads_train_every_row_as_well_as_one(model: Model, vocabulary: int) -> None:
    require_native()
    block = random_block(vocabulary, [25] * 1600)  # more windows than a thread takes at a time
    draws, tables = draws_of(vocabulary), random_tables(vocabulary, 20, torch.float32)
    one, four = tables.copy(), tables.copy()
    lr = (5e-7 * vocabulary, 2e-7 * vocabulary)  # so small that order hardly matters, and a lost update does
    loss, pairs = model.step_(*one, block, draws, *lr, threads=1, backend="native").tolist()
    loss_of_four, pairs_of_four = model.step_(*four, block, draws, *lr, threads=4, backend="native").tolist()
    assert pairs_of_four == pairs
    assert loss_of_four == pytest.approx(loss, rel=0.02)
    for before, alone, together in zip(tables, one, four, strict=True):
        assert together.isfinite().all()
        assert torch.equal((together != before).any(1), (alone != before).any(1))
        assert (alone - together).norm() < 0.1 * (alone - before).norm()


@each_model
def test_ranges_of_centers_compose(model: Model, compiled: Backend) -> None:
    block, draws, tables = random_block(9, LENGTHS * 20), draws_of(9), random_tables(9, 20, torch.float32)
    count = len(block.ids)
    whole, parts = tables.copy(), tables.copy()
    model.step_(*whole, block, draws, 0.05, 0.01, backend=compiled)
    for begin, end in ((0, 1), (1, 300), (300, 300), (300, count)):
        rates = [0.05 - 0.04 * edge / count for edge in (begin, end)]
        part = replace(block, center_begin=begin, center_end=end)
        model.step_(*parts, part, draws, *rates, backend=compiled)
    assert_tables_close(parts, whole, rtol=1e-4, atol=1e-5)


# --- rows that meet, and windows that are empty -----------------------------------------------------------------------


@each_model
def test_no_update_is_lost_where_rows_meet(model: Model, backend: Backend) -> None:
    """Three words: every window repeats its contexts and its negatives, and a step of first order must see them all."""
    block, draws = random_block(3, (30, 30)), draws_of(3, negative=6)
    tables, lr = random_tables(3, 4), 1e-7
    in_gradient, out_gradient = torch.zeros_like(tables.in_vectors), torch.zeros_like(tables.out_vectors)
    rows = tables.in_vectors.tolist(), tables.out_vectors.tolist()
    for window in naive_windows(block, draws):
        one = model.naive_gradient(*rows, window)
        for total, part in ((in_gradient, one.in_rows), (out_gradient, one.out_rows)):
            for row, vector in part.items():
                total[row] += torch.tensor(vector, dtype=torch.float64)
    after = tables.copy()
    model.step_(*after, block, draws, lr, lr, backend=backend)
    assert_close((tables.in_vectors - after.in_vectors) / lr, in_gradient, rtol=1e-3, atol=1e-3)
    assert_close((tables.out_vectors - after.out_vectors) / lr, out_gradient, rtol=1e-3, atol=1e-3)


@each_model
@each_dtype
def test_a_negative_equal_to_the_center_is_skipped(model: Model, dtype: torch.dtype, backend: Backend) -> None:
    """A vocabulary of one word: every negative is the center, so that only the positive pair trains."""
    block, draws = block_of([[0, 0]], centers=(0, 1)), draws_of(1)
    tables = random_tables(1, 3, dtype)
    rows = tables.in_vectors.tolist(), tables.out_vectors.tolist()
    expected = naive.step(model.naive_gradient, *rows, [[naive.Window([0], 0, [])]], LR)
    after = tables.copy()
    assert model.step_(*after, block, draws, *LR, backend=backend).tolist() == pytest.approx(expected, rel=1e-5)
    for found, row in zip(after, rows, strict=True):
        assert_close(found.double(), torch.tensor(row, dtype=torch.float64), rtol=RTOL[dtype], atol=0)


@each_model
@each_dtype
@pytest.mark.parametrize(
    ("sentences", "centers"),
    [([[3], [], [1], [2]], None), ([[1, 2, 3]], (2, 2)), ([], None), ([[], []], None)],
    ids=["lonely tokens", "no centers", "no sentences", "empty sentences"],
)
def test_a_block_without_pairs_changes_nothing(
    model: Model, dtype: torch.dtype, sentences: Sequence[list[int]], centers: tuple[int, int] | None, backend: Backend
) -> None:
    block, draws, tables = block_of(sentences, centers=centers), draws_of(9), random_tables(9, 5, dtype)
    after = tables.copy()
    assert model.step_(*after, block, draws, *LR, threads=3, backend=backend).tolist() == [0, 0]
    assert all(torch.equal(a, b) for a, b in zip(after, tables, strict=True))


@each_model
@each_dtype
def test_rows_that_no_window_uses_stay_as_they_are(model: Model, dtype: torch.dtype, backend: Backend) -> None:
    block, draws = block_of([[1, 2, 3], [4], [5, 6]], centers=(1, 5)), draws_of(400)
    tables = random_tables(400, 9, dtype)
    after = tables.copy()
    model.step_(*after, block, draws, *LR, backend=backend)
    windows = [window for window in naive_windows(block, draws) if window.contexts]
    contexts = {word for window in windows for word in window.contexts}
    outputs = {word for window in windows for word in (window.center, *window.negatives)}
    for before, now, used in zip(tables, after, (contexts, outputs), strict=True):
        assert set((before != now).any(1).nonzero().flatten().tolist()) == used


@each_model
def test_large_scores_stay_finite(model: Model, backend: Backend) -> None:
    """Saturated pairs have a gradient of 0 or 1, not a number that is none."""
    block, draws = random_block(20), draws_of(20)
    tables = Tables(*(100 * table for table in random_tables(20, 16, torch.float32)))
    after = tables.copy()
    loss, pairs = model.step_(*after, block, draws, 1e-3, 1e-3, backend=backend).tolist()
    expected = spec_step(model, tables, block, draws, (1e-3, 1e-3))
    assert loss / pairs > 100
    assert all(table.isfinite().all() for table in after)
    if backend != "torch":
        assert_tables_close(after, expected, rtol=1e-3, atol=1)


@each_model
def test_the_loss_of_a_long_block_is_as_exact_as_that_of_a_short_one(model: Model) -> None:
    """A float32 sum over a long block would lose what single windows add to it. At rate 0 the tables stay."""
    require_native()
    generator = torch.Generator().manual_seed(1)
    T, V = 600_000, 50
    ids = torch.randint(V, (T,), generator=generator, dtype=torch.int32)
    block = TokenBlock(ids, torch.tensor([0, T]), first_position=0, center_begin=0, center_end=T)
    draws = draws_of(V, window=3, negative=2)
    tables = [3 * torch.randn(V, 4, generator=generator) for _ in range(2)]
    total = model.step_(*tables, block, draws, 0.0, 0.0, threads=1, backend="native")
    exact = model.step_(*(table.double() for table in tables), block, draws, 0.0, 0.0, threads=1, backend="native")
    torch.testing.assert_close(total, exact, rtol=2e-7, atol=0)
