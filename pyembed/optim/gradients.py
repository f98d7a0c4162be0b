"""The gradients of several lookups, or of several processes, as those of one lookup."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import ProcessGroup

from pyembed.reference import RowGradients, arithmetic_dtype


def joined(gradients: list[RowGradients]) -> RowGradients:
    """As if all had been looked up at once. gradients: of one table, at least one."""
    if len(gradients) == 1:
        return gradients[0]
    in_bags = any(gradient.bags is not None for gradient in gradients)
    weighted = any(gradient.factors is not None for gradient in gradients)
    ids, rows, bags, factors, before = [], [], [], [], 0
    for gradient in gradients:
        ids.append(gradient.ids.flatten())
        rows.append(gradient.grad.view(-1, gradient.grad.shape[-1]))
        if in_bags:
            own = torch.arange(len(rows[-1]), device=ids[-1].device) if gradient.bags is None else gradient.bags
            bags.append(own + before)
            before += len(rows[-1])
        if weighted:
            factors.append(_factors(gradient).flatten())
    every_id = torch.cat(ids)
    return RowGradients(
        every_id,
        torch.cat(rows),
        torch.cat(bags).to(every_id.dtype) if in_bags else None,
        torch.cat(factors) if weighted else None,
    )


def _factors(gradient: RowGradients) -> Tensor:
    if gradient.factors is not None:
        return gradient.factors
    return gradient.grad.new_ones(gradient.ids.shape, dtype=arithmetic_dtype(gradient.grad))


def gathered(gradient: RowGradients, group: ProcessGroup | str | None) -> RowGradients:
    """The mean over the processes of a group, the same to the bit in each of them.

    group: "default" for all processes; None for this one alone, as it is where torch.distributed is not initialised.
    """
    if group is None or not dist.is_available() or not dist.is_initialized():
        return gradient
    members = None if isinstance(group, str) else group
    world = dist.get_world_size(members)
    rows = gradient.grad.view(-1, gradient.grad.shape[-1])
    in_bags, weighted = gradient.bags is not None, gradient.factors is not None
    own = torch.tensor([gradient.ids.numel(), len(rows), in_bags, weighted], device=rows.device)
    sizes = torch.stack(_from_all(own, [len(own)] * world, members)).tolist()
    counts, heights, bagged, with_factors = (list(column) for column in zip(*sizes, strict=True))
    all_ids = _from_all(gradient.ids.flatten().long(), counts, members)
    all_rows = _from_all(rows, heights, members)
    none: list[Tensor | None] = [None] * world
    all_bags, all_factors = none, none
    if any(bagged):
        bags = torch.arange(len(rows), device=rows.device) if gradient.bags is None else gradient.bags.long()
        all_bags = list(_from_all(bags, counts, members))
    if any(with_factors):
        all_factors = list(_from_all(_factors(gradient).flatten(), counts, members))
    parts = [RowGradients(*fields) for fields in zip(all_ids, all_rows, all_bags, all_factors, strict=True)]
    return joined(parts)._replace(scale=1 / world)


def _from_all(own: Tensor, lengths: list[int], group: ProcessGroup | None) -> list[Tensor]:
    """The tensors of all processes, of these lengths and else of one shape; they travel at the longest one's length."""
    sent = own.new_zeros(max(lengths), *own.shape[1:])
    sent[: len(own)] = own
    received = [torch.empty_like(sent) for _ in lengths]
    dist.all_gather(received, sent, group=group)
    return [tensor[:length] for tensor, length in zip(received, lengths, strict=True)]


def all_finite(gradient: RowGradients) -> bool:
    """Whether no element is infinite or NaN, those for frozen rows apart. Waits for the device."""
    rows, factors = gradient.grad.view(-1, gradient.grad.shape[-1]), gradient.factors
    if _are_finite(rows, factors) or gradient.frozen is None:
        return _are_finite(rows, factors)
    moving = (~gradient.frozen[gradient.ids.flatten().long()]).nonzero()[:, 0]
    own = moving if gradient.bags is None else gradient.bags[moving].long()
    return _are_finite(rows[own], None if factors is None else factors.flatten()[moving])


def _are_finite(*tensors: Tensor | None) -> bool:
    return all(bool(tensor.isfinite().all()) for tensor in tensors if tensor is not None)
