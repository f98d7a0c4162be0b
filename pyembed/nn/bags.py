"""Bags of rows, reduced step by step: slower than PyTorch's kernel, but each step has what that kernel lacks.

That is a second derivative, forward-mode differentiation, vmap, and a gradient for some of the entries only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from pyembed.nn.eager import is_eager
from pyembed.reference import arithmetic_dtype


class Reduction(NamedTuple):
    """How bags are reduced: options of torch.nn.EmbeddingBag."""

    mode: str
    padding_idx: int | None
    scale_grad_by_freq: bool
    sparse: bool


class Entries(NamedTuple):
    """The ids of all bags, one after the other."""

    ids: Tensor
    """[n]."""
    bags: Tensor
    """int64[n]: the bag of each, ascending."""
    total: int
    """How many bags there are; some may be empty."""


def entries_of(input: Tensor, offsets: Tensor | None, include_last_offset: bool) -> Entries:
    """The input of torch.nn.EmbeddingBag, taken apart.

    input: [bags, n], or [n] with offsets; the other arguments are those of torch.nn.functional.embedding_bag.

    Raises:
        ValueError: one of the two has the wrong number of dimensions.
        RuntimeError: an offset points outside the input.
    """
    if input.dim() == 2 and offsets is None:
        B, length = input.shape
        return Entries(input.flatten(), torch.arange(B, device=input.device).repeat_interleave(length), B)
    if input.dim() != 1 or offsets is None or offsets.dim() != 1:
        found = "none" if offsets is None else f"{offsets.dim()} dimensions"
        raise ValueError(
            "expected an input of 2 dimensions, or one of 1 dimension and offsets of 1 dimension, "
            f"found an input of {input.dim()} dimensions and offsets of {found}"
        )
    starts = offsets[: len(offsets) - include_last_offset]
    n = len(input)
    if is_eager(offsets) and len(starts) and (starts[0] != 0 or starts[-1] > n):
        raise RuntimeError(
            f"offsets: expected to begin with 0 and to stay within the {n} ids of input, "
            f"found {int(starts[0])} first and {int(starts[-1])} last"
        )
    places = torch.arange(n, device=input.device, dtype=starts.dtype)
    return Entries(input, torch.bucketize(places, starts, right=True) - 1, len(starts))


def counts_of(entries: Entries, padding_idx: int | None) -> Tensor:
    """int64[total]: how many entries each bag has, padding left out."""
    counted = torch.ones_like(entries.bags) if padding_idx is None else (entries.ids != padding_idx).long()
    return counted.new_zeros(entries.total).index_add(0, entries.bags, counted)


def mean_weights(entries: Entries, per_sample_weights: Tensor, padding_idx: int | None) -> Tensor:
    """What the entries of a weighted sum weigh if it is to be the weighted mean. Of per_sample_weights' shape."""
    counts = counts_of(entries, padding_idx).clamp(min=1)[entries.bags]
    return per_sample_weights / counts.view(per_sample_weights.shape).to(per_sample_weights.dtype)


def reduce_bags(
    weight: Tensor, entries: Entries, per_sample_weights: Tensor | None, how: Reduction, frozen: Tensor | None
) -> Tensor:
    """The sum, mean or max of the rows of each bag, [total, D], of weight's type; 0 for an empty bag.

    Args:
        weight: [V, D].
        entries: what to look up.
        per_sample_weights: with mode "sum", of any shape with n elements.
        how: the reduction; sparse and scale_grad_by_freq go with any mode.
        frozen: bool[V], rows that get no gradient.

    Raises:
        RuntimeError: per_sample_weights has another type than weight.
    """
    if per_sample_weights is not None and per_sample_weights.dtype != weight.dtype:
        raise RuntimeError(
            f"per_sample_weights: expected to have the same type as the table, {weight.dtype}, "
            f"found {per_sample_weights.dtype}"
        )
    ids, bags, total = entries
    rows = F.embedding(ids, weight, how.padding_idx, None, 2.0, how.scale_grad_by_freq, how.sparse)
    if frozen is not None:
        rows = torch.where(frozen[ids].unsqueeze(-1), rows.detach(), rows)
    rows = rows.to(arithmetic_dtype(weight))
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.reshape(-1, 1)
    if how.padding_idx is not None:
        rows = rows.masked_fill((ids == how.padding_idx).unsqueeze(-1), float("-inf") if how.mode == "max" else 0)
    start = rows.new_zeros(total, rows.shape[1])
    counts = counts_of(entries, how.padding_idx).unsqueeze(-1)
    if how.mode == "max":
        # Equal elements share the gradient, where PyTorch's kernel gives it to the first.
        largest = start.scatter_reduce(0, bags.unsqueeze(-1).expand(rows.shape), rows, "amax", include_self=False)
        reduced = largest.masked_fill(counts == 0, 0)
    else:
        reduced = start.index_add(0, bags, rows)
        if how.mode == "mean":
            reduced = reduced / counts.clamp(min=1)
    return reduced.to(weight.dtype)


def make_gradient_differentiable(output: Tensor, inputs: list[Tensor], again: Callable[[], Tensor]) -> None:
    """Where the gradient of an output is itself to be differentiated, PyTorch's kernel is replaced by one that can be.

    Args:
        output: straight from the kernel.
        inputs: the table and, where there are some, the weights.
        again: makes the output anew, step by step.
    """

    def replace(gradients: tuple[Tensor | None, ...], arrived: tuple[Tensor | None, ...]) -> tuple[Any, ...] | None:
        if not torch.is_grad_enabled():  # nobody asked for create_graph
            return None
        wanted = [i for i, gradient in enumerate(gradients) if gradient is not None]
        found = torch.autograd.grad(again(), [inputs[i] for i in wanted], arrived[0], create_graph=True)
        replaced = list(gradients)
        for i, gradient in zip(wanted, found, strict=True):
            table = i == 0
            replaced[i] = gradient if table else gradient.flatten()  # as the kernel was given the weights
        return tuple(replaced)

    assert output.grad_fn is not None, "the output depends on nothing"
    output.grad_fn.register_hook(replace)
