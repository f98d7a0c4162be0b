"""The softmax over what stands in a batch, for two towers of any kind: everyone else's item is a negative."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy


def in_batch_loss(
    queries: Tensor, items: Tensor, ids: Tensor, log_q: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """-log of the probability that query b belongs to item ids[b], of all items that stand in the batch.

    An item that stands n times in the batch and has the share q of all pairs gets the score of the query with it, plus
    log(n / q) (Bengio & Senecal 2008, Yi et al. 2019). That makes the probability Bayes' own: where the pairs of a
    batch are drawn independently, the loss is smallest at scores of log P(item | query) + any function of the query,
    for every size of batch. Without log_q the scores learn log P(item | query) - log q, at which frequent items rank
    low. An item is never its own negative, however often it stands in the batch.

    Args:
        queries: [B, D], of any floating type.
        items: [B, D], the vectors of the items that belong to them; equal ids are taken to have equal vectors.
        ids: int32[B] or int64[B], which items these are.
        log_q: [V], the log of each item's share of all pairs; None: as if all shares were equal.
        reduction: "mean", "sum" or "none".

    Returns:
        A scalar, or [B]; of the type of the queries. Takes memory for a score of each query with each distinct item.
    """
    distinct, target, times = ids.unique(return_inverse=True, return_counts=True)
    first = torch.full_like(target, len(ids))[: len(distinct)]
    first.scatter_reduce_(0, target, torch.arange(len(ids), device=ids.device), "amin")
    correction = times.to(queries.dtype).log()
    if log_q is not None:
        correction = correction - log_q[distinct].to(queries.dtype)
    return cross_entropy(queries @ items[first].T + correction, target, reduction=reduction)
