"""SGD on rows, with momentum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from pyembed import ops
from pyembed.optim.row_optimizer import ELEMENTWISE, RowOptimizer, StateTensor, require
from pyembed.reference import RowGradients

LAST_STEP = StateTensor(elementwise=False, dtype=torch.int32)
"""The step at which each row was last touched."""


class SGD(RowOptimizer):
    """torch.optim.SGD on rows; reference.py section 10.

    A row that is touched first catches up with the decay of its momentum over the steps that it missed; torch's, which
    moves every row at every step, would have moved it along its momentum, too. Weight decay is that of touched rows.

    Args:
        params: tensors, or groups of them as torch.optim takes them.
        lr, weight_decay, clip_norm, warmup, seed: see RowOptimizer.
        momentum: 0 to below 1.
        nesterov: takes a momentum above 0.

    Raises:
        ValueError: an option is out of range.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        *,
        clip_norm: float = float("inf"),
        warmup: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__(params, lr, weight_decay, clip_norm, warmup, seed, momentum=momentum, nesterov=nesterov)

    def _check(self, group: dict[str, Any]) -> None:
        super()._check(group)
        require(group, "momentum", "at least 0 and below 1", 0 <= group["momentum"] < 1)
        require(group, "nesterov", "False, as momentum is 0", not group["nesterov"] or group["momentum"] > 0)

    def _kept(self, group: dict[str, Any]) -> Mapping[str, StateTensor]:
        return {"momentum_buffer": ELEMENTWISE, "last_step": LAST_STEP} if group["momentum"] else {}

    def _first_value(self, name: str, state: dict[str, Any], group: dict[str, Any]) -> float:  # noqa: ARG002
        return float(state["step"]) if name == "last_step" else 0.0

    def _update_rows(
        self,
        table: Tensor,
        tensors: list[Tensor],
        gradient: RowGradients,
        group: dict[str, Any],
        state: dict[str, Any],
        lr: float,
    ) -> None:
        decay, count = group["weight_decay"], {"step": state["step"] + 1, "seed": group["seed"]}
        if not tensors:
            ops.update_rows_sgd_(table, gradient, lr, decay, **count)
            return
        buffer, last_step = tensors
        ops.update_rows_momentum_(
            table, buffer, last_step, gradient, lr, group["momentum"], group["nesterov"], decay, **count
        )
