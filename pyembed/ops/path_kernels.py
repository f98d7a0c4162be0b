"""The pure-PyTorch kernels of hierarchical softmax: the spec, in batches, behind the checks the extension makes too."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from pyembed import reference
from pyembed.ops.checks import check_key, checked_block, require
from pyembed.ops.one_thread import one_thread
from pyembed.reference import Draws, GradientOf, HuffmanTree, TokenBlock

PAIRS_PER_BATCH = 64
"""Pairs of a center and a context evaluated at the same parameters: few, for all of them change the root's row."""


def _stream(
    ids: Tensor,
    sentence_starts: Tensor,
    path_starts: Tensor,
    path_nodes: Tensor,
    path_bits: Tensor,
    first_position: int,
    center_begin: int,
    center_end: int,
    window: int,
    seed: int,
    epoch: int,
    shrink_windows: bool,
) -> tuple[TokenBlock, Draws, HuffmanTree]:
    """The flat arguments as records, checked as the extension checks them."""
    starts = path_starts
    require(starts.dtype == torch.int64 and starts.dim() == 1, "path_starts: expected int64[V + 1]")
    V = starts.numel() - 1
    require(V >= 1, "path_starts: expected 2 elements or more, for 1 to 2^31 - 1 words")
    require(path_nodes.dtype == torch.int32 and path_nodes.dim() == 1, "path_nodes: expected int32[n]")
    require(path_bits.dtype == torch.uint8 and path_bits.dim() == 1, "path_bits: expected uint8[n]")
    n = path_nodes.numel()
    require(path_bits.numel() == n, f"path_bits: expected as many as path_nodes, {n}, got {path_bits.numel()}")
    require(
        bool(starts[0] == 0) and bool(starts[-1] == n) and bool((starts.diff() >= 0).all()),
        f"path_starts: expected to ascend from 0 to the number of path_nodes, {n}",
    )
    bad = ((path_nodes < 0) | (path_nodes >= V - 1)).nonzero()
    if len(bad):
        index = int(bad[0])
        require(False, f"path_nodes: expected 0 to V - 2 = {V - 2}, got {int(path_nodes[index])} at index {index}")
    block = checked_block(ids, sentence_starts, V, first_position, center_begin, center_end)
    require(1 <= window <= 1000, f"window: expected 1 to 1000, got {window}")
    check_key(first_position, seed, epoch)
    no_negatives = ids.new_empty(0, 2)
    draws = Draws(no_negatives, window, 0, seed, epoch, shrink_windows=shrink_windows)
    return block, draws, HuffmanTree(path_starts, path_nodes, path_bits)


def _check_tables(in_vectors: Tensor, node_vectors: Tensor, tree: HuffmanTree) -> None:
    V = len(tree.path_starts) - 1
    require(
        in_vectors.dtype in (torch.float32, torch.float64, torch.bfloat16),
        f"in_vectors: expected float32, float64 or bfloat16, got {in_vectors.dtype}; "
        "other types train with float32 tables",
    )
    require(
        node_vectors.dtype == in_vectors.dtype and node_vectors.device == in_vectors.device,
        "node_vectors: expected the dtype and device of in_vectors",
    )
    require(
        in_vectors.dim() == 2 and in_vectors.shape[0] == V and in_vectors.shape[1] >= 1,
        f"in_vectors: expected shape [V, D] with V = {V} rows, one for each path, got {list(in_vectors.shape)}",
    )
    nodes = max(V - 1, 1)
    require(
        list(node_vectors.shape) == [nodes, in_vectors.shape[1]],
        f"node_vectors: expected shape [max(V - 1, 1), D] = {[nodes, in_vectors.shape[1]]}, "
        f"got {list(node_vectors.shape)}",
    )


def _step(
    gradient_of: GradientOf,
    tables: tuple[Tensor, Tensor],
    stream: tuple[TokenBlock, Draws, HuffmanTree],
    lr: tuple[float, float],
) -> Tensor:
    block, draws, tree = stream
    _check_tables(*tables, tree)
    contexts = 1 + draws.window if draws.shrink_windows else 2 * draws.window  # the mean window's
    batch = max(1, PAIRS_PER_BATCH // contexts)
    windows_of = partial(reference.path_windows, tree)
    with one_thread():
        return reference.step_(gradient_of, *tables, block, draws, *lr, batch=batch, windows_of=windows_of)


def skipgram_hs_step_(in_vectors: Tensor, node_vectors: Tensor, *rest: Any) -> Tensor:
    *flat, lr_begin, lr_end, _threads = rest  # see one_thread
    return _step(reference.skipgram_gradient, (in_vectors, node_vectors), _stream(*flat), (lr_begin, lr_end))


def cbow_hs_step_(in_vectors: Tensor, node_vectors: Tensor, *rest: Any) -> Tensor:
    *flat, mean, exact_gradient, lr_begin, lr_end, _threads = rest
    gradient_of = partial(reference.cbow_gradient, mean=mean, exact_gradient=exact_gradient)
    return _step(gradient_of, (in_vectors, node_vectors), _stream(*flat), (lr_begin, lr_end))
