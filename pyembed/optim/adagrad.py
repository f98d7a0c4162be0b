"""Adagrad on rows: with a sum of squares for each element, or for each row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.optim.optimizer import ParamsT

from pyembed import ops
from pyembed.optim.row_optimizer import ELEMENTWISE, ROWWISE, RowOptimizer, StateTensor, require
from pyembed.reference import RowGradients


class Adagrad(RowOptimizer):
    """torch.optim.Adagrad on rows (Duchi et al. 2011); reference.py section 10. Weight decay is that of touched rows.

    Args:
        params: tensors, or groups of them as torch.optim takes them.
        lr, weight_decay, clip_norm, warmup, seed: see RowOptimizer.
        initial_accumulator_value: at least 0, what the sums of squares begin with.
        eps: at least 0.

    Raises:
        ValueError: an option is out of range.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-2,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        clip_norm: float = float("inf"),
        warmup: int = 0,
        seed: int = 0,
    ) -> None:
        own = {"initial_accumulator_value": initial_accumulator_value, "eps": eps}
        super().__init__(params, lr, weight_decay, clip_norm, warmup, seed, **own)

    _sum = ELEMENTWISE

    def _check(self, group: dict[str, Any]) -> None:
        super()._check(group)
        for name in ("initial_accumulator_value", "eps"):
            require(group, name, "at least 0", group[name] >= 0)

    def _kept(self, group: dict[str, Any]) -> Mapping[str, StateTensor]:  # noqa: ARG002
        return {"sum": self._sum}

    def _first_value(self, name: str, state: dict[str, Any], group: dict[str, Any]) -> float:  # noqa: ARG002
        return float(group["initial_accumulator_value"])

    def _update_rows(
        self,
        table: Tensor,
        tensors: list[Tensor],
        gradient: RowGradients,
        group: dict[str, Any],
        state: dict[str, Any],
        lr: float,
    ) -> None:
        (sums,) = tensors
        rule = ops.update_rows_adagrad_ if self._sum.elementwise else ops.update_rows_rowwise_adagrad_
        eps, decay, step = group["eps"], group["weight_decay"], state["step"] + 1
        rule(table, sums, gradient, lr, eps, decay, step=step, seed=group["seed"])


class RowwiseAdagrad(Adagrad):
    """Adagrad with one sum a row, of the means of its squared gradients (Mudigere et al. 2022): D times less to keep.

    The options are Adagrad's.
    """

    _sum = ROWWISE
