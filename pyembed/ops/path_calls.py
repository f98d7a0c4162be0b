"""The steps of hierarchical softmax as functions of records: a block of the token stream, its draws, and a tree."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from pyembed.config import Backend
from pyembed.ops.calls import float32_kernel, require_no_grad, threads_at_once
from pyembed.reference import Draws, HuffmanTree, TokenBlock


def _arguments(block: TokenBlock, draws: Draws, tree: HuffmanTree) -> tuple[Any, ...]:
    return (
        block.ids,
        block.sentence_starts,
        tree.path_starts,
        tree.path_nodes,
        tree.path_bits,
        block.first_position,
        block.center_begin,
        block.center_end,
        draws.window,
        draws.seed,
        draws.epoch,
        draws.shrink_windows,
    )


def skipgram_hs_step_(
    in_vectors: Tensor,
    node_vectors: Tensor,
    block: TokenBlock,
    draws: Draws,
    tree: HuffmanTree,
    lr_begin: float,
    lr_end: float,
    *,
    threads: int = 1,
    backend: Backend = "auto",
) -> Tensor:
    """Trains in_vectors [V, D] and node_vectors [max(V - 1, 1), D] in place on a block; reference.py sections 11 and 7.

    Tables of float32 and bfloat16 on the CPU have a compiled kernel. Those of float64, and those on a GPU, are trained
    by the PyTorch kernel, a few windows at a time because every path begins at the root: a GPU gains nothing by it.

    Args:
        draws: of which window, shrink_windows, seed and epoch count; a window has no negatives.
        threads: as ops.skipgram_step_ has it on the CPU; one thread repeats bit for bit.

    Returns:
        float64[2]: the sum of losses and the number of (center, context) pairs.

    Raises:
        RuntimeError: an argument is out of range; the message says which, what was expected and what was found.
    """
    require_no_grad(in_vectors, node_vectors)
    op = float32_kernel("skipgram_hs_step_", backend, in_vectors)
    rate = (lr_begin, lr_end, threads_at_once(threads, in_vectors.device))
    total: Tensor = op(in_vectors, node_vectors, *_arguments(block, draws, tree), *rate)
    return total


def cbow_hs_step_(
    in_vectors: Tensor,
    node_vectors: Tensor,
    block: TokenBlock,
    draws: Draws,
    tree: HuffmanTree,
    lr_begin: float,
    lr_end: float,
    *,
    mean: bool = True,
    exact_gradient: bool = False,
    threads: int = 1,
    backend: Backend = "auto",
) -> Tensor:
    """As skipgram_hs_step_, for CBOW; a window with a context is one pair."""
    require_no_grad(in_vectors, node_vectors)
    op = float32_kernel("cbow_hs_step_", backend, in_vectors)
    rate = (lr_begin, lr_end, threads_at_once(threads, in_vectors.device))
    total: Tensor = op(in_vectors, node_vectors, *_arguments(block, draws, tree), mean, exact_gradient, *rate)
    return total
