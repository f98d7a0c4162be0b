"""The pure-PyTorch kernel of each op: the spec, in batches, behind the checks that the extension makes too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from pyembed import reference
from pyembed.reference import Draws, GradientOf, TokenBlock

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
    seed: int,
    epoch: int,
) -> tuple[TokenBlock, Draws]:
    """The flat arguments as records, checked as the extension checks them."""
    starts = sentence_starts
    _require(ids.dtype == torch.int32 and ids.dim() == 1, "ids: expected int32[T]")
    _require(starts.dtype == torch.int64 and starts.dim() == 1, "sentence_starts: expected int64[S + 1]")
    _require(
        alias_table.dtype == torch.int32 and alias_table.dim() == 2 and alias_table.shape[1] == 2,
        "alias_table: expected int32[V, 2]",
    )
    T, V = ids.numel(), alias_table.shape[0]
    _require(V >= 1, "alias_table: expected 1 to 2^31 - 1 rows, got 0")
    _require(
        starts.numel() > 0 and bool(starts[0] == 0) and bool(starts[-1] == T),
        f"sentence_starts: expected to begin with 0 and to end with T = {T}",
    )
    _require(bool((starts.diff() >= 0).all()), "sentence_starts: expected to ascend")
    bad = ((ids < 0) | (ids >= V)).nonzero()
    if bad.numel():
        index = int(bad[0])
        _require(False, f"ids: expected 0 to V - 1 = {V - 1}, got {int(ids[index])} at index {index}")
    _require(
        bool(((alias_table[:, 1] >= 0) & (alias_table[:, 1] < V)).all()), f"alias_table: expected aliases 0 to {V - 1}"
    )
    _require(
        0 <= center_begin <= center_end <= T,
        f"centers: expected 0 <= center_begin <= center_end <= {T}, got {center_begin} and {center_end}",
    )
    _require(1 <= window <= 1000, f"window: expected 1 to 1000, got {window}")
    _require(1 <= negative <= 1000, f"negative: expected 1 to 1000, got {negative}")
    _require(first_position >= 0, f"first_position: expected >= 0, got {first_position}")
    _require(seed >= 0, f"seed: expected 0 to 2^63 - 1, got {seed}")
    _require(0 <= epoch < 2**32, f"epoch: expected 0 to 2^32 - 1, got {epoch}")
    block = TokenBlock(ids, sentence_starts, first_position, center_begin, center_end)
    return block, Draws(alias_table, window, negative, seed, epoch)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise RuntimeError("pyembed: " + message)


def _check_tables(in_vectors: Tensor, out_vectors: Tensor, draws: Draws) -> None:
    V = draws.alias_table.shape[0]
    _require(
        in_vectors.dtype in (torch.float32, torch.float64),
        f"in_vectors: expected float32 or float64, got {in_vectors.dtype}; other types train with float32 tables",
    )
    _require(
        out_vectors.dtype == in_vectors.dtype and out_vectors.device == in_vectors.device,
        "out_vectors: expected the dtype and device of in_vectors",
    )
    _require(in_vectors.shape[-1] >= 1, "in_vectors, out_vectors: expected at least one column, got 0")
    _require(
        in_vectors.dim() == 2 and out_vectors.shape == in_vectors.shape and in_vectors.shape[0] == V,
        f"in_vectors, out_vectors: expected shape [V, D] with V = {V} rows, as alias_table has, "
        f"got {list(in_vectors.shape)} and {list(out_vectors.shape)}",
    )


def draw_windows(*stream: Any) -> tuple[Tensor, Tensor]:
    block, draws = _stream(*stream)
    positions = block.first_position + torch.arange(block.center_begin, block.center_end, device=block.ids.device)
    radius = reference.window_radius(positions, draws.window, draws.seed, draws.epoch)
    negatives = reference.negative_ids(positions, draws.alias_table, draws.negative, draws.seed, draws.epoch)
    centers = block.ids[block.center_begin : block.center_end]
    return radius.int(), torch.cat([centers[:, None], negatives.int()], dim=1)


def _step(
    gradient_of: GradientOf, tables: tuple[Tensor, Tensor], stream: tuple[Any, ...], lr: tuple[float, float]
) -> Tensor:
    block, draws = _stream(*stream)
    _check_tables(*tables, draws)
    with _one_thread():
        return reference.step_(gradient_of, *tables, block, draws, *lr, batch=_batch_size(draws))


@contextmanager
def _one_thread() -> Iterator[None]:
    """A batch is a millisecond of work in a dozen operations: more threads would wait for one another at each."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _batch_size(draws: Draws) -> int:
    """Fewer windows at a time where the vocabulary is so small that most of a batch's updates would meet in one row."""
    return max(1, min(WINDOWS_PER_BATCH, draws.alias_table.shape[0] // 4))


def _loss(
    gradient_of: GradientOf, tables: tuple[Tensor, Tensor], stream: tuple[Any, ...]
) -> tuple[Tensor, Tensor, Tensor]:
    block, draws = _stream(*stream)
    _check_tables(*tables, draws)
    return reference.loss_and_gradient(gradient_of, *tables, block, draws, batch=WINDOWS_PER_BATCH)


def skipgram_step_(in_vectors: Tensor, out_vectors: Tensor, *rest: Any) -> Tensor:
    *stream, lr_begin, lr_end, _threads = rest  # see _one_thread
    return _step(reference.skipgram_gradient, (in_vectors, out_vectors), tuple(stream), (lr_begin, lr_end))


def cbow_step_(in_vectors: Tensor, out_vectors: Tensor, *rest: Any) -> Tensor:
    *stream, mean, exact_gradient, lr_begin, lr_end, _threads = rest
    gradient_of = partial(reference.cbow_gradient, mean=mean, exact_gradient=exact_gradient)
    return _step(gradient_of, (in_vectors, out_vectors), tuple(stream), (lr_begin, lr_end))


def skipgram_loss(in_vectors: Tensor, out_vectors: Tensor, *stream: Any) -> Tensor:
    return _loss(reference.skipgram_gradient, (in_vectors, out_vectors), stream)[0].to(in_vectors.dtype)


def skipgram_loss_backward(
    grad: Tensor, in_vectors: Tensor, out_vectors: Tensor, *stream: Any
) -> tuple[Tensor, Tensor]:
    _, in_gradient, out_gradient = _loss(reference.skipgram_gradient, (in_vectors, out_vectors), stream)
    return grad * in_gradient, grad * out_gradient


def cbow_loss(in_vectors: Tensor, out_vectors: Tensor, *rest: Any) -> Tensor:
    *stream, mean = rest
    gradient_of = partial(reference.cbow_gradient, mean=mean)
    return _loss(gradient_of, (in_vectors, out_vectors), tuple(stream))[0].to(in_vectors.dtype)


def cbow_loss_backward(grad: Tensor, in_vectors: Tensor, out_vectors: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    *stream, mean = rest
    gradient_of = partial(reference.cbow_gradient, mean=mean)
    _, in_gradient, out_gradient = _loss(gradient_of, (in_vectors, out_vectors), tuple(stream))
    return grad * in_gradient, grad * out_gradient


def simd_name(like: Tensor) -> Tensor:
    return torch.tensor(list(b"none"), dtype=torch.uint8, device=like.device)


KERNELS: dict[str, Callable[..., Any]] = {
    kernel.__name__: kernel
    for kernel in (
        draw_windows,
        skipgram_step_,
        skipgram_loss,
        skipgram_loss_backward,
        cbow_step_,
        cbow_loss,
        cbow_loss_backward,
        simd_name,
    )
}
"""By the name of the op."""
