"""AdamW on rows, which catch up with the decay of the steps that they missed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from pyembed import ops
from pyembed.nn import frozen_rows
from pyembed.optim.row_optimizer import ELEMENTWISE, RowOptimizer, StateTensor, as_rows, require, write_back
from pyembed.optim.sgd import LAST_STEP
from pyembed.reference import RowGradients, rows_of, store_rows_

LAST_LOG_DECAY = StateTensor(elementwise=False, dtype=torch.float64)
"""What log_decay was when each row was last touched."""

_ROWS_AT_ONCE = 1 << 16


class AdamW(RowOptimizer):
    """torch.optim.AdamW on rows (Loshchilov and Hutter 2019); reference.py section 10.

    A row that is touched first catches up with the steps that it missed: with the weight decay of each, at the rate
    that it had, and with the decay of its moments. What it does not make up for is that torch's AdamW moves every row
    along its first moment at every step: a row that is not looked up does not move. Until it is touched a row lacks
    the decay of the steps since; catch_up() brings all rows up to date.

    Args:
        params: tensors, or groups of them as torch.optim takes them.
        lr, weight_decay, clip_norm, warmup, seed: see RowOptimizer. lr * weight_decay is below 1.
        betas: each 0 to below 1.
        eps: at least 0.

    Raises:
        ValueError: an option is out of range.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        *,
        clip_norm: float = float("inf"),
        warmup: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__(params, lr, weight_decay, clip_norm, warmup, seed, betas=betas, eps=eps)

    def _check(self, group: dict[str, Any]) -> None:
        super()._check(group)
        require(group, "betas", "two, each at least 0 and below 1", all(0 <= beta < 1 for beta in group["betas"]))
        require(group, "eps", "at least 0", group["eps"] >= 0)

    def _kept(self, group: dict[str, Any]) -> Mapping[str, StateTensor]:  # noqa: ARG002
        return {
            "exp_avg": ELEMENTWISE,
            "exp_avg_sq": ELEMENTWISE,
            "last_step": LAST_STEP,
            "last_log_decay": LAST_LOG_DECAY,
        }

    def _first_value(self, name: str, state: dict[str, Any], group: dict[str, Any]) -> float:  # noqa: ARG002
        # A row that is new now has missed no decay.
        return float({"last_step": state["step"], "last_log_decay": state.get("log_decay", 0.0)}.get(name, 0.0))

    def _update_rows(
        self,
        table: Tensor,
        tensors: list[Tensor],
        gradient: RowGradients,
        group: dict[str, Any],
        state: dict[str, Any],
        lr: float,
    ) -> None:
        decay = lr * group["weight_decay"]
        require({"lr * weight_decay": decay}, "lr * weight_decay", "below 1", decay < 1)
        log_decay = state.get("log_decay", 0.0) + math.log1p(-decay)
        exp_avg, exp_avg_sq, last_step, last_log_decay = tensors
        beta1, beta2 = group["betas"]
        ops.update_rows_adamw_(
            table,
            exp_avg,
            exp_avg_sq,
            last_step,
            last_log_decay,
            gradient,
            lr,
            beta1,
            beta2,
            group["eps"],
            log_decay,
            step=state["step"] + 1,
            seed=group["seed"],
        )
        state["log_decay"] = log_decay

    @torch.no_grad()
    def catch_up(self) -> None:
        """Gives every row the weight decay of the steps that it missed; call it before a model is saved or evaluated.

        Frozen rows remain as they are, and are spared the decay of the time until now if they are unfrozen later. So
        does the row of padding_idx where the optimiser is fused.
        """
        with frozen_rows.kept(self):
            for group in self.param_groups:
                for parameter in group["params"]:
                    if "last_log_decay" in self.state.get(parameter, {}):
                        self._catch_up(parameter, self.state[parameter], group["seed"])

    def _catch_up(self, parameter: Tensor, state: dict[str, Any], seed: int) -> None:
        table, last = as_rows(parameter.detach()), state["last_log_decay"]
        behind = (last != state["log_decay"]).nonzero()[:, 0]
        resting = None if self.rows_at_rest is None else self.rows_at_rest(parameter)
        moving = behind if resting is None else behind[~resting[behind]]
        for ids in moving.split(_ROWS_AT_ONCE):
            rows = rows_of(table, ids)
            shrink = (state["log_decay"] - last[ids]).exp().to(rows.dtype)[:, None]
            store_rows_(table, ids, shrink * rows, seed, state["step"])
        last[behind] = state["log_decay"]
        write_back(parameter, table)
