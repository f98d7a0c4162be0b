"""What NegativeSampling asks of the tables of its pairs: what they can do, and what must not change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn.functional import softplus

from pyembed.nn.embedding import Embedding

_EXACT = (torch.float32, torch.float64)
"""The types that the ops on pairs take."""


def embedding_of(name: str, table: Embedding | Tensor) -> Embedding:
    """The module itself, or one that shares the memory of the table, [V, D]. name: of the argument.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(table, Embedding):
        return table
    if not isinstance(table, Tensor):
        raise TypeError(
            f"{name}: expected a pyembed.nn.Embedding or a tensor, got {type(table).__module__}."
            f"{type(table).__qualname__}; of a module pass its weight"
        )
    rows, dimensions = table.shape
    return Embedding(rows, dimensions, _weight=table.detach())


def is_plain(table: Embedding) -> bool:
    """Whether looking rows up, and their dense gradient, is all that it does; then one op does that for both tables."""
    asks_for_more = table.sparse or table.scale_grad_by_freq or table.max_norm is not None or table.receiver is not None
    return (
        type(table) is Embedding and not asks_for_more and table.rows_at_rest() is None and table.weight.dtype in _EXACT
    )


def looked_up_loss(rows: Tensor, output_rows: Tensor, outputs: Tensor) -> Tensor:
    """What ops.pair_loss computes, of rows that modules gave. rows: [B, D]; output_rows: [B, N, D]; outputs: [B, N]."""
    scores = (output_rows @ rows[:, :, None])[:, :, 0]
    drawn_context = outputs[:, 1:] == outputs[:, :1]
    return softplus(-scores[:, 0]).sum() + softplus(scores[:, 1:]).masked_fill(drawn_context, 0).sum()


def require_steppable(name: str, table: Embedding) -> None:
    """Raises ValueError where a step in place would not be what the table is meant to do."""
    if table.weight.dtype not in _EXACT:
        found = f"{table.weight.dtype}"
    elif table.max_norm is not None:
        found = f"max_norm={table.max_norm}"
    elif "weight" not in dict(table.named_parameters(recurse=False)):
        found = "a weight that is computed from others"
    else:
        return
    raise ValueError(
        f"{name}: step expects a parameter of float32 or float64 without max_norm, found {found}; "
        "use loss and an optimiser"
    )


def rows_at_rest(table: Embedding) -> Tensor | None:
    """bool[V]: the rows that a step leaves as they are; None where there are none."""
    if table.weight.requires_grad or table.receiver is not None:
        return table.rows_at_rest()
    return torch.ones(table.num_embeddings, dtype=torch.bool, device=table.weight.device)


@contextmanager
def kept_at_rest(table: Embedding, ids: Tensor) -> Iterator[None]:
    """The table's rows at rest, of those that ids name, are what they were when this ends."""
    resting = rows_at_rest(table)
    if resting is None:
        yield
        return
    kept = ids[resting[ids.long()]].long()
    before = table.weight[kept]
    yield
    table.weight[kept] = before
