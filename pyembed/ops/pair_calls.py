"""The ops on explicit pairs, for graphs, recommenders and autograd: reference.py section 9.

A pair of one row of in_vectors and one of out_vectors comes with K negatives, more rows of out_vectors:

    in_ids   int32[B] or int64[B], rows of in_vectors (users, nodes; the centers of word2vec's paper)
    out_ids  the same type, [B, N], N = 1 + K from 1 to 1001, rows of out_vectors: the one that belongs to in_ids[b]
             (an item, a neighbour, a context), then its negatives

A negative equal to the first takes no part. The loss is that of negative sampling: -log sigmoid(score) for the first,
-log sigmoid(-score) for each negative, summed over all pairs. Tables are float32 or float64 [V, D], in_vectors and
out_vectors of as many rows as they like; rows may lie apart.
"""

from __future__ import annotations

from torch import Tensor

from pyembed.config import Backend
from pyembed.ops.calls import require_no_grad, threads_at_once
from pyembed.ops.machine import kernel


def draw_negatives(
    alias_table: Tensor,
    first_position: int,
    count: int,
    negative: int,
    seed: int,
    epoch: int,
    *,
    backend: Backend = "auto",
) -> Tensor:
    """K draws from the noise distribution for each of `count` positions from first_position on; reference.py section 2.

    A pair's position is its number in the epoch: then no batch size and no number of threads changes a draw.

    Args:
        alias_table: int32[V, 2], as corpus.tables.alias_table makes it.
        negative: K, 1 to 1000.

    Returns:
        int32[count, K], 0 to V - 1.

    Raises:
        RuntimeError: an argument is out of range; the message says which, what was expected and what was found.
    """
    op = kernel("draw_negatives", backend, alias_table.device)
    ids: Tensor = op(alias_table, first_position, count, negative, seed, epoch)
    return ids


def pair_step_(
    in_vectors: Tensor,
    out_vectors: Tensor,
    in_ids: Tensor,
    out_ids: Tensor,
    lr: float,
    *,
    exact: bool = True,
    threads: int = 1,
    backend: Backend = "auto",
) -> Tensor:
    """A step of gradient descent on explicit pairs, in place. Returns float64[2]: sum of losses, number of pairs.

    Exact: the step of SGD on the sum of the losses, however often a row stands in the batch, and the same bits for any
    number of threads. in_vectors and out_vectors may be one table. Takes memory beside the tables: a row for each
    distinct in_id (two, if there is one table), 12 bytes an output (16 for float64) and 24 a pair, kept by the calling
    thread for its next call. On a GPU a row for each pair (two, if there is one table), and for each four to sixteen
    outputs; some 40 bytes an output for sorting them.

    Not exact: pairs train one after the other, each on what those before it left; with several threads, ranges of them
    at the same time without locks (Hogwild, Niu et al. 2011). On a GPU threads are its warps, which add their changes
    atomically. 0 stands for as many as there is room for: the cores of the CPU, the warps that a GPU holds.

    Raises:
        RuntimeError: an argument is out of range; the message says which, what was expected and what was found. Nothing
            has changed then.
    """
    require_no_grad(in_vectors, out_vectors)
    op = kernel("pair_step_", backend, in_vectors.device)
    at_once = threads_at_once(threads, in_vectors.device)
    total: Tensor = op(in_vectors, out_vectors, in_ids, out_ids, lr, exact, at_once)
    return total


def pair_loss(
    in_vectors: Tensor, out_vectors: Tensor, in_ids: Tensor, out_ids: Tensor, *, backend: Backend = "auto"
) -> Tensor:
    """Sum of the pairs' losses, a differentiable scalar of the tables' dtype; gradients are dense.

    Runs on as many threads as PyTorch does, whose number changes no bit.

    Raises:
        RuntimeError: as pair_step_.
    """
    loss: Tensor = kernel("pair_loss", backend, in_vectors.device)(in_vectors, out_vectors, in_ids, out_ids)
    return loss
