"""Bags of rows whose gradient goes to a receiver: for EmbeddingBag what delivery.py is for Embedding.

Sums and means hand over the gradient of the bags, [bags, D], and which bag each id is in; a gradient for each id never
exists. Shapes depend on shapes alone throughout, so that compilers can follow.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pyembed.nn.bags import counts_of, entries_of, mean_weights
from pyembed.nn.delivery import Receiver, frequencies, require_no_transform, send
from pyembed.reference import RowGradients, arithmetic_dtype

_MAX = 2
"""What torch.embedding_bag calls the mode."""


def look_up_bags(
    weight: Tensor,
    input: Tensor,
    offsets: Tensor | None,
    receiver: Receiver,
    *,
    mode: str,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
    scale_grad_by_freq: bool = False,
) -> Tensor:
    """The sum, mean or max of the rows of each bag, [bags, D], whose gradient goes to the receiver.

    weight: [V, D]; the other arguments are those of pyembed.nn.EmbeddingBag. The gradient of per_sample_weights is
    theirs; it takes memory for the rows of all ids, [n, D], and so does the one of mode "max".

    Raises:
        As pyembed.nn.delivery.lookup, and what torch.nn.functional.embedding_bag raises.
    """
    require_no_transform()
    entries = entries_of(input, offsets, include_last_offset)
    ids, bags = entries.ids, entries.bags.to(input.dtype)
    dtype, share = arithmetic_dtype(weight), None
    if mode == "mean" and per_sample_weights is not None:
        mode, per_sample_weights = "sum", mean_weights(entries, per_sample_weights, padding_idx)
    elif mode == "mean":
        share = counts_of(entries, padding_idx).clamp(min=1).to(dtype).reciprocal()[entries.bags]
    if scale_grad_by_freq:
        rarity = frequencies(ids).to(dtype).reciprocal()
        share = rarity if share is None else share * rarity
    if offsets is None:
        offsets = torch.arange(len(input), device=input.device, dtype=input.dtype) * input.shape[1]
        include_last_offset = False  # as torch: such bags have no last offset
    if per_sample_weights is not None:
        per_sample_weights = per_sample_weights.flatten()
    batch = (weight, ids, offsets, include_last_offset, padding_idx, bags, share, receiver.address)
    if mode == "max":
        output: Tensor = _Largest.apply(receiver.anchor, *batch)  # type: ignore[no-untyped-call]
    else:
        output = _Sum.apply(receiver.anchor, per_sample_weights, mode, *batch)  # type: ignore[no-untyped-call]
    return output


class _Sum(torch.autograd.Function):
    """Sums and means, weighted where there are weights. share: [n], what else a row's gradient is multiplied by."""

    @staticmethod
    def forward(
        ctx: Any,
        _anchor: Tensor,
        weights: Tensor | None,
        mode: str,
        weight: Tensor,
        ids: Tensor,
        offsets: Tensor,
        include_last_offset: bool,
        padding_idx: int | None,
        bags: Tensor,
        share: Tensor | None,
        address: int,
    ) -> Tensor:
        asked = weights is not None and weights.requires_grad
        ctx.save_for_backward(ids, bags, share, weights, weight if asked else None)
        ctx.address, ctx.padding_idx, ctx.dtype = address, padding_idx, arithmetic_dtype(weight)
        return F.embedding_bag(
            ids,
            weight,
            offsets,
            mode=mode,
            per_sample_weights=weights,
            include_last_offset=include_last_offset,
            padding_idx=padding_idx,
        )

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        ids, bags, share, weights, weight = ctx.saved_tensors
        of_weights = None
        if weight is not None:
            of_weights = torch.linalg.vecdot(weight[ids], grad[bags])
            if ctx.padding_idx is not None:
                of_weights = of_weights.masked_fill(ids == ctx.padding_idx, 0)
        factors = share
        if weights is not None:
            factors = weights.detach().to(ctx.dtype)
            factors = factors if share is None else factors * share
        anchor = send(ctx.address, RowGradients(ids, grad.contiguous(), bags, factors))
        return anchor, of_weights, *(None,) * 9


class _Largest(torch.autograd.Function):
    """The largest element of each column among a bag's rows; its gradient goes to the row that it is from."""

    @staticmethod
    def forward(
        ctx: Any,
        _anchor: Tensor,
        weight: Tensor,
        ids: Tensor,
        offsets: Tensor,
        include_last_offset: bool,
        padding_idx: int | None,
        bags: Tensor,
        share: Tensor | None,
        address: int,
    ) -> Tensor:
        output, _, _, winners = torch.embedding_bag(
            weight, ids, offsets, False, _MAX, False, None, include_last_offset, padding_idx
        )
        ctx.save_for_backward(ids, bags, share, winners)
        ctx.address = address
        return output

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        ids, bags, share, winners = ctx.saved_tensors
        wins = (winners[bags] == ids[:, None]) & _first_in_bag(ids, bags)[:, None]
        anchor = send(ctx.address, RowGradients(ids, torch.where(wins, grad[bags], 0), factors=share))
        return anchor, *(None,) * 8


def _first_in_bag(ids: Tensor, bags: Tensor) -> Tensor:
    """bool[n]: whether an id stands in its bag for the first time. ids, bags: [n]."""
    order = ids.argsort(stable=True)
    order = order[bags[order].argsort(stable=True)]
    again = (ids[order].diff() == 0) & (bags[order].diff() == 0)
    return torch.ones_like(ids, dtype=torch.bool).scatter(0, order[1:], ~again)
