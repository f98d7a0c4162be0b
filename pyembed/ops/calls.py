"""The ops as functions of records: a block of the token stream, and what its draws depend on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pyembed.config import Backend, WriteBack, usable_cores
from pyembed.ops.machine import kernel
from pyembed.reference import Draws, TokenBlock


def stream_arguments(block: TokenBlock, draws: Draws) -> tuple[Any, ...]:
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
        draws.shrink_windows,
    )


def _window_arguments(block: TokenBlock, draws: Draws) -> tuple[Any, ...]:
    if draws.together or draws.negative_weight != 1:
        raise ValueError(
            "draws: expected windows that train one after the other, with negatives of weight 1, found "
            f"together={draws.together}, negative_weight={draws.negative_weight}; see ops.skipgram_batch_step_"
        )
    return stream_arguments(block, draws)


def float32_kernel(name: str, backend: Backend, table: Tensor) -> Callable[..., Any]:
    """The op of a name whose compiled kernel takes float32 and bfloat16: tables of float64 are left to PyTorch's."""
    return kernel(name, "torch" if table.dtype == torch.float64 else backend, table.device)


def require_no_grad(*tables: Tensor) -> None:
    if torch.is_grad_enabled() and any(table.requires_grad for table in tables):
        raise RuntimeError("pyembed: a step changes its tables in place: call it under torch.no_grad()")


def threads_at_once(threads: int, device: torch.device) -> int:
    return threads or usable_cores() if device.type == "cpu" else threads


def draw_windows(block: TokenBlock, draws: Draws, *, backend: Backend = "auto") -> tuple[Tensor, Tensor]:
    """Radius int32[B] and outputs int32[B, 1 + K] (center first) of the block's centers; reference.py sections 2, 3.1.

    Where every pair has its own negatives, outputs int32[B, 2W, 1 + K]: row c is for context number c of the window,
    and is drawn whether or not the window has so many.
    """
    radius, outputs = kernel("draw_windows", backend, block.ids.device)(*stream_arguments(block, draws))
    return radius, outputs


def keep_tokens(
    ids: Tensor,
    sentence_starts: Tensor,
    keep_threshold: Tensor,
    first_position: int,
    seed: int,
    epoch: int,
    *,
    backend: Backend = "auto",
) -> tuple[Tensor, Tensor]:
    """The tokens that subsampling keeps of corpus positions first_position onwards; reference.py section 2.

    Args:
        ids: int32[n], 0 to V - 1.
        sentence_starts: int64[m], ascending: the positions, among these, at which a sentence starts.
        keep_threshold: int32[V], the bits of the uint32 that corpus.tables.keep_thresholds makes.

    Returns:
        The kept ids, int32, and int64[m], for each sentence start how many ids are kept before it.

    Raises:
        RuntimeError: an argument is out of range; the message says which, what was expected and what was found.
    """
    op = kernel("keep_tokens", backend, ids.device)
    kept, kept_before = op(ids, sentence_starts, keep_threshold, first_position, seed, epoch)
    return kept, kept_before


def skipgram_step_(
    in_vectors: Tensor,
    out_vectors: Tensor,
    block: TokenBlock,
    draws: Draws,
    lr_begin: float,
    lr_end: float,
    *,
    threads: int = 1,
    write_back: WriteBack = "add",
    frequent: int = 0,
    backend: Backend = "auto",
) -> Tensor:
    """Trains [V, D] tables in place on a block; reference.py sections 5 and 7, and 8 for bfloat16.

    Returns float64[2]: the sum of losses and the number of positive pairs. With one thread windows are trained one
    after the other; with several, ranges of them at the same time without locks (Hogwild, Niu et al. 2011), on the
    CPU with copies of the rows of the first 64 ids, whose changes each thread adds to the tables now and then. On a GPU
    threads are its warps. 0 stands for as many as there is room for: the cores of the CPU, the warps that a GPU holds.

    write_back: what a warp of a GPU does with a row that it has changed. `add` adds the change atomically: none is
        lost, at the price of slower memory traffic, and a row gathers what each of many warps wanted on its own, so
        that a high rate may overshoot where few words are all there is. `store` stores the row: of the warps that hold
        it at the same time only the last one's change stands, so that frequent words learn less from each occurrence.
        The CPU has few threads, and always stores.
    frequent: ids below this one are of words so frequent that many warps of a GPU hold their rows of in_vectors at the
        same time; these go back after every window, where other rows stay with a warp for as long as it has the word
        in its windows. See corpus.tables.frequent_words.

    Raises:
        RuntimeError: an argument is out of range; the message says which, what was expected and what was found.
    """
    require_no_grad(in_vectors, out_vectors)
    op = kernel("skipgram_step_", backend, in_vectors.device)
    rate = (lr_begin, lr_end, threads_at_once(threads, in_vectors.device), write_back, frequent)
    total: Tensor = op(in_vectors, out_vectors, *_window_arguments(block, draws), *rate)
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
    write_back: WriteBack = "add",
    frequent: int = 0,
    backend: Backend = "auto",
) -> Tensor:
    """As skipgram_step_, for CBOW, where sharing 0 equals 1 (a window is one pair); reference.py sections 6 and 7."""
    require_no_grad(in_vectors, out_vectors)
    op = kernel("cbow_step_", backend, in_vectors.device)
    rate = (lr_begin, lr_end, threads_at_once(threads, in_vectors.device), write_back, frequent)
    total: Tensor = op(in_vectors, out_vectors, *_window_arguments(block, draws), mean, exact_gradient, *rate)
    return total


def skipgram_loss(
    in_vectors: Tensor, out_vectors: Tensor, block: TokenBlock, draws: Draws, *, backend: Backend = "auto"
) -> Tensor:
    """Sum of the block's losses, a differentiable scalar of the tables' dtype; reference.py section 5."""
    loss: Tensor = kernel("skipgram_loss", backend, in_vectors.device)(
        in_vectors, out_vectors, *_window_arguments(block, draws)
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
    loss: Tensor = op(in_vectors, out_vectors, *_window_arguments(block, draws), mean)
    return loss
