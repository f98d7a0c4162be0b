"""The pure-PyTorch kernels of the ops on rows of an embedding: the spec behind the checks that CUDA's make too."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pyembed import reference
from pyembed.ops.checks import require, require_ids

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


def _check_gradient(weight: Tensor, ids: Tensor, grad: Tensor) -> None:
    _check_weight(weight)
    shape = [*ids.shape, weight.shape[1]]
    require(
        grad.dtype == weight.dtype and list(grad.shape) == shape and grad.device == weight.device,
        f"grad: expected {shape} of the dtype and device of weight, got {list(grad.shape)}",
    )
    _check_ids(ids, weight)


def _check_state(name: str, state: Tensor, weight: Tensor, *, rowwise: bool = False) -> None:
    shape = weight.shape[: 1 if rowwise else 2]
    dtype = reference.arithmetic_dtype(weight)
    require(
        state.dtype == dtype and state.shape == shape and state.device == weight.device,
        f"{name}: expected {dtype} {list(shape)} on the device of weight, got {state.dtype} {list(state.shape)}",
    )


def _check_step(step: int, seed: int) -> None:
    require(1 <= step < 2**31, f"step: expected 1 to 2^31 - 1, got {step}")
    require(seed >= 0, f"seed: expected 0 to 2^63 - 1, got {seed}")


def lookup(weight: Tensor, ids: Tensor) -> Tensor:
    _check_weight(weight)
    _check_ids(ids, weight)
    return weight.index_select(0, ids.flatten()).view(*ids.shape, weight.shape[1])


def update_rows_sgd_(
    weight: Tensor, ids: Tensor, grad: Tensor, lr: float, weight_decay: float, step: int, seed: int
) -> None:
    _check_gradient(weight, ids, grad)
    _check_step(step, seed)
    reference.sgd_rows_(weight, ids, grad, lr, weight_decay, step, seed)


def update_rows_adagrad_(*arguments: Any) -> None:
    _update_adagrad(*arguments, rowwise=False)


def update_rows_rowwise_adagrad_(*arguments: Any) -> None:
    _update_adagrad(*arguments, rowwise=True)


def _update_adagrad(
    weight: Tensor, sum_of_squares: Tensor, ids: Tensor, grad: Tensor, *rest: Any, rowwise: bool
) -> None:
    _check_gradient(weight, ids, grad)
    _check_state("sum_of_squares", sum_of_squares, weight, rowwise=rowwise)
    *_, step, seed = rest
    _check_step(step, seed)
    reference.adagrad_rows_(weight, sum_of_squares, ids, grad, *rest)


def update_rows_adamw_(
    weight: Tensor,
    exp_avg: Tensor,
    exp_avg_sq: Tensor,
    last_step: Tensor,
    ids: Tensor,
    grad: Tensor,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    step: int,
    seed: int,
) -> None:
    _check_gradient(weight, ids, grad)
    _check_state("exp_avg", exp_avg, weight)
    _check_state("exp_avg_sq", exp_avg_sq, weight)
    require(
        last_step.dtype == torch.int32 and last_step.shape == weight.shape[:1] and last_step.device == weight.device,
        "last_step: expected int32[V] on the device of weight",
    )
    _check_step(step, seed)
    for name, beta in (("beta1", beta1), ("beta2", beta2)):
        require(0 <= beta < 1, f"{name}: expected at least 0 and below 1, got {beta}")
    require(lr * weight_decay <= 1, f"lr * weight_decay: expected at most 1, got {lr * weight_decay}")
    moments = (exp_avg, exp_avg_sq, last_step)
    reference.adamw_rows_(weight, *moments, ids, grad, lr, beta1, beta2, eps, weight_decay, step, seed)
