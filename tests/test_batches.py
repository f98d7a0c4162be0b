"""Promises of windows that train together: they equal the slow twin, on every backend, wherever a block is cut."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import naive_batches
import pytest
import torch
from blocks import (
    LENGTHS,
    Model,
    Tables,
    alias_columns,
    assert_tables_close,
    batch_draws,
    block_of,
    blocks,
    draws_of,
    each_model,
    naive_windows,
    random_block,
    random_tables,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from pyembed import ops, reference
from pyembed.config import Backend
from pyembed.ops import torch_kernels
from pyembed.reference import Draws, TokenBlock
from pyembed.training import slices

LR = (0.05, 0.02)
TOGETHER = [1, 2, 4, 7]
DISTINCT = [[7], list(range(60)), [], [61, 62], [63], list(range(64, 70))]
"""Sentences in which no word stands twice, so that no context stands at several places of a batch."""


def naive_step(model: Model, tables: Tables, block: TokenBlock, draws: Draws) -> tuple[Tables, tuple[float, int]]:
    """What the slow twin makes of the tables, and its sums."""
    ids = block.ids.tolist()
    sentences = [ids[start:stop] for start, stop in pairwise(block.sentence_starts.tolist())]
    centers = range(block.center_begin, block.center_end)
    key = (draws.window, draws.negative, draws.seed, draws.epoch, draws.sharing, draws.shrink_windows)
    batches = naive_batches.batches_of(sentences, block.first_position, centers, alias_columns(draws), *key)
    rows = tables.in_vectors.tolist(), tables.out_vectors.tolist()
    total = naive_batches.step(model.naive_gradient, *rows, batches, draws.negative_weight, LR)
    return Tables(*(torch.tensor(table, dtype=torch.float64) for table in rows)), total


def spec_step(
    model: Model, tables: Tables, block: TokenBlock, draws: Draws, lr: tuple[float, float] = LR
) -> tuple[Tables, Tensor]:
    """What the sequential spec makes of the tables, in float64, and its sums."""
    after = Tables(*(table.double() for table in tables)).copy()
    return after, reference.step_(model.gradient_of, *after, block, draws, *lr)


@pytest.fixture
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch's kernel trains many batches of windows at a time; here, one after the other as compiled ones do."""
    monkeypatch.setattr(torch_kernels, "WINDOWS_PER_BATCH", 1)


# --- the spec ---------------------------------------------------------------------------------------------------------


