"""Promises of the ops about their arguments: any layout of memory is taken, and what is wrong is refused by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from blocks import LOSSES, MODELS, Loss, Model, Tables, draws_of, each_loss, each_model, random_block, random_tables
from torch import Tensor

from pyembed import ops
from pyembed.config import Backend
from pyembed.reference import Draws, TokenBlock

pytestmark = pytest.mark.simt

BLOCK, DRAWS = random_block(12), draws_of(12, window=3, negative=3)


# --- layouts of memory ------------------------------------------------------------------------------------------------


def transposed(table: Tensor) -> Tensor:
    return table.T.clone(memory_format=torch.contiguous_format).T


def strided(table: Tensor) -> Tensor:
    """Rows with three columns of padding between them, which hold sevens."""
    wide = torch.full((table.shape[0], table.shape[1] + 3), 7, dtype=table.dtype)
    wide[:, : table.shape[1]] = table
    return wide[:, : table.shape[1]]


def every_second_row(table: Tensor) -> Tensor:
    return table.repeat_interleave(2, dim=0)[::2]


@each_model
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("layouts", [(transposed, transposed), (strided, transposed), (strided, every_second_row)])
@pytest.mark.parametrize("dimensions", [1, 19])
def test_tables_of_any_layout_train_alike(
    model: Model, dtype: torch.dtype, layouts: tuple[Callable[[Tensor], Tensor], ...], dimensions: int, backend: Backend
) -> None:
    expected = random_tables(12, dimensions, dtype)
    tables = [layout(table) for layout, table in zip(layouts, expected, strict=True)]
    pointers = [table.data_ptr() for table in tables]
    total = model.step_(*tables, BLOCK, DRAWS, 0.05, 0.02, backend=backend)
    expected_total = model.step_(*expected, BLOCK, DRAWS, 0.05, 0.02, backend=backend)
    torch.testing.assert_close(total, expected_total)
    for table, one, pointer in zip(tables, expected, pointers, strict=True):
        assert table.data_ptr() == pointer
        torch.testing.assert_close(table, one)


def test_padding_between_rows_is_not_touched(backend: Backend) -> None:
    in_vectors, out_vectors = map(strided, random_tables(12, 19, torch.float32))
    ops.skipgram_step_(in_vectors, out_vectors, BLOCK, DRAWS, 0.05, 0.02, backend=backend)
    ops.cbow_step_(in_vectors, out_vectors, BLOCK, DRAWS, 0.05, 0.02, backend=backend)
    for table in (in_vectors, out_vectors):
        assert torch.equal(table.as_strided((12, 3), (22, 1), 19), torch.full((12, 3), 7.0))


@each_loss
def test_losses_take_any_layout(loss: Loss, backend: Backend) -> None:
    tables = random_tables(12, 5)
    expected = loss.loss(*tables, BLOCK, DRAWS, backend=backend)
    torch.testing.assert_close(loss.loss(*map(transposed, tables), BLOCK, DRAWS, backend=backend), expected)


def test_ids_need_not_be_contiguous(backend: Backend) -> None:
    def apart(tensor: Tensor) -> Tensor:
        return tensor.repeat_interleave(2, dim=0)[::2]

    block = replace(BLOCK, ids=apart(BLOCK.ids), sentence_starts=apart(BLOCK.sentence_starts))
    draws = replace(DRAWS, alias_table=apart(DRAWS.alias_table))
    assert not block.ids.is_contiguous()
    found, expected = random_tables(12, 5), random_tables(12, 5)
    ops.skipgram_step_(*found, block, draws, 0.05, 0.02, backend=backend)
    ops.skipgram_step_(*expected, BLOCK, DRAWS, 0.05, 0.02, backend=backend)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


# --- arguments that are refused ---------------------------------------------------------------------------------------


def with_value(tensor: Tensor, index: int, value: int) -> Tensor:
    changed = tensor.clone()
    changed[index] = value
    return changed


IDS, STARTS, ALIASES = BLOCK.ids, BLOCK.sentence_starts, DRAWS.alias_table
T = len(IDS)

BAD_BLOCKS: list[tuple[str, dict[str, Any]]] = [
    ("ids", {"ids": with_value(IDS, 4, 12)}),
    ("ids", {"ids": with_value(IDS, 4, -1)}),
    ("ids", {"ids": IDS.long()}),
    ("ids", {"ids": IDS[None]}),
    ("sentence_starts", {"sentence_starts": with_value(STARTS, 3, 0)}),
    ("sentence_starts", {"sentence_starts": with_value(STARTS, 0, 1)}),
    ("sentence_starts", {"sentence_starts": with_value(STARTS, -1, T + 1)}),
    ("sentence_starts", {"sentence_starts": with_value(STARTS, -1, T - 1)}),
    ("sentence_starts", {"sentence_starts": STARTS[:0]}),
    ("sentence_starts", {"sentence_starts": STARTS.int()}),
    ("sentence_starts", {"sentence_starts": STARTS[None]}),
    ("center_begin", {"center_begin": -1}),
    ("center_begin", {"center_begin": 5, "center_end": 4}),
    ("center_end", {"center_end": T + 1}),
    ("first_position", {"first_position": -1}),
]
BAD_DRAWS: list[tuple[str, dict[str, Any]]] = [
    ("alias_table", {"alias_table": ALIASES.long()}),
    ("alias_table", {"alias_table": ALIASES[:, 0]}),
    ("alias_table", {"alias_table": ALIASES.repeat(1, 2)}),
    ("alias_table", {"alias_table": torch.tensor(3, dtype=torch.int32)}),
    ("alias_table", {"alias_table": torch.cat([ALIASES[:, :1], ALIASES[:, 1:] + 12], 1)}),
    ("window", {"window": 0}),
    ("window", {"window": 1001}),
    ("negative", {"negative": 0}),
    ("negative", {"negative": 1001}),
    ("sharing", {"sharing": -1}),
    ("sharing", {"sharing": 65}),
    ("seed", {"seed": -1}),
    ("epoch", {"epoch": -1}),
    ("epoch", {"epoch": 2**32}),
]


def bad_streams() -> Iterator[Any]:
    for named, change in BAD_BLOCKS:
        yield pytest.param(replace(BLOCK, **change), DRAWS, named, id=f"block-{named}")
    for named, change in BAD_DRAWS:
        yield pytest.param(BLOCK, replace(DRAWS, **change), named, id=f"draws-{named}")


@pytest.mark.parametrize(("block", "draws", "named"), list(bad_streams()))
def test_a_bad_stream_is_refused_by_name_before_anything_changes(
    block: TokenBlock, draws: Draws, named: str, backend: Backend
) -> None:
    tables = random_tables(12, 5)
    before = tables.copy()
    with pytest.raises(RuntimeError, match=named):
        ops.draw_windows(block, draws, backend=backend)
    for model in MODELS:
        with pytest.raises(RuntimeError, match=named):
            model.step_(*tables, block, draws, 0.05, 0.02, backend=backend)
    for loss in LOSSES:
        with pytest.raises(RuntimeError, match=named):
            loss.loss(*tables, block, draws, backend=backend)
    assert all(torch.equal(a, b) for a, b in zip(tables, before, strict=True))


GOOD = random_tables(12, 5)
BAD_TABLES = [
    ("in_vectors", GOOD.in_vectors[:11], GOOD.out_vectors[:11]),
    ("in_vectors", GOOD.in_vectors[0], GOOD.out_vectors[0]),
    ("in_vectors", GOOD.in_vectors[:, :0], GOOD.out_vectors[:, :0]),
    ("in_vectors", GOOD.in_vectors.half(), GOOD.out_vectors.half()),
    ("in_vectors", GOOD.in_vectors.int(), GOOD.out_vectors.int()),
    ("out_vectors", GOOD.in_vectors, GOOD.out_vectors[:, :4]),
    ("out_vectors", GOOD.in_vectors, GOOD.out_vectors[:11]),
    ("out_vectors", GOOD.in_vectors, GOOD.out_vectors.float()),
]


@pytest.mark.parametrize(
    ("named", "in_vectors", "out_vectors"),
    BAD_TABLES,
    ids=["rows", "vector", "no columns", "half", "int", "columns", "out rows", "two dtypes"],
)
def test_bad_tables_are_refused_by_name_before_anything_changes(
    named: str, in_vectors: Tensor, out_vectors: Tensor, backend: Backend
) -> None:
    before = Tables(in_vectors, out_vectors).copy()
    for model in MODELS:
        with pytest.raises(RuntimeError, match=named):
            model.step_(in_vectors, out_vectors, BLOCK, DRAWS, 0.05, 0.02, backend=backend)
    for loss in LOSSES:
        with pytest.raises(RuntimeError, match=named):
            loss.loss(in_vectors, out_vectors, BLOCK, DRAWS, backend=backend)
    assert torch.equal(in_vectors, before.in_vectors)
    assert torch.equal(out_vectors, before.out_vectors)


def test_the_message_says_which_id_is_bad(backend: Backend) -> None:
    block = replace(BLOCK, ids=with_value(IDS, 6, 99))
    with pytest.raises(RuntimeError, match=r"ids: expected 0 to V - 1 = 11, got 99 at index 6"):
        ops.draw_windows(block, DRAWS, backend=backend)
