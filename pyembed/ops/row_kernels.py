"""The pure-PyTorch kernels of the ops on rows of an embedding: the spec behind the checks that others make too."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pyembed import reference
from pyembed.ops.checks import require, require_ids
from pyembed.reference import RowGradients

_TYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


def _check_weight(weight: Tensor) -> None:
    require(weight.dtype in _TYPES, f"weight: expected float64, float32, float16 or bfloat16, got {weight.dtype}")
    require(
        weight.dim() == 2 and weight.shape[1] >= 1,
        f"weight: expected shape [V, D] with D >= 1, got {list(weight.shape)}",
    )


def _check_ids(ids: Tensor, weight: Tensor) -> None:
    require(
        ids.dtype in (torch.int32, torch.int64) and ids.device == weight.device,
        "ids: expected int32[...] or int64[...] on the device of weight",
    )
    require_ids("ids", ids, weight.shape[0])


def _given(weight: Tensor, *fields: Any) -> RowGradients:
    """The flat arguments as a record, checked as compiled kernels check them. fields: RowGradients', in order."""
    given = RowGradients(*fields)
    ids, grad, device = given.ids, given.grad, weight.device
    _check_weight(weight)
    D = weight.shape[1]
    require(
        grad.dtype == weight.dtype and grad.device == device,
        f"grad: expected the dtype and device of weight, got {grad.dtype} on {grad.device}",
    )
    if given.bags is None:
        require(
            list(grad.shape) == [*ids.shape, D],
            f"grad: expected {[*ids.shape, D]}, as ids says, got {list(grad.shape)}",
        )
    else:
        require(grad.dim() == 2 and grad.shape[1] == D, f"grad: expected shape [bags, {D}], got {list(grad.shape)}")
        require(
            ids.dim() == 1 and given.bags.shape == ids.shape and given.bags.dtype == ids.dtype,
            "bags: expected shape and dtype of ids, which is int[n] then",
        )
        require_ids("bags", given.bags, grad.shape[0])
    _check_ids(ids, weight)
    if given.factors is not None:
        dtype = reference.arithmetic_dtype(weight)
        require(
            given.factors.dtype == dtype and given.factors.shape == ids.shape and given.factors.device == device,
            f"factors: expected {dtype} of ids' shape on the device of weight",
        )
    if given.frozen is not None:
        require(
            given.frozen.dtype == torch.bool
            and given.frozen.shape == weight.shape[:1]
            and given.frozen.device == device,
            f"frozen: expected bool[{weight.shape[0]}] on the device of weight",
        )
    require(given.clip_norm > 0, f"clip_norm: expected above 0, got {given.clip_norm}")
    return given


def _check_state(name: str, state: Tensor, weight: Tensor, *, rowwise: bool = False) -> None:
    shape = weight.shape[: 1 if rowwise else 2]
    dtype = reference.arithmetic_dtype(weight)
    require(
        state.dtype == dtype and state.shape == shape and state.device == weight.device,
        f"{name}: expected {dtype} {list(shape)} on the device of weight, got {state.dtype} {list(state.shape)}",
    )


def _check_last(name: str, last: Tensor, weight: Tensor, dtype: torch.dtype, type_name: str) -> None:
    require(
        last.dtype == dtype and last.shape == weight.shape[:1] and last.device == weight.device,
        f"{name}: expected {type_name}[V] on the device of weight",
    )


def _check_last_step(last_step: Tensor, weight: Tensor) -> None:
    _check_last("last_step", last_step, weight, torch.int32, "int32")


def _check_step(step: int, seed: int) -> None:
    require(1 <= step < 2**31, f"step: expected 1 to 2^31 - 1, got {step}")
    require(seed >= 0, f"seed: expected 0 to 2^63 - 1, got {seed}")


def _check_share(name: str, share: float) -> None:
    require(0 <= share < 1, f"{name}: expected at least 0 and below 1, got {share}")


def lookup(weight: Tensor, ids: Tensor) -> Tensor:
    _check_weight(weight)
    _check_ids(ids, weight)
    return weight.index_select(0, ids.flatten()).view(*ids.shape, weight.shape[1])


_FIELDS = len(RowGradients._fields)


def update_rows_sgd_(weight: Tensor, *rest: Any) -> None:
    given, (lr, weight_decay, step, seed) = _given(weight, *rest[:_FIELDS]), rest[_FIELDS:]
    _check_step(step, seed)
    reference.sgd_rows_(weight, given, lr, weight_decay, step, seed)


def update_rows_momentum_(weight: Tensor, momentum_buffer: Tensor, last_step: Tensor, *rest: Any) -> None:
    given, (lr, momentum, nesterov, weight_decay, step, seed) = _given(weight, *rest[:_FIELDS]), rest[_FIELDS:]
    _check_state("momentum_buffer", momentum_buffer, weight)
    _check_last_step(last_step, weight)
    _check_step(step, seed)
    _check_share("momentum", momentum)
    options = (lr, momentum, nesterov, weight_decay, step, seed)
    reference.momentum_rows_(weight, momentum_buffer, last_step, given, *options)


def update_rows_adagrad_(*arguments: Any) -> None:
    _update_adagrad(*arguments, rowwise=False)


def update_rows_rowwise_adagrad_(*arguments: Any) -> None:
    _update_adagrad(*arguments, rowwise=True)


def _update_adagrad(weight: Tensor, sum_of_squares: Tensor, *rest: Any, rowwise: bool) -> None:
    given, options = _given(weight, *rest[:_FIELDS]), rest[_FIELDS:]
    _check_state("sum_of_squares", sum_of_squares, weight, rowwise=rowwise)
    *_, step, seed = options
    _check_step(step, seed)
    reference.adagrad_rows_(weight, sum_of_squares, given, *options)


def update_rows_adamw_(
    weight: Tensor, exp_avg: Tensor, exp_avg_sq: Tensor, last_step: Tensor, last_log_decay: Tensor, *rest: Any
) -> None:
    given, options = _given(weight, *rest[:_FIELDS]), rest[_FIELDS:]
    _check_state("exp_avg", exp_avg, weight)
    _check_state("exp_avg_sq", exp_avg_sq, weight)
    _check_last_step(last_step, weight)
    _check_last("last_log_decay", last_log_decay, weight, torch.float64, "float64")
    _lr, beta1, beta2, _eps, log_decay, step, seed = options
    _check_step(step, seed)
    _check_share("beta1", beta1)
    _check_share("beta2", beta2)
    require(log_decay <= 0, f"log_decay: expected at most 0, got {log_decay}")
    reference.adamw_rows_(weight, exp_avg, exp_avg_sq, last_step, last_log_decay, given, *options)
