"""Promises of the ops of windows that train together as ops: what is refused, what compiles, which kernel runs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from blocks import Model, Tables, batch_draws, draws_of, each_model, random_block, random_tables, require_native
from torch import Tensor

from pyembed import ops
from pyembed.config import Backend
from pyembed.ops.machine import MachineError, kernel

LR = (0.05, 0.02)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"negative_weight": 0.0}, r"negative_weight: expected a finite number > 0, got 0"),
        ({"negative_weight": -1.0}, r"negative_weight: expected a finite number > 0, got -1"),
        ({"negative_weight": float("inf")}, r"negative_weight: expected a finite number > 0, got inf"),
        ({"negative_weight": float("nan")}, r"negative_weight: expected a finite number > 0, got -?nan"),
        ({"sharing": 0}, r"sharing: expected 1 to 16 windows that train together, got 0"),
        ({"sharing": 17}, r"sharing: expected 1 to 16 windows that train together, got 17"),
        ({"sharing": 65}, r"sharing: expected .* to 64, got 65"),
        ({"negative": 0}, r"negative: expected 1 to 1000, got 0"),
        ({"window": 1001}, r"window: expected 1 to 1000, got 1001"),
    ],
)
def test_what_is_out_of_range_is_refused_by_name(change: dict[str, float], message: str, backend: Backend) -> None:
    tables = random_tables(12, 5, torch.float32)
    for step in (ops.skipgram_batch_step_, ops.cbow_batch_step_):
        after = tables.copy()
        with pytest.raises(RuntimeError, match=message):
            step(*after, random_block(12), replace(batch_draws(12), **change), *LR, backend=backend)
        assert all(torch.equal(a, b) for a, b in zip(after, tables, strict=True))


def test_windows_that_train_together_have_steps_of_their_own(backend: Backend) -> None:
    block, tables, alone, together = random_block(12), random_tables(12, 5), draws_of(12), batch_draws(12)
    with pytest.raises(ValueError, match=r"expected windows that train together, found together=False"):
        ops.skipgram_batch_step_(*tables, block, alone, *LR, backend=backend)
    for draws in (together, replace(alone, negative_weight=0.5)):
        for step in (ops.skipgram_step_, ops.cbow_step_):
            with pytest.raises(ValueError, match=r"one after the other.*together=(True|False), negative_weight=0\."):
                step(*tables, block, draws, *LR, backend=backend)
        for loss in (ops.skipgram_loss, ops.cbow_loss):
            with pytest.raises(ValueError, match=r"one after the other"):
                loss(*tables, block, draws, backend=backend)


def test_their_negatives_can_be_drawn_as_those_of_a_pool(backend: Backend) -> None:
    block, draws = random_block(12), batch_draws(12)
    found = ops.draw_windows(block, draws, backend=backend)
    expected = ops.draw_windows(block, replace(draws, together=False, negative_weight=1.0), backend=backend)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_a_step_on_leaves_that_want_gradients_is_refused(backend: Backend) -> None:
    tables = Tables(*(table.requires_grad_() for table in random_tables(12, 5, torch.float32)))
    with pytest.raises(RuntimeError, match=r"torch\.no_grad"):
        ops.skipgram_batch_step_(*tables, random_block(12), batch_draws(12), *LR, backend=backend)


@each_model
def test_steps_compile_without_a_graph_break(model: Model) -> None:
    block, draws = random_block(12), batch_draws(12)

    def call(in_vectors: Tensor, out_vectors: Tensor) -> Tensor:
        return model.batch_step_(in_vectors, out_vectors, block, draws, *LR) / 2

    results = []
    for function in (call, torch.compile(call, fullgraph=True, backend="aot_eager")):
        tables = random_tables(12, 5, torch.float32)
        results.append((function(*tables), *tables))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_the_compiled_op_itself_refuses_float64() -> None:
    require_native()
    block, draws = random_block(9), batch_draws(9)
    stream = (block.ids, block.sentence_starts, draws.alias_table, 0, 0, len(block.ids), 5, 8, 4, 1, 0, True)
    with pytest.raises(RuntimeError, match=r"expected float32 or bfloat16; the PyTorch kernel trains float64"):
        torch.ops.pyembed.skipgram_batch_step_(*random_tables(9, 4), *stream, 0.625, False, *LR, 1)


@pytest.mark.parametrize("name", ["skipgram_batch_step_", "cbow_batch_step_"])
def test_there_is_no_compiled_kernel_for_a_gpu(name: str) -> None:
    with pytest.raises(MachineError, match=r"expected a compiled kernel for cuda, found none"):
        kernel(name, "native", "cuda")
