"""Promises of tables that grow, and of rows that are locked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from test_training import WORDS, config_of, corpus, equal, run, train
from torch.testing import assert_close

from pyembed import reference
from pyembed.config import Backend, TrainConfig
from pyembed.reference import TokenBlock
from pyembed.training import slices
from pyembed.training.loop import TrainingLoop
from pyembed.training.slices import slices_of
from pyembed.training.tables import grown_tables, new_tables

# --- growth -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table_dtype", ["float32", "bfloat16"])
def test_grown_tables_keep_old_rows_and_start_new_ones_as_always(table_dtype: Any) -> None:
    config = TrainConfig(vector_size=20, table_dtype=table_dtype)
    old, fresh = new_tables(30, config), new_tables(50, config)
    old.in_padded.normal_()
    old.out_vectors.normal_()
    grown = grown_tables(old, 50, config)
    assert torch.equal(grown.in_padded[:30], old.in_padded)
    assert torch.equal(grown.out_padded[:30], old.out_padded)
    assert torch.equal(grown.in_padded[30:], fresh.in_padded[30:])
    assert not grown.out_padded[30:].any()
    assert grown.in_padded.data_ptr() % 64 == 0


def test_the_nodes_of_grown_tables_start_anew() -> None:
    config = TrainConfig(vector_size=20, hs=True, negative=0)
    old = new_tables(30, config)
    old.node_padded.normal_()
    grown = grown_tables(old, 31, config)
    assert grown.out_padded is None
    assert grown.node_padded.shape == (30, 32)
    assert not grown.node_padded.any()


def test_tables_neither_shrink_nor_change_their_vectors_size() -> None:
    config = TrainConfig(vector_size=20)
    tables = new_tables(30, config)
    with pytest.raises(ValueError, match=r"rows: expected at least the 30 there are, found 29"):
        grown_tables(tables, 29, config)
    with pytest.raises(ValueError, match=r"vector_size: expected that of the tables, 20, found 21"):
        grown_tables(tables, 31, replace(config, vector_size=21))


@pytest.mark.parametrize(
    ("negative", "hs", "shapes"),
    [(5, False, [(9, 16)] * 2), (0, True, [(9, 16), (8, 16)]), (5, True, [(9, 16), (9, 16), (8, 16)])],
)
def test_there_are_the_tables_that_are_trained(negative: int, hs: bool, shapes: list[tuple[int, int]]) -> None:
    tables = new_tables(9, TrainConfig(vector_size=5, negative=negative, hs=hs))
    assert [tuple(table.shape) for table in tables.padded] == shapes
    assert tables.nbytes == sum(rows * columns * 4 for rows, columns in shapes)
    assert (tables.out_vectors is None) == (negative == 0)
    assert (tables.node_vectors is None) == (not hs)


# --- slices -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("together", [1, 4])
def test_slices_give_each_center_its_contexts_position_and_rate(together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "SLICE_CENTERS", 7)
    ids, starts = torch.arange(40, dtype=torch.int32), torch.tensor([0, 3, 3, 20, 31, 40])
    block = TokenBlock(ids, starts, first_position=100, center_begin=2, center_end=37)
    centers = []
    for part, (begin, end) in slices_of(block, (0.5, 0.15), window=3, threads=1, together=together):
        assert part.sentence_starts[0] == 0
        assert part.sentence_starts[-1] == len(part.ids)
        for center in range(part.center_begin, part.center_end):
            token = int(part.ids[center])
            rate = begin + (end - begin) * (center - part.center_begin) / (part.center_end - part.center_begin)
            assert rate == pytest.approx(0.5 - 0.35 * (token - 2) / 35)
            assert part.first_position + center == 100 + token
            first = max(2, token - (100 + token) % together)
            assert first in part.ids[part.center_begin : center + 1], "a slice begins where a batch does"
            for distance in (-3, -2, -1, 1, 2, 3):
                other = token + distance
                there = 0 <= other < 40 and sentence(starts, other) == sentence(starts, token)
                place = center + distance
                seen = 0 <= place < len(part.ids) and sentence(part.sentence_starts, place) == sentence(
                    part.sentence_starts, center
                )
                assert seen == there
                assert not there or part.ids[place] == other
            centers.append(token)
    assert centers == list(range(2, 37))


def sentence(starts: torch.Tensor, token: int) -> int:
    return int(torch.searchsorted(starts, token, right=True))


# --- locks ------------------------------------------------------------------------------------------------------------


def locks_of(**factors: float) -> Any:
    locks = np.ones(WORDS, np.float32)
    for word, factor in factors.items():
        locks[int(word[1:])] = factor
    return locks


@pytest.mark.parametrize("model", ["skipgram", "cbow"])
@pytest.mark.parametrize("table_dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_row_locked_with_0_stays_as_it_is(model: str, table_dtype: Any, threads: int, backend: Backend) -> None:
    config = config_of(backend, model=model, table_dtype=table_dtype, threads=threads)
    start = new_tables(WORDS, config).in_padded
    after = train(config, locks=locks_of(w0=0, w5=0, w39=0)).tables.in_padded
    moved = (after != start).any(1)
    assert not moved[[0, 5, 39]].any()
    assert moved.sum() == WORDS - 3


@pytest.mark.parametrize("backend_dtype", ["float32", "bfloat16"])
def test_a_factor_scales_each_change(backend_dtype: Any, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a run of first order, all of it one slice, a row moves by its factor of what it would have moved by."""
    monkeypatch.setattr(slices, "SLICE_CENTERS", 1 << 20)
    config = config_of(backend, epochs=1, table_dtype=backend_dtype, sample=0)
    start, free = new_tables(WORDS, config).in_vectors.float(), train(config).tables.in_vectors.float()
    held = train(config, locks=locks_of(w3=0.25, w4=2.0)).tables.in_vectors.float()
    tolerance = {"float32": 1e-6, "bfloat16": 4e-3}[backend_dtype]
    assert_close(held[3] - start[3], 0.25 * (free[3] - start[3]), rtol=0, atol=tolerance)
    assert_close(held[4] - start[4], 2.0 * (free[4] - start[4]), rtol=0, atol=tolerance)
    assert torch.equal(held[5], free[5])