@each_model
@settings(max_examples=25)
@given(
    block=blocks(vocabulary=6),
    window=st.integers(1, 4),
    negative=st.integers(1, 6),
    together=st.sampled_from([*TOGETHER, 16]),
    shrink_windows=st.booleans(),
)
def test_the_spec_equals_the_slow_twin(
    model: Model, block: TokenBlock, window: int, negative: int, together: int, shrink_windows: bool
) -> None:
    """Of so few words draws equal centers and one another, and contexts repeat."""
    draws = batch_draws(6, together, negative, window=window, shrink_windows=shrink_windows)
    tables = random_tables(6, 3)
    expected, expected_total = naive_step(model, tables, block, draws)
    total = reference.step_(model.gradient_of, *tables, block, draws, *LR)
    assert total.tolist() == pytest.approx(expected_total, rel=1e-12)
    assert_tables_close(tables, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("together", [2, 4, 7])
def test_the_torch_step_deals_whole_batches_of_windows(together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans begin where a batch does, and at most 9 windows are treated at a time unless one batch has more."""
    monkeypatch.setattr(reference, "_SPAN", 10)
    block = replace(random_block(40, [30, 1, 25], first_position=5), center_begin=3, center_end=52)
    dealt = [batch.centers + 5 for batch in reference.batches(block, batch_draws(40, together), 9)]
    assert sorted(torch.cat(dealt).tolist()) == list(range(8, 57))
    assert all(len(centers) <= max(9, together) for centers in dealt)
    numbers = [set((centers // together).tolist()) for centers in dealt]
    assert sum(map(len, numbers)) == len(set().union(*numbers))


# --- steps ------------------------------------------------------------------------------------------------------------


@each_model
@pytest.mark.parametrize("together", TOGETHER)
@pytest.mark.usefixtures("one_at_a_time")
def test_a_step_equals_the_slow_twin(model: Model, together: int, backend: Backend) -> None:
    """Ranges of centers that begin and end within batches, and positions past 32 bits."""
    draws, tables = batch_draws(70, together), random_tables(70, 7, torch.float32)
    for first_position, begin, end in ((0, 0, 70), (5, 1, 2), (2**32 - 3, 3, 29), (1, 58, 70), (0, 6, 6)):
        block = block_of(DISTINCT, first_position=first_position, centers=(begin, end))
        after = tables.copy()
        total = model.batch_step_(*after, block, draws, *LR, backend=backend)
        expected, expected_total = naive_step(model, tables, block, draws)
        assert total.tolist() == pytest.approx(expected_total, rel=1e-5)
        assert_tables_close(after, expected, rtol=1e-5, atol=5e-6)


@each_model
@pytest.mark.parametrize("dimensions", [1, 31, 100, 128, 300, 513])
@pytest.mark.parametrize(
    ("together", "negative", "shrink_windows"),
    [(4, 8, True), (4, 8, False), (3, 1, True), (2, 12, True), (5, 17, True)],
)
def test_compiled_float32_is_the_sequential_spec_where_contexts_are_distinct(
    model: Model, dimensions: int, together: int, negative: int, shrink_windows: bool, compiled: Backend
) -> None:
    block = block_of(DISTINCT, first_position=6)
    draws = batch_draws(70, together, negative, shrink_windows=shrink_windows)
    tables = random_tables(70, dimensions, torch.float32)
    after = tables.copy()
    total = model.batch_step_(*after, block, draws, *LR, backend=compiled)
    expected, expected_total = spec_step(model, tables, block, draws)
    assert_tables_close(after, expected, rtol=1e-5, atol=5e-6)
    assert_close(total, expected_total, rtol=1e-5, atol=0)


@each_model
@settings(max_examples=30)
@given(
    block=blocks(vocabulary=7),
    window=st.integers(1, 6),
    negative=st.integers(1, 12),
    together=st.sampled_from([*TOGETHER, 16]),
    dimensions=st.sampled_from([1, 3, 17]),
    lr=st.sampled_from([0.0, 1e-4]),
)
def test_a_small_compiled_step_follows_the_gradient_on_any_block(
    model: Model,
    block: TokenBlock,
    window: int,
    negative: int,
    together: int,
    dimensions: int,
    lr: float,
    compiled: Backend,
) -> None:
    """Contexts that repeat, draws that equal centers or one another, positions beyond 2^32."""
    draws, tables = batch_draws(7, together, negative, window=window), random_tables(7, dimensions, torch.float32)
    after = tables.copy()
    total = model.batch_step_(*after, block, draws, lr, lr, backend=compiled)
    expected, expected_total = spec_step(model, tables, block, draws, (lr, lr))
    assert_close(total, expected_total, rtol=1e-5, atol=1e-6)
    assert_tables_close(after, expected, rtol=0, atol=5e-6)  # a lost update would be ten times as much


@each_model
def test_the_pytorch_kernel_trains_float64(model: Model, backend: Backend) -> None:
    block, draws, tables = random_block(40), batch_draws(40), random_tables(40, 5)
    after, expected = tables.copy(), tables.copy()
    total = model.batch_step_(*after, block, draws, *LR, backend=backend)
    expected_total = reference.step_(model.gradient_of, *expected, block, draws, *LR, batch=10)
    assert_tables_close(after, expected, rtol=1e-12, atol=1e-12)
    assert_close(total, expected_total)


@each_model
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_batch_of_one_window_is_the_window(model: Model, dtype: torch.dtype, backend: Backend) -> None:
    """Of so many words that no negative is drawn twice or equals its center, which a batch would pass over."""
    block, tables = block_of(DISTINCT), random_tables(20_000, 19, dtype)
    alone = draws_of(20_000)
    found, expected = tables.copy(), tables.copy()
    total = model.batch_step_(*found, block, replace(alone, together=True), *LR, backend=backend)
    windows_backend: Backend = "torch" if dtype == torch.float64 else backend  # of float64 there is a compiled step
    expected_total = model.step_(*expected, block, alone, *LR, backend=windows_backend)
    tolerance = 0.0 if windows_backend == "torch" else 1e-6
    assert_tables_close(found, expected, rtol=tolerance, atol=tolerance)
    assert_close(total, expected_total, rtol=tolerance, atol=0)


@each_model
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_one_thread_repeats_bit_for_bit(model: Model, dtype: torch.dtype, backend: Backend) -> None:
    block, draws, tables = random_block(9, LENGTHS * 4), batch_draws(9), random_tables(9, 33, dtype)
    first, second = tables.copy(), tables.copy()
    totals = [model.batch_step_(*each, block, draws, *LR, backend=backend) for each in (first, second)]
    assert torch.equal(*totals)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@each_model
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_two_threads_learn_what_one_learns(model: Model, dtype: torch.dtype, compiled: Backend) -> None:
    block, draws = random_block(300, [50] * 800), batch_draws(300)  # more windows than a thread takes at a time

    def losses(threads: int) -> list[float]:
        tables = random_tables(300, 20, dtype)
        totals = [model.batch_step_(*tables, block, draws, *LR, threads=threads, backend=compiled) for _ in range(2)]
        return [total[0].item() for total in totals]

    alone = losses(1)
    assert losses(2) == pytest.approx(alone, rel=0.02)
    assert alone[1] < alone[0]


@each_model
@pytest.mark.parametrize("vocabulary", [40, 600])
def test_no_thread_loses_what_others_learn(model: Model, vocabulary: int, compiled: Backend) -> None:
    block, draws = random_block(vocabulary, [50] * 800), batch_draws(vocabulary)
    tables = random_tables(vocabulary, 20, torch.float32)
    one, five = tables.copy(), tables.copy()
    lr = (2e-5, 1e-5)  # so small that the order of updates hardly matters, and a lost one does
    for after, threads in ((one, 1), (five, 5)):
        model.batch_step_(*after, block, draws, *lr, threads=threads, backend=compiled)
    for before, alone, together in zip(tables, one, five, strict=True):
        assert (alone - together).norm() < 0.1 * (alone - before).norm()


@each_model
def test_tables_of_bfloat16_train_as_those_of_float32_do_on_average(model: Model, backend: Backend) -> None:
    block, draws = random_block(50, [40] * 60), batch_draws(50)
    half = Tables(*(table.bfloat16() for table in random_tables(50, 33)))
    single = Tables(*(table.float() for table in half))
    loss_of_half = model.batch_step_(*half, block, draws, *LR, backend=backend)
    loss = model.batch_step_(*single, block, draws, *LR, backend=backend)
    assert_close(loss_of_half, loss, rtol=0.01, atol=0)
    for rounded, exact in zip(half, single, strict=True):
        assert (rounded.float() - exact).norm() < 0.1 * exact.norm()


@each_model
def test_only_the_rows_of_a_batch_that_trains_change(model: Model, backend: Backend) -> None:
    """Of batches of one window, as of windows; the rest of the tables stays, and padding between columns does."""
    block, draws = block_of([[1, 2, 3], [4], [5, 6]], centers=(1, 5)), draws_of(400)
    before = random_tables(400, 9, torch.float32)
    after = [torch.full((400, 12), 7.0)[:, :9].copy_(table) for table in before]
    model.batch_step_(*after, block, replace(draws, together=True), *LR, backend=backend)
    windows = [window for window in naive_windows(block, draws) if window.contexts]
    contexts = {word for window in windows for word in window.contexts}
    outputs = {word for window in windows for word in (window.center, *window.negatives)}
    for old, now, used in zip(before, after, (contexts, outputs), strict=True):
        assert set((old != now).any(1).nonzero().flatten().tolist()) == used
        assert torch.equal(now.as_strided((400, 3), (12, 1), 9), torch.full((400, 3), 7.0))


@each_model
@pytest.mark.parametrize(
    ("sentences", "centers"),
    [([[3], [], [1], [2]], None), ([[1, 2, 3]], (2, 2)), ([], None), ([[], []], None)],
    ids=["lonely tokens", "no centers", "no sentences", "empty sentences"],
)
def test_a_block_without_pairs_changes_nothing(
    model: Model, sentences: list[list[int]], centers: tuple[int, int] | None, backend: Backend
) -> None:
    block, tables = block_of(sentences, centers=centers), random_tables(9, 5, torch.float32)
    after = tables.copy()
    assert model.batch_step_(*after, block, batch_draws(9), *LR, threads=3, backend=backend).tolist() == [0, 0]
    assert all(torch.equal(a, b) for a, b in zip(after, tables, strict=True))


def test_where_every_negative_is_a_center_the_centers_alone_train(backend: Backend) -> None:
    """Two words, both of them centers of the batch; the in_vector of either is a context once."""
    block, tables = block_of([[0, 1]]), random_tables(2, 5, torch.float32)
    scores = [float(tables.in_vectors[1 - word] @ tables.out_vectors[word]) for word in (0, 1)]
    after = tables.copy()
    loss, pairs = ops.skipgram_batch_step_(*after, block, batch_draws(2), 0.1, 0.1, backend=backend).tolist()
    assert (loss, pairs) == (pytest.approx(sum(-torch.tensor(scores).sigmoid().log()).item(), rel=1e-5), 2)
    for word, score in enumerate(scores):
        error = torch.tensor(score).sigmoid() - 1
        moved = tables.out_vectors[word] - 0.1 * error * tables.in_vectors[1 - word]
        assert_close(after.out_vectors[word], moved, rtol=1e-5, atol=1e-6)


# --- blocks and their parts -------------------------------------------------------------------------------------------


@each_model
@pytest.mark.parametrize(("together", "first_position"), [(4, 0), (4, 3), (7, 2**32 - 3)])
@pytest.mark.usefixtures("one_at_a_time")
def test_blocks_cut_between_batches_train_as_the_whole(
    model: Model, together: int, first_position: int, backend: Backend
) -> None:
    block = random_block(60, LENGTHS * 10, first_position=first_position)
    draws, tables = batch_draws(60, together), random_tables(60, 20, torch.float32)
    whole, parts, count = tables.copy(), tables.copy(), len(block.ids)
    model.batch_step_(*whole, block, draws, *LR, backend=backend)
    cuts = [-first_position % together + together * number for number in (0, 1, 1, 30)]
    for begin, end in pairwise([0, *cuts, count]):
        rates = [LR[0] + (LR[1] - LR[0]) * edge / count for edge in (begin, end)]
        part = replace(block, center_begin=begin, center_end=end)
        model.batch_step_(*parts, part, draws, *rates, backend=backend)
    assert_tables_close(parts, whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("together", "first_position"), [(4, 0), (7, 3)])
@pytest.mark.usefixtures("one_at_a_time")
def test_slices_of_a_block_train_as_the_whole(
    together: int, first_position: int, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slices, "SLICE_CENTERS", 10)
    block = replace(random_block(60, LENGTHS * 10, first_position=first_position), center_begin=2)
    draws, tables = batch_draws(60, together), random_tables(60, 20, torch.float32)
    whole, parts = tables.copy(), tables.copy()
    total = ops.skipgram_batch_step_(*whole, block, draws, *LR, backend=backend)
    totals = [
        ops.skipgram_batch_step_(*parts, part, draws, *rates, backend=backend)
        for part, rates in slices.slices_of(block, LR, draws.window, threads=1, together=together)
    ]
    assert len(totals) > 10
    assert_tables_close(parts, whole, rtol=1e-4, atol=1e-5)
    assert_close(sum(totals), total, rtol=1e-5, atol=0)
