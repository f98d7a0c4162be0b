"""The pure-PyTorch kernels of the ops on explicit pairs: the spec behind the checks that the extension makes too."""

from __future__ import annotations

import torch
from torch import Tensor

from pyembed import reference
from pyembed.ops.checks import require, require_ids

PAIRS_PER_BATCH = 256
"""Pairs evaluated at the same parameters where the step need not be exact."""


def _check(in_vectors: Tensor, out_vectors: Tensor, in_ids: Tensor, out_ids: Tensor) -> None:
    require(in_vectors.dtype in (torch.float32, torch.float64), "in_vectors: expected float32 or float64")
    require(
        out_vectors.dtype == in_vectors.dtype and out_vectors.device == in_vectors.device,
        "out_vectors: expected the dtype and device of in_vectors",
    )
    require(in_vectors.dim() == 2 and out_vectors.dim() == 2, "in_vectors, out_vectors: expected shape [V, D]")
    columns = in_vectors.shape[1], out_vectors.shape[1]
    require(
        columns[0] == columns[1] >= 1,
        "in_vectors, out_vectors: expected the same number of columns, at least one, "
        f"got {columns[0]} and {columns[1]}",
    )
    require(
        in_ids.dim() == 1 and in_ids.dtype in (torch.int32, torch.int64),
        "in_ids: expected int32[B] or int64[B]",
    )
    require(
        out_ids.dim() == 2 and out_ids.dtype == in_ids.dtype,
        "out_ids: expected shape [B, N], the dtype and device of in_ids",
    )
    require(
        out_ids.shape[0] == in_ids.shape[0] and out_ids.shape[1] >= 1,
        f"out_ids: expected shape [B, N] with B = {in_ids.shape[0]} and N >= 1, got {list(out_ids.shape)}",
    )
    require(out_ids.shape[1] <= 1001, f"out_ids: expected N <= 1001, got {out_ids.shape[1]}")
    require_ids("in_ids", in_ids, in_vectors.shape[0])
    require_ids("out_ids", out_ids, out_vectors.shape[0])


def _share_memory(a: Tensor, b: Tensor) -> bool:
    """Whether an element of one table is an element of the other."""
    if a.untyped_storage().data_ptr() != b.untyped_storage().data_ptr():
        return False
    offsets = torch.arange(a.untyped_storage().nbytes() // a.element_size(), device=a.device)
    return bool(torch.isin(*(offsets.as_strided(t.shape, t.stride(), t.storage_offset()) for t in (a, b))).any())


def pair_step_(
    in_vectors: Tensor, out_vectors: Tensor, in_ids: Tensor, out_ids: Tensor, lr: float, exact: bool, _threads: int
) -> Tensor:
    _check(in_vectors, out_vectors, in_ids, out_ids)
    require(
        exact or not _share_memory(in_vectors, out_vectors),
        "in_vectors, out_vectors: expected two tables, got one; pass exact=True",
    )
    rows = min(in_vectors.shape[0], out_vectors.shape[0])
    batch = len(in_ids) if exact else min(PAIRS_PER_BATCH, rows // 4)
    return reference.pair_step_(in_vectors, out_vectors, in_ids, out_ids, lr, batch=max(1, batch))


def pair_loss(in_vectors: Tensor, out_vectors: Tensor, in_ids: Tensor, out_ids: Tensor) -> Tensor:
    _check(in_vectors, out_vectors, in_ids, out_ids)
    return reference.pair_gradient(in_vectors, out_vectors, in_ids, out_ids).loss.to(in_vectors.dtype)


def pair_loss_backward(
    grad: Tensor, in_vectors: Tensor, out_vectors: Tensor, in_ids: Tensor, out_ids: Tensor
) -> tuple[Tensor, Tensor]:
    _check(in_vectors, out_vectors, in_ids, out_ids)
    gradient = reference.pair_gradient(in_vectors, out_vectors, in_ids, out_ids)
    in_gradient = torch.zeros_like(in_vectors).index_add_(0, gradient.in_ids, gradient.in_rows)
    out_gradient = torch.zeros_like(out_vectors).index_add_(0, gradient.out_ids, gradient.out_rows)
    return grad * in_gradient, grad * out_gradient
