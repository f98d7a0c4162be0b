"""Promises of who shares negatives: each pair has its own, or those of a window or of a pool of windows are shared."""

from __future__ import annotations

from dataclasses import replace

import naive
import pytest
import torch
from blocks import (
    MODELS,
    SKIPGRAM,
    Model,
    alias_columns,
    assert_tables_close,
    block_of,
    draws_of,
    random_block,
    random_tables,
)
from torch.testing import assert_close

from pyembed import ops, reference
from pyembed.config import Backend
from pyembed.ops import torch_kernels
from pyembed.reference import PER_PAIR, PER_WINDOW

pytestmark = pytest.mark.simt

LR = (0.05, 0.02)


@pytest.mark.parametrize("negative", [1, 2, 5])
@pytest.mark.parametrize("first_position", [0, 3, 2**32 - 9, 2**48 + 1])
def test_every_pair_has_negatives_of_its_own(backend: Backend, negative: int, first_position: int) -> None:
    block = random_block(30, first_position=first_position)
    draws = draws_of(30, window=3, negative=negative, seed=2**62 + 5, epoch=7, sharing=PER_PAIR)
    _, outputs = ops.draw_windows(block, draws, backend=backend)
    key = (draws.seed, draws.epoch)
    slots_of_a_pair = -(-negative // 2)
    assert outputs.tolist() == [
        [
            [center, *naive.negatives(first_position + i, alias_columns(draws), negative, *key, c * slots_of_a_pair)]
            for c in range(6)
        ]
        for i, center in enumerate(block.ids.tolist())
    ]


@pytest.mark.parametrize("pool", [2, 5, 64])
@pytest.mark.parametrize("first_position", [0, 3, 2**32 - 9, 2**48 + 1])
def test_a_pool_of_windows_shares_the_negatives_of_its_first_position(
    backend: Backend, pool: int, first_position: int
) -> None:
    """Pools are laid out over the epoch's stream, not over the block."""
    block = random_block(30, first_position=first_position)
    _, outputs = ops.draw_windows(block, draws_of(30, sharing=pool), backend=backend)
    _, alone = ops.draw_windows(replace(block, first_position=first_position // pool * pool), draws_of(30))
    for i, (center, row) in enumerate(zip(block.ids.tolist(), outputs.tolist(), strict=True)):
        position = first_position + i
        columns = alias_columns(draws_of(30))
        assert row == [center, *naive.negatives(position // pool * pool, columns, 5, seed=1, epoch=0)]
    assert outputs[0, 1:].tolist() == alone[0, 1:].tolist()


@pytest.mark.parametrize(("shrink_windows", "pairs"), [(True, 2 * (1 + 3)), (False, 2 * 6)])
def test_the_torch_step_treats_the_pairs_of_a_batch_of_windows_together(
    shrink_windows: bool, pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where every pair has its own negatives: those of 2 windows, whose mean number of contexts is 1 + 3, or 2 * 3."""
    monkeypatch.setattr(torch_kernels, "WINDOWS_PER_BATCH", 2)
    draws = draws_of(60, window=3, sharing=PER_PAIR, shrink_windows=shrink_windows)
    block, tables = random_block(60), random_tables(60, 6)
    after, expected = tables.copy(), tables.copy()
    ops.skipgram_step_(*after, block, draws, *LR, backend="torch")
    reference.step_(SKIPGRAM.gradient_of, *expected, block, draws, *LR, batch=pairs)
    assert_tables_close(after, expected, rtol=1e-12, atol=1e-12)


def test_a_pairs_own_negatives_are_the_windows_where_a_window_is_one_pair(backend: Backend) -> None:
    """Sentences of two words."""
    block, tables = block_of([[i, (7 * i) % 30] for i in range(30)]), random_tables(30, 6)
    own, shared = tables.copy(), tables.copy()
    totals = [
        ops.skipgram_step_(*each, block, draws_of(30, sharing=sharing), *LR, backend=backend)
        for each, sharing in ((own, PER_PAIR), (shared, PER_WINDOW))
    ]
    assert_close(*totals)
    if backend != "torch":  # PyTorch's batches differ in size
        assert_tables_close(own, shared, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("model", MODELS[1:], ids=lambda model: model.name)
def test_a_window_is_one_pair_of_cbow(model: Model, backend: Backend) -> None:
    block, tables = random_block(9), random_tables(9, 6)
    own, shared = tables.copy(), tables.copy()
    for each, sharing in ((own, PER_PAIR), (shared, PER_WINDOW)):
        model.step_(*each, block, draws_of(9, sharing=sharing), *LR, backend=backend)
    assert all(torch.equal(a, b) for a, b in zip(own, shared, strict=True))
