"""The parity promises on a GPU, with the kernels that were compiled for it; skipped where there is none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from blocks import (
    EXACT_MODELS,
    LENGTHS,
    MODELS,
    SKIPGRAM,
    Loss,
    Model,
    Tables,
    assert_tables_close,
    draws_of,
    each_loss,
    each_model,
    each_sharing,
    random_block,
    random_tables,
)
from test_cuda_steps import distinct_windows, padded_rows, spec_draws
from test_cuda_training import docstrings, first_tokens, run
from test_subsample import THRESHOLDS
from torch.testing import assert_close

from pyembed import ops, reference
from pyembed.config import TrainConfig, WriteBack
from pyembed.corpus.sampling import keep_tokens
from pyembed.reference import Draws, TokenBlock
from pyembed.training import blocks, device_blocks
from pyembed.training.device_blocks import DeviceBlocks
from pyembed.training.loop import TrainingLoop
from pyembed.training.tables import new_tables

pytestmark = pytest.mark.gpu

GPU, BACKEND = "cuda", "native"
LR = (0.05, 0.02)
each_write_back = pytest.mark.parametrize("write_back", ["add", "store"])
each_padding = pytest.mark.parametrize("padded", [False, True], ids=["dense rows", "padded rows"])


def there(block: TokenBlock, draws: Draws, device: str = GPU) -> tuple[TokenBlock, Draws]:
    """The same on the GPU."""
    ids, starts = block.ids.to(device), block.sentence_starts.to(device)
    return replace(block, ids=ids, sentence_starts=starts), replace(draws, alias_table=draws.alias_table.to(device))


def copy_of(tables: Tables, device: str = GPU) -> Tables:
    return Tables(*(table.clone().to(device) for table in tables))


def home(tables: Tables, dimensions: int) -> Tables:
    return Tables(*(table[:, :dimensions].cpu() for table in tables))


# --- P1 ---------------------------------------------------------------------------------------------------------------


@each_sharing
@pytest.mark.parametrize("first_position", [0, 2**32 - 9, 2**48 + 1])
def test_draws_are_those_of_the_cpu(sharing: int, first_position: int) -> None:
    block, draws = random_block(300, (3000, 0, 1), first_position=first_position), draws_of(300, sharing=sharing)
    found = ops.draw_windows(*there(block, draws), backend=BACKEND)
    for tensor, expected in zip(found, ops.draw_windows(block, draws), strict=True):
        assert torch.equal(tensor.cpu(), expected)
    alone = ops.draw_negatives(draws.alias_table.to(GPU), first_position, 5000, 7, 2**62 + 5, 3, backend=BACKEND)
    assert torch.equal(alone.cpu(), ops.draw_negatives(draws.alias_table, first_position, 5000, 7, 2**62 + 5, 3))


@pytest.mark.parametrize(("first", "count"), [(0, 3_000_000), (2**32 - 5, 1025), (7, 1), (3, 0)])
def test_tokens_that_are_kept_are_those_of_the_cpu(first: int, count: int) -> None:
    rng = np.random.default_rng(count)
    ids, thresholds = rng.integers(0, 5, count).astype(np.int32), np.array(THRESHOLDS, np.uint32)
    starts = np.unique(first + rng.integers(0, max(count, 1), count // 7))
    expected = keep_tokens(ids, first, starts, thresholds, np.uint64(9), np.uint64(2))
    arguments = (torch.from_numpy(array).to(GPU) for array in (ids, starts, thresholds.view(np.int32)))
    found = ops.keep_tokens(*arguments, first, 9, 2, backend=BACKEND)
    for tensor, array in zip(found, expected, strict=True):
        assert np.array_equal(tensor.cpu().numpy(), array)


# --- P2, P3, P4 -------------------------------------------------------------------------------------------------------


@each_loss
@each_sharing
@pytest.mark.parametrize("dimensions", [1, 31, 128, 300])
def test_loss_and_gradient_are_the_specs(loss: Loss, sharing: int, dimensions: int) -> None:
    block, draws = random_block(40, LENGTHS * 4), draws_of(40, sharing=sharing)
    tables = random_tables(40, dimensions)
    spec = draws if loss.name == "skipgram" else reference.cbow_draws(draws)
    value, *gradient = reference.loss_and_gradient(loss.gradient_of, *tables, block, spec)
    leaves = [table.float().to(GPU).requires_grad_() for table in tables]
    found = loss.loss(*leaves, *there(block, draws), backend=BACKEND)
    found.backward()  # type: ignore[no-untyped-call]
    assert_close(found.cpu().double(), value, rtol=1e-5, atol=0)
    for leaf, expected in zip(leaves, gradient, strict=True):
        assert leaf.grad is not None
        assert_close(leaf.grad.cpu().double(), expected, rtol=1e-5, atol=5e-6)


@each_model
@each_padding
@pytest.mark.parametrize("dimensions", [1, 31, 100, 128, 300, 513])
@pytest.mark.parametrize("vocabulary", [3, 40], ids=["colliding rows", "words enough"])
def test_one_warp_is_the_sequential_spec(model: Model, dimensions: int, vocabulary: int, padded: bool) -> None:
    block, draws = random_block(vocabulary, first_position=2**32 - 9), draws_of(vocabulary)
    tables = random_tables(vocabulary, dimensions, torch.float32)
    after = copy_of(padded_rows(tables) if padded else tables)
    total = model.step_(*after, *there(block, draws), *LR, threads=1, backend=BACKEND)
    expected = Tables(*(table.double() for table in tables)).copy()
    spec_total = reference.step_(model.gradient_of, *expected, block, spec_draws(model, draws), *LR)
    assert_close(total.cpu(), spec_total, rtol=1e-5, atol=0)
    assert_tables_close(home(after, dimensions), expected, rtol=1e-5, atol=1e-5)
    assert not any(table[:, dimensions:].any() for table in after)


@each_model
@each_write_back
@each_padding
def test_many_warps_are_the_spec_where_windows_share_no_row(model: Model, write_back: WriteBack, padded: bool) -> None:
    block, draws = distinct_windows()
    tables = random_tables(8_000, 20, torch.float32)
    expected, after = tables.copy(), copy_of(padded_rows(tables) if padded else tables)
    total = reference.step_(model.gradient_of, *expected, block, draws, *LR)
    found = model.step_(*after, *there(block, draws), *LR, threads=0, write_back=write_back, backend=BACKEND)
    assert_close(found.cpu(), total, rtol=1e-5, atol=0)
    assert_tables_close(home(after, 20), expected, rtol=0, atol=1e-6)


@each_padding
@each_sharing
@pytest.mark.parametrize("model", EXACT_MODELS, ids=lambda model: model.name)
def test_warps_that_add_lose_no_update(model: Model, sharing: int, padded: bool) -> None:
    block, draws, lr = random_block(9), draws_of(9, sharing=sharing), 3e-5
    tables = random_tables(9, 20, torch.float32)
    doubles = Tables(*(table.double() for table in tables))
    _, *gradient = reference.loss_and_gradient(model.gradient_of, *doubles, block, spec_draws(model, draws))
    after = copy_of(padded_rows(tables) if padded else tables)
    model.step_(*after, *there(block, draws), lr, lr, threads=64, write_back="add", backend=BACKEND)
    for before, now, expected in zip(tables, home(after, 20), gradient, strict=True):
        assert_close((before - now).double() / lr, expected, rtol=0, atol=0.1)


@pytest.mark.parametrize("model", MODELS[:2], ids=lambda model: model.name)
@each_sharing
def test_bfloat16_tables_end_near_those_of_float32(model: Model, sharing: int) -> None:
    block, draws = there(random_block(30, (20, 0, 1, 30) * 5), draws_of(30, sharing=sharing))
    tables = Tables(*(table.bfloat16() for table in random_tables(30, 48, torch.float32)))
    rounded, single = copy_of(tables), copy_of(Tables(*(table.float() for table in tables)))
    found, expected = (
        model.step_(*after, block, draws, *LR, threads=1, backend=BACKEND).tolist() for after in (rounded, single)
    )
    assert found == pytest.approx(expected, rel=0.01)
    for half, whole, before in zip(rounded, single, copy_of(tables), strict=True):
        assert (half.float() - whole).norm() < 0.2 * (whole - before.float()).norm()


# --- what a device brings with it -------------------------------------------------------------------------------------


def test_what_is_wrong_in_the_memory_of_the_gpu_is_named() -> None:
    block, draws = there(random_block(12), draws_of(12))
    ids, starts, alias = block.ids.clone(), block.sentence_starts.clone(), draws.alias_table.clone()
    ids[6], starts[3], alias[2, 1] = 99, 0, 12
    for bad, message in (
        ((replace(block, ids=ids), draws), r"ids: expected 0 to V - 1 = 11, got 99 at index 6"),
        ((replace(block, sentence_starts=starts), draws), "sentence_starts: expected to ascend"),
        ((block, replace(draws, alias_table=alias)), "alias_table: expected aliases 0 to V - 1 = 11, got 12 in row 2"),
        ((replace(block, ids=block.ids.cpu()), draws), "ids: expected .* on the GPU"),
    ):
        tables = copy_of(random_tables(12, 5))
        with pytest.raises(RuntimeError, match=message):
            SKIPGRAM.step_(*tables, *bad, *LR, backend=BACKEND)


def test_work_goes_to_the_stream_that_torch_works_on() -> None:
    block, draws, tables = *there(random_block(2000, [25] * 400), draws_of(2000)), random_tables(2000, 64)
    expected, found = copy_of(tables), copy_of(tables)
    SKIPGRAM.step_(*expected, block, draws, *LR, threads=1, backend=BACKEND)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        SKIPGRAM.step_(*found, block, draws, *LR, threads=1, backend=BACKEND)
        after = Tables(*(table.clone() for table in found))  # after the step, for it is on the same stream
    stream.synchronize()
    assert all(torch.equal(a, b) for a, b in zip(after, expected, strict=True))


def test_a_second_gpu_is_as_good_as_the_first() -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("there is one GPU only")
    block, draws, tables = random_block(40), draws_of(40), random_tables(40, 64)
    results = []
    for device in ("cuda:0", "cuda:1"):
        after = copy_of(tables, device)
        SKIPGRAM.step_(*after, *there(block, draws, device), *LR, threads=1, backend=BACKEND)
        results.append(home(after, 64))
    assert torch.cuda.current_device() == 0
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


# --- the trainer ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["skipgram", "cbow"])
def test_the_trainer_learns_what_the_cpu_learns(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks so small that copying, subsampling and training overlap many times."""
    for room in (blocks, device_blocks):
        monkeypatch.setattr(room, "BLOCK_TOKENS", 1000)
    vocabulary, token_ids = first_tokens(docstrings(), 4_000)
    config = TrainConfig(model=model, negatives_from="window", epochs=2, threads=1)
    loops = []
    for device in ("cpu", GPU):
        changed = replace(config, device=device)
        tables = new_tables(len(vocabulary.words), changed)
        loops.append(run(TrainingLoop(tables, vocabulary, token_ids, changed)))
    on_cpu, on_gpu = loops
    assert isinstance(on_gpu._source, DeviceBlocks)
    for one, other in zip(on_cpu.epochs, on_gpu.epochs, strict=True):
        assert (one.pairs, one.trained_tokens) == (other.pairs, other.trained_tokens)
        assert one.loss == pytest.approx(other.loss, rel=1e-3)
    for table in ("in_vectors", "out_vectors"):
        found, expected = (getattr(loop.tables, table).cpu() for loop in (on_gpu, on_cpu))
        assert (found - expected).norm() < 0.02 * expected.norm()


def test_tables_begin_alike_on_the_cpu_and_on_the_gpu() -> None:
    for dtype in ("float32", "bfloat16"):
        config = TrainConfig(vector_size=100, table_dtype=dtype)  # type: ignore[arg-type]
        on_cpu, on_gpu = (new_tables(3000, replace(config, device=device)) for device in ("cpu", GPU))
        assert torch.equal(on_gpu.in_padded.cpu(), on_cpu.in_padded)
        assert not on_gpu.out_padded.any()
