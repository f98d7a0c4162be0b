"""Rows that stay as they are under every optimiser of torch.optim's kind.

A gradient of zero is not enough for that: weight decay and momentum move a row all the same. So around the step of any
optimiser in the process the frozen rows of its parameters are kept aside and put back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary, WeakSet

import torch
from torch import Tensor
from torch.optim.optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

if TYPE_CHECKING:
    from pyembed.nn.row_table import RowTable


class _Kept(NamedTuple):
    """Some rows of a parameter, as they were."""

    parameter: Tensor
    ids: Tensor
    rows: Tensor


_tables: WeakSet[RowTable] = WeakSet()
_kept: WeakKeyDictionary[Optimizer, deque[list[_Kept]]] = WeakKeyDictionary()
"""For each step that is under way, as a class' step may call its parent's, the last one last.

A step that fails leaves its own below those of later ones, where nothing comes back to it.
"""
_MOST_KEPT = 4


def watch(table: RowTable) -> None:
    """From now on every optimiser leaves the frozen rows of this table as they are."""
    _register_hooks()
    _tables.add(table)


@cache
def _register_hooks() -> None:
    """At the first table that asks for it: a process without frozen rows pays nothing."""
    register_optimizer_step_pre_hook(_keep_rows)
    register_optimizer_step_post_hook(_put_rows_back)


def _keep_rows(optimizer: Optimizer, _args: Any, _kwargs: Any) -> None:
    frozen = {id(parameter): ids for table in _tables for parameter, ids in table.frozen_parameters()}
    parameters = (parameter for group in optimizer.param_groups for parameter in group["params"])
    mine = [(parameter, frozen[id(parameter)]) for parameter in parameters if id(parameter) in frozen]
    steps = _kept.setdefault(optimizer, deque(maxlen=_MOST_KEPT))
    steps.append([_Kept(parameter, ids, parameter.detach()[ids]) for parameter, ids in mine])


@contextmanager
def kept(optimizer: Optimizer) -> Iterator[None]:
    """Whatever is done to the optimiser's parameters inside, their frozen rows come out as they were."""
    _keep_rows(optimizer, (), {})
    try:
        yield
    finally:
        _put_rows_back(optimizer, (), {})


@torch.no_grad()
def _put_rows_back(optimizer: Optimizer, _args: Any, _kwargs: Any) -> None:
    steps = _kept.get(optimizer)
    for kept in steps.pop() if steps else ():
        kept.parameter[kept.ids] = kept.rows
