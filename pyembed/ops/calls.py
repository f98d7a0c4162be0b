"""The ops as functions of records: a block of the token stream, and what its draws depend on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pyembed.config import Backend
from pyembed.ops.machine import kernel
from pyembed.reference import Draws, TokenBlock


def _arguments(block: TokenBlock, draws: Draws) -> tuple[Any, ...]:
    return (
        block.ids,
        block.sentence_starts,
        draws.alias_table,
        block.first_position,
        block.center_begin,
        block.center_end,
        draws.window,
        draws.negative,
        draws.sharing,
        draws.seed,
        draws.epoch,
    )


def require_no_grad(in_vectors: Tensor, out_vectors: Tensor) -> None:
    if torch.is_grad_enabled() and (in_vectors.requires_grad or out_vectors.requires_grad):
        raise RuntimeError("pyembed: a step changes its tables in place: call it under torch.no_grad()")


def draw_windows(block: TokenBlock, draws: Draws, *, backend: Backend = "auto") -> tuple[Tensor, Tensor]:
    """Radius int32[B] and outputs int32[B, 1 + K] (center first) of the block's centers; reference.py sections 2, 3.1.

    Where every pair has its own negatives, outputs int32[B, 2W, 1 + K]: row c is for context number c of the window,
    and is drawn whether or not the window has so many.
    """
    radius, outputs = kernel("draw_windows", backend, block.ids.device)(*_arguments(block, draws))
    return radius, outputs


def skipgram_step_(
    in_vectors: Tensor,
    out_vectors: Tensor,
    block: TokenBlock,
    draws: Draws,
    lr_begin: float,
    lr_end: float,
    *,
    threads: int = 1,
    backend: Backend = "auto",
) -> Tensor:
    """Trains [V, D] tables in place on a block; reference.py sections 5 and 7, and 8 for bfloat16.

    Returns float64[2]: the sum of losses and the number of positive pairs. With one thread windows are trained one
    after the other; with several, ranges of them at the same time without locks (Hogwild, Niu et al. 2011).

    Raises:
        RuntimeError: an argument is out of range; the message says which, what was expected and what was found.
    """
    require_no_grad(in_vectors, out_vectors)
    op = kernel("skipgram_step_", backend, in_vectors.device)
    total: Tensor = op(in_vectors, out_vectors, *_arguments(block, draws), lr_begin, lr_end, threads)
    return total


def cbow_step_(
    in_vectors: Tensor,
    out_vectors: Tensor,
    block: TokenBlock,
    draws: Draws,
    lr_begin: float,
    lr_end: float,
    *,
    mean: bool = True,
    exact_gradient: bool = False,
    threads: int = 1,
    backend: Backend = "auto",
) -> Tensor:
    """As skipgram_step_, for CBOW, where sharing 0 equals 1 (a window is one pair); reference.py sections 6 and 7."""
    require_no_grad(in_vectors, out_vectors)
    op = kernel("cbow_step_", backend, in_vectors.device)
    options = (mean, exact_gradient)
    total: Tensor = op(in_vectors, out_vectors, *_arguments(block, draws), *options, lr_begin, lr_end, threads)
    return total


def skipgram_loss(
    in_vectors: Tensor, out_vectors: Tensor, block: TokenBlock, draws: Draws, *, backend: Backend = "auto"
) -> Tensor:
    """Sum of the block's losses, a differentiable scalar of the tables' dtype; reference.py section 5."""
    loss: Tensor = kernel("skipgram_loss", backend, in_vectors.device)(
        in_vectors, out_vectors, *_arguments(block, draws)
    )
    return loss


def cbow_loss(
    in_vectors: Tensor,
    out_vectors: Tensor,
    block: TokenBlock,
    draws: Draws,
    *,
    mean: bool = True,
    backend: Backend = "auto",
) -> Tensor:
    """As skipgram_loss, for CBOW with the exact gradient; reference.py section 6."""
    op = kernel("cbow_loss", backend, in_vectors.device)
    loss: Tensor = op(in_vectors, out_vectors, *_arguments(block, draws), mean)
    return loss
