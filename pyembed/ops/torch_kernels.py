"""The pure-PyTorch kernel of each op: the spec, in batches, behind the checks that the extension makes too."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from pyembed import reference
from pyembed.config import MOST_TOGETHER
from pyembed.ops.checks import check_key, checked_block, require, require_ids
from pyembed.ops.one_thread import one_thread
from pyembed.ops.pair_kernels import pair_loss, pair_loss_backward, pair_step_
from pyembed.ops.path_kernels import cbow_hs_step_, skipgram_hs_step_
from pyembed.ops.row_kernels import (
    lookup,
    update_rows_adagrad_,
    update_rows_adamw_,
    update_rows_momentum_,
    update_rows_rowwise_adagrad_,
    update_rows_sgd_,
)
from pyembed.reference import PER_PAIR, PER_WINDOW, Draws, GradientOf, TokenBlock

WINDOWS_PER_BATCH = 256
"""Windows evaluated at the same parameters: large enough for speed, small enough to learn as well."""


def _stream(
    ids: Tensor,
    sentence_starts: Tensor,
    alias_table: Tensor,
    first_position: int,
    center_begin: int,
    center_end: int,
    window: int,
    negative: int,
    sharing: int,
    seed: int,
    epoch: int,
    shrink_windows: bool,
) -> tuple[TokenBlock, Draws]:
    """The flat arguments as records, checked as the extension checks them."""
    require(
        alias_table.dtype == torch.int32 and alias_table.dim() == 2 and alias_table.shape[1] == 2,
        "alias_table: expected int32[V, 2]",
    )
    V = alias_table.shape[0]
    require(V >= 1, "alias_table: expected 1 to 2^31 - 1 rows, got 0")
    block = checked_block(ids, sentence_starts, V, first_position, center_begin, center_end)
    require(
        bool(((alias_table[:, 1] >= 0) & (alias_table[:, 1] < V)).all()), f"alias_table: expected aliases 0 to {V - 1}"
    )
    require(1 <= window <= 1000, f"window: expected 1 to 1000, got {window}")
    require(1 <= negative <= 1000, f"negative: expected 1 to 1000, got {negative}")
    require(0 <= sharing <= 64, f"sharing: expected 0 to 64, got {sharing}")
    check_key(first_position, seed, epoch)
    return block, Draws(alias_table, window, negative, seed, epoch, sharing, shrink_windows)


def _cbow_stream(*stream: Any) -> tuple[TokenBlock, Draws]:
    block, draws = _stream(*stream)
    return block, reference.cbow_draws(draws)


def _batch_stream(*rest: Any) -> tuple[TokenBlock, Draws]:
    *stream, negative_weight = rest
    block, draws = _stream(*stream)
    require(
        1 <= draws.sharing <= MOST_TOGETHER,
        f"sharing: expected 1 to {MOST_TOGETHER} windows that train together, got {draws.sharing}",
    )
    require(
        math.isfinite(negative_weight) and negative_weight > 0,
        f"negative_weight: expected a finite number > 0, got {negative_weight}",
    )
    return block, replace(draws, together=True, negative_weight=negative_weight)


def _check_tables(in_vectors: Tensor, out_vectors: Tensor, draws: Draws) -> None:
    V = draws.alias_table.shape[0]
    require(
        in_vectors.dtype in (torch.float32, torch.float64, torch.bfloat16),
        f"in_vectors: expected float32, float64 or bfloat16, got {in_vectors.dtype}; "
        "other types train with float32 tables",
    )
    require(
        out_vectors.dtype == in_vectors.dtype and out_vectors.device == in_vectors.device,
        "out_vectors: expected the dtype and device of in_vectors",
    )
    require(in_vectors.shape[-1] >= 1, "in_vectors, out_vectors: expected at least one column, got 0")
    require(
        in_vectors.dim() == 2 and out_vectors.shape == in_vectors.shape and in_vectors.shape[0] == V,
        f"in_vectors, out_vectors: expected shape [V, D] with V = {V} rows, as alias_table has, "
        f"got {list(in_vectors.shape)} and {list(out_vectors.shape)}",
    )


def draw_windows(*stream: Any) -> tuple[Tensor, Tensor]:
    block, draws = _stream(*stream)
    positions = block.first_position + torch.arange(block.center_begin, block.center_end, device=block.ids.device)
    radius = reference.window_radius(positions, draws.window, draws.seed, draws.epoch, draws.shrink_windows)
    centers = block.ids[block.center_begin : block.center_end]
    contexts = torch.zeros_like(positions)
    if draws.sharing == PER_PAIR:
        contexts = torch.arange(2 * draws.window, device=positions.device)
        positions, centers = positions[:, None], centers[:, None].expand(-1, 2 * draws.window)
    negatives = reference.negatives_of(positions, contexts, draws)
    return radius.int(), torch.cat([centers[..., None], negatives.int()], dim=-1)


def keep_tokens(
    ids: Tensor, sentence_starts: Tensor, keep_threshold: Tensor, first_position: int, seed: int, epoch: int
) -> tuple[Tensor, Tensor]:
    _check_keep(ids, sentence_starts, keep_threshold, first_position, seed, epoch)
    positions = first_position + torch.arange(len(ids), device=ids.device)
    kept = reference.keep_token(ids, positions, keep_threshold.long() & 0xFFFFFFFF, seed, epoch)
    kept_before = torch.cat([sentence_starts.new_zeros(1), kept.cumsum(0)])
    return ids[kept], kept_before[sentence_starts - first_position]


def _check_keep(
    ids: Tensor, sentence_starts: Tensor, keep_threshold: Tensor, first_position: int, seed: int, epoch: int
) -> None:
    require(ids.dtype == torch.int32 and ids.dim() == 1, "ids: expected int32[n]")
    starts = sentence_starts
    require(starts.dtype == torch.int64 and starts.dim() == 1, "sentence_starts: expected int64[m]")
    require(keep_threshold.dtype == torch.int32 and keep_threshold.dim() == 1, "keep_threshold: expected int32[V]")
    check_key(first_position, seed, epoch)
    require_ids("ids", ids, len(keep_threshold))
    before = torch.cat([starts.new_full((1,), first_position), starts])[:-1]
    bad = ((starts < before) | (starts < first_position) | (starts >= first_position + len(ids))).nonzero()
    if len(bad):
        index = int(bad[0])
        require(
            False,
            f"sentence_starts: expected to ascend from {first_position} to {first_position + len(ids) - 1}, "
            f"the positions of ids, got {int(starts[index])} at index {index}",
        )


def draw_negatives(
    alias_table: Tensor, first_position: int, count: int, negative: int, seed: int, epoch: int
) -> Tensor:
    require(count >= 0, f"count: expected >= 0, got {count}")
    device = alias_table.device
    no_ids, no_sentences = (
        torch.empty(0, dtype=torch.int32, device=device),
        torch.zeros(1, dtype=torch.int64, device=device),
    )
    _stream(no_ids, no_sentences, alias_table, first_position, 0, 0, 1, negative, PER_WINDOW, seed, epoch, True)
    positions = first_position + torch.arange(count, device=device)
    return reference.negative_ids(positions, alias_table, negative, seed, epoch).int()


def _step(
    gradient_of: GradientOf, tables: tuple[Tensor, Tensor], stream: tuple[TokenBlock, Draws], lr: tuple[float, float]
) -> Tensor:
    block, draws = stream
    _check_tables(*tables, draws)
    with one_thread():
        return reference.step_(gradient_of, *tables, block, draws, *lr, batch=_batch_size(draws))


def _batch_size(draws: Draws) -> int:
    """Fewer windows at a time where the vocabulary is so small that most of a batch's updates would meet in one row."""
    contexts = 1 + draws.window if draws.shrink_windows else 2 * draws.window  # the mean window's
    pairs = contexts if draws.sharing == PER_PAIR else 1
    return max(1, min(pairs * WINDOWS_PER_BATCH, draws.alias_table.shape[0] // 4))


def _loss(
    gradient_of: GradientOf, tables: tuple[Tensor, Tensor], stream: tuple[TokenBlock, Draws]
) -> tuple[Tensor, Tensor, Tensor]:
    block, draws = stream
    _check_tables(*tables, draws)
    require(
        tables[0].dtype != torch.bfloat16,
        "in_vectors: expected float32 or float64 for a loss, got bfloat16; pass table.float(), which passes gradients",
    )
    return reference.loss_and_gradient(gradient_of, *tables, block, draws, batch=WINDOWS_PER_BATCH)


def skipgram_step_(in_vectors: Tensor, out_vectors: Tensor, *rest: Any) -> Tensor:
    *stream, lr_begin, lr_end, _threads, _write_back, _frequent = rest  # see one_thread
    return _step(reference.skipgram_gradient, (in_vectors, out_vectors), _stream(*stream), (lr_begin, lr_end))


def cbow_step_(in_vectors: Tensor, out_vectors: Tensor, *rest: Any) -> Tensor:
    *stream, mean, exact_gradient, lr_begin, lr_end, _threads, _write_back, _frequent = rest
    gradient_of = partial(reference.cbow_gradient, mean=mean, exact_gradient=exact_gradient)
    return _step(gradient_of, (in_vectors, out_vectors), _cbow_stream(*stream), (lr_begin, lr_end))


def skipgram_batch_step_(in_vectors: Tensor, out_vectors: Tensor, *rest: Any) -> Tensor:
    # Products may be rounded, and are not here; of threads, see one_thread.
    *stream, _bfloat16_products, lr_begin, lr_end, _threads = rest
    return _step(reference.skipgram_gradient, (in_vectors, out_vectors), _batch_stream(*stream), (lr_begin, lr_end))


def cbow_batch_step_(in_vectors: Tensor, out_vectors: Tensor, *rest: Any) -> Tensor:
    *stream, _bfloat16_products, mean, exact_gradient, lr_begin, lr_end, _threads = rest
    gradient_of = partial(reference.cbow_gradient, mean=mean, exact_gradient=exact_gradient)
    return _step(gradient_of, (in_vectors, out_vectors), _batch_stream(*stream), (lr_begin, lr_end))


def skipgram_loss(in_vectors: Tensor, out_vectors: Tensor, *stream: Any) -> Tensor:
    return _loss(reference.skipgram_gradient, (in_vectors, out_vectors), _stream(*stream))[0].to(in_vectors.dtype)


def skipgram_loss_backward(
    grad: Tensor, in_vectors: Tensor, out_vectors: Tensor, *stream: Any
) -> tuple[Tensor, Tensor]:
    _, in_gradient, out_gradient = _loss(reference.skipgram_gradient, (in_vectors, out_vectors), _stream(*stream))
    return grad * in_gradient, grad * out_gradient


def cbow_loss(in_vectors: Tensor, out_vectors: Tensor, *rest: Any) -> Tensor:
    *stream, mean = rest
    gradient_of = partial(reference.cbow_gradient, mean=mean)
    return _loss(gradient_of, (in_vectors, out_vectors), _cbow_stream(*stream))[0].to(in_vectors.dtype)


def cbow_loss_backward(grad: Tensor, in_vectors: Tensor, out_vectors: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    *stream, mean = rest
    gradient_of = partial(reference.cbow_gradient, mean=mean)
    _, in_gradient, out_gradient = _loss(gradient_of, (in_vectors, out_vectors), _cbow_stream(*stream))
    return grad * in_gradient, grad * out_gradient


def simd_name(like: Tensor) -> Tensor:
    return torch.tensor(list(b"none"), dtype=torch.uint8, device=like.device)


def bfloat16_products_name(like: Tensor) -> Tensor:
    return simd_name(like)


def has_bfloat16_products(like: Tensor, *_batch: Any) -> Tensor:
    return torch.zeros(1, dtype=torch.bool, device=like.device)


KERNELS: dict[str, Callable[..., Any]] = {
    kernel.__name__: kernel
    for kernel in (
        draw_windows,
        draw_negatives,
        keep_tokens,
        pair_step_,
        pair_loss,
        pair_loss_backward,
        skipgram_step_,
        skipgram_loss,
        skipgram_loss_backward,
        cbow_step_,
        cbow_loss,
        cbow_loss_backward,
        skipgram_batch_step_,
        cbow_batch_step_,
        skipgram_hs_step_,
        cbow_hs_step_,
        lookup,
        update_rows_sgd_,
        update_rows_momentum_,
        update_rows_adagrad_,
        update_rows_rowwise_adagrad_,
        update_rows_adamw_,
        simd_name,
        bfloat16_products_name,
        has_bfloat16_products,
    )
}
"""By the name of the op."""