def test_training_that_goes_on_rounds_held_rows_by_other_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the same ones, an element would be rounded up in each of many short trainings, or in none."""
    bits: list[torch.Tensor] = []

    def noted(*arguments: Any, of: Any = reference.element_bits) -> torch.Tensor:
        bits.append(of(*arguments))
        return bits[-1]

    monkeypatch.setattr(reference, "element_bits", noted)
    config = config_of("auto", epochs=1, table_dtype="bfloat16", sample=0)
    for epoch in range(2):
        train(config, locks=locks_of(w0=0.5), first_epoch=epoch)
    first, second = bits[: len(bits) // 2], bits[len(bits) // 2 :]
    assert len(first) == len(second)
    assert not any(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def test_locks_of_1_cost_nothing(backend: Backend) -> None:
    assert equal(train(config_of(backend), locks=locks_of()).tables, train(config_of(backend)).tables)


def test_a_locked_row_stays_where_a_step_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where Ctrl-C ends a run amid a slice."""
    from pyembed import ops

    def broken(in_vectors: torch.Tensor, *_: object, **__: object) -> None:
        in_vectors += 1
        raise KeyboardInterrupt

    config = config_of("auto")
    tables = new_tables(WORDS, config)
    before = tables.in_padded.clone()
    monkeypatch.setattr(ops, "skipgram_batch_step_", broken)
    loop = TrainingLoop(tables, *corpus(), config, locks=locks_of(w0=0))
    with pytest.raises(KeyboardInterrupt):
        run(loop)
    assert torch.equal(tables.in_padded[0], before[0])


def test_locks_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"locks: expected one factor for each of 40 words, found shape \(39,\)"):
        train(config_of("auto"), locks=np.ones(39, np.float32))
    with pytest.raises(ValueError, match=r"locks: expected finite numbers, found nan at index 7"):
        train(config_of("auto"), locks=locks_of(w7=float("nan")))
