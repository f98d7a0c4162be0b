"""Arguments of the ops on explicit pairs that are refused, each by name, before anything changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from blocks import draws_of
from pair_cases import LR, random_case
from torch import Tensor

from pyembed import ops
from pyembed.config import Backend

pytestmark = pytest.mark.simt

GOOD = random_case(6, 3, 5)


def with_value(ids: Tensor, index: tuple[int, ...], value: int) -> Tensor:
    changed = ids.clone()
    changed[index] = value
    return changed


BAD: list[tuple[str, dict[str, Any]]] = [
    (r"in_ids: expected 0 to V - 1 = 10, got 11 at index 4", {"in_ids": with_value(GOOD.in_ids, (4,), 11)}),
    (r"in_ids: expected 0 to V - 1 = 10, got -1 at index 0", {"in_ids": with_value(GOOD.in_ids, (0,), -1)}),
    (r"out_ids: .* = 6, got 7 at index \[5, 2\]", {"out_ids": with_value(GOOD.out_ids, (5, 2), 7)}),
    (r"out_ids: .* got 4294967297 at index \[1, 0\]", {"out_ids": with_value(GOOD.out_ids, (1, 0), 2**32 + 1)}),
    (r"in_ids", {"in_ids": GOOD.in_ids.short()}),
    (r"in_ids", {"in_ids": GOOD.in_ids[None]}),
    (r"out_ids: .* dtype", {"out_ids": GOOD.out_ids.int()}),
    (r"out_ids: .* B = 6", {"out_ids": GOOD.out_ids[:5]}),
    (r"out_ids", {"out_ids": GOOD.out_ids[:, 0]}),
    (r"out_ids: .* N >= 1", {"out_ids": GOOD.out_ids[:, :0]}),
    (r"in_vectors", {"in_vectors": GOOD.tables.in_vectors.half()}),
    (r"in_vectors", {"in_vectors": GOOD.tables.in_vectors[0]}),
    (r"out_vectors", {"out_vectors": GOOD.tables.out_vectors.float()}),
    (r"columns", {"out_vectors": GOOD.tables.out_vectors[:, :4]}),
]


@pytest.mark.parametrize("bits", [torch.int64, torch.int32])
@pytest.mark.parametrize(("message", "change"), BAD, ids=[message for message, _ in BAD])
def test_bad_pairs_are_refused_by_name_before_anything_changes(
    message: str, change: dict[str, Any], bits: torch.dtype, backend: Backend
) -> None:
    tables = GOOD.tables.copy()
    arguments = {**tables._asdict(), "in_ids": GOOD.in_ids, "out_ids": GOOD.out_ids, **change}
    if bits == torch.int32 and "dtype" not in message and "4294967297" not in message:
        arguments |= {name: arguments[name].to(bits) for name in ("in_ids", "out_ids") if name not in change}
        arguments |= {name: ids.to(bits) for name, ids in change.items() if ids.dtype == torch.int64}
    calls: list[Callable[..., Tensor]] = [lambda **given: ops.pair_loss(**given, backend=backend)]
    for exact in (True, False):
        calls.append(lambda exact=exact, **given: ops.pair_step_(**given, lr=LR, exact=exact, backend=backend))
    for call in calls:
        with pytest.raises(RuntimeError, match=message):
            call(**arguments)
    assert all(torch.equal(a, b) for a, b in zip(tables, GOOD.tables, strict=True))


@pytest.mark.parametrize(
    ("name", "value"),
    [("count", -1), ("first_position", -1), ("negative", 0), ("negative", 1001), ("seed", -1), ("epoch", 2**32)],
)
def test_bad_draws_are_refused_by_name(name: str, value: int, backend: Backend) -> None:
    good = {"first_position": 0, "count": 3, "negative": 2, "seed": 1, "epoch": 0}
    with pytest.raises(RuntimeError, match=name):
        ops.draw_negatives(draws_of(9).alias_table, **{**good, name: value}, backend=backend)


def test_a_step_on_leaves_that_want_gradients_is_refused(backend: Backend) -> None:
    case = random_case(6, 3, 5)
    leaves = [table.requires_grad_() for table in case.tables]
    with pytest.raises(RuntimeError, match=r"torch\.no_grad"):
        ops.pair_step_(*leaves, case.in_ids, case.out_ids, LR, backend=backend)
