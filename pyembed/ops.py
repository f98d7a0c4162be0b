"""The boundary to torch.library: schemas, fake kernels, autograd and the PyTorch kernel of each op.

The compiled extension only puts faster CPU kernels in front of these; which one runs is the dispatcher's business, and
no other room asks. This is the only file that names torch.ops.pyembed or the extension.

Every op takes a block of the token stream (reference.TokenBlock) and what its draws depend on (reference.Draws), as the
flat arguments that `_arguments` lists.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor

from pyembed import reference
from pyembed.config import Backend
from pyembed.reference import Draws, GradientOf, TokenBlock

WINDOWS_PER_BATCH = 256
"""Windows that the PyTorch kernels evaluate at the same parameters: enough for speed, few enough to learn as well."""

_STREAM = (
    "Tensor ids, Tensor sentence_starts, Tensor alias_table, SymInt first_position, SymInt center_begin,"
    " SymInt center_end, int window, int negative, SymInt seed, SymInt epoch"
)
_TABLES = "Tensor in_vectors, Tensor out_vectors"
_TABLES_IN_PLACE = "Tensor(a!) in_vectors, Tensor(b!) out_vectors"
_RATE = "float lr_begin, float lr_end, int threads"

SCHEMAS = {
    "draw_windows": f"({_STREAM}) -> (Tensor, Tensor)",
    "skipgram_step_": f"({_TABLES_IN_PLACE}, {_STREAM}, {_RATE}) -> Tensor",
    "skipgram_loss": f"({_TABLES}, {_STREAM}) -> Tensor",
    "skipgram_loss_backward": f"(Tensor grad, {_TABLES}, {_STREAM}) -> (Tensor, Tensor)",
    "cbow_step_": f"({_TABLES_IN_PLACE}, {_STREAM}, bool mean, bool exact_gradient, {_RATE}) -> Tensor",
    "cbow_loss": f"({_TABLES}, {_STREAM}, bool mean) -> Tensor",
    "cbow_loss_backward": f"(Tensor grad, {_TABLES}, {_STREAM}, bool mean) -> (Tensor, Tensor)",
    "simd_name": "(Tensor like) -> Tensor",
}
_STREAM_LENGTH = 10

_library = torch.library.Library("pyembed", "DEF")
for _name, _schema in SCHEMAS.items():
    _library.define(_name + _schema, tags=(torch.Tag.pt2_compliant_tag,))

Kernel = Callable[..., Any]
TORCH_KERNELS: dict[str, Kernel] = {}
"""The pure-PyTorch kernel of each op, by name: what runs where the extension has none."""


def _torch_kernel(function: Kernel) -> Kernel:
    name = function.__name__.removeprefix("_torch_")
    TORCH_KERNELS[name] = function
    _library.impl(name, function, "CompositeExplicitAutograd")
    return function


# --- PyTorch kernels -------------------------------------------------------------------------------------------------


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
    T, V = ids.numel(), alias_table.shape[0]
    starts = sentence_starts
    _require(ids.dtype == torch.int32 and ids.dim() == 1, "ids: expected int32[T]")
    _require(starts.dtype == torch.int64 and starts.dim() == 1, "sentence_starts: expected int64[S + 1]")
    _require(alias_table.dtype == torch.int32 and alias_table.shape == (V, 2), "alias_table: expected int32[V, 2]")
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
        in_vectors.dim() == 2 and out_vectors.shape == in_vectors.shape and in_vectors.shape[0] == V,
        f"in_vectors, out_vectors: expected shape [V, D] with V = {V} rows, as alias_table has, "
        f"got {list(in_vectors.shape)} and {list(out_vectors.shape)}",
    )


@_torch_kernel
def _torch_draw_windows(*stream: Any) -> tuple[Tensor, Tensor]:
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


@_torch_kernel
def _torch_skipgram_step_(in_vectors: Tensor, out_vectors: Tensor, *rest: Any) -> Tensor:
    *stream, lr_begin, lr_end, _threads = rest  # see _one_thread
    return _step(reference.skipgram_gradient, (in_vectors, out_vectors), tuple(stream), (lr_begin, lr_end))


@_torch_kernel
def _torch_cbow_step_(in_vectors: Tensor, out_vectors: Tensor, *rest: Any) -> Tensor:
    *stream, mean, exact_gradient, lr_begin, lr_end, _threads = rest
    gradient_of = partial(reference.cbow_gradient, mean=mean, exact_gradient=exact_gradient)
    return _step(gradient_of, (in_vectors, out_vectors), tuple(stream), (lr_begin, lr_end))


@_torch_kernel
def _torch_skipgram_loss(in_vectors: Tensor, out_vectors: Tensor, *stream: Any) -> Tensor:
    return _loss(reference.skipgram_gradient, (in_vectors, out_vectors), stream)[0].to(in_vectors.dtype)


@_torch_kernel
def _torch_skipgram_loss_backward(
    grad: Tensor, in_vectors: Tensor, out_vectors: Tensor, *stream: Any
) -> tuple[Tensor, Tensor]:
    _, in_gradient, out_gradient = _loss(reference.skipgram_gradient, (in_vectors, out_vectors), stream)
    return grad * in_gradient, grad * out_gradient


@_torch_kernel
def _torch_cbow_loss(in_vectors: Tensor, out_vectors: Tensor, *rest: Any) -> Tensor:
    *stream, mean = rest
    gradient_of = partial(reference.cbow_gradient, mean=mean)
    return _loss(gradient_of, (in_vectors, out_vectors), tuple(stream))[0].to(in_vectors.dtype)


@_torch_kernel
def _torch_cbow_loss_backward(
    grad: Tensor, in_vectors: Tensor, out_vectors: Tensor, *rest: Any
) -> tuple[Tensor, Tensor]:
    *stream, mean = rest
    gradient_of = partial(reference.cbow_gradient, mean=mean)
    _, in_gradient, out_gradient = _loss(gradient_of, (in_vectors, out_vectors), tuple(stream))
    return grad * in_gradient, grad * out_gradient


@_torch_kernel
def _torch_simd_name(like: Tensor) -> Tensor:
    return torch.tensor(list(b"none"), dtype=torch.uint8, device=like.device)


# --- Fake kernels and autograd ---------------------------------------------------------------------------------------


def _fake_draw_windows(ids: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    _, _, _, center_begin, center_end, _, negative, _, _ = rest
    count = center_end - center_begin
    return ids.new_empty(count), ids.new_empty(count, 1 + negative)


def _fake_step(in_vectors: Tensor, *_rest: Any) -> Tensor:
    return in_vectors.new_empty(2, dtype=torch.float64)


def _fake_loss(in_vectors: Tensor, *_rest: Any) -> Tensor:
    return in_vectors.new_empty(())


def _fake_backward(_grad: Tensor, in_vectors: Tensor, out_vectors: Tensor, *_rest: Any) -> tuple[Tensor, Tensor]:
    return in_vectors.new_empty(in_vectors.shape), out_vectors.new_empty(out_vectors.shape)


torch.library.register_fake("pyembed::draw_windows", _fake_draw_windows)


def _register_model(model: str) -> None:
    torch.library.register_fake(f"pyembed::{model}_step_", _fake_step)
    torch.library.register_fake(f"pyembed::{model}_loss", _fake_loss)
    torch.library.register_fake(f"pyembed::{model}_loss_backward", _fake_backward)

    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001
        ctx.save_for_backward(*inputs[:5])
        ctx.rest = inputs[5:]

    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        op = getattr(torch.ops.pyembed, f"{model}_loss_backward")
        gradients = op(grad.contiguous(), *ctx.saved_tensors, *ctx.rest)
        return (*gradients, *(None,) * (3 + len(ctx.rest)))

    torch.library.register_autograd(f"pyembed::{model}_loss", backward, setup_context=setup_context)


for _model in ("skipgram", "cbow"):
    _register_model(_model)


# --- The extension ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Status:
    """Which kernels are in use on this machine."""

    native: bool
    """Whether the compiled kernels are loaded."""
    reason: str | None
    """Why not, where they are not."""
    simd: str
    """Instruction set of the compiled kernels: avx512, avx2, neon, plain, or none."""
    cuda: bool
    """Whether torch sees a CUDA device; ops run there with the PyTorch kernels."""


def _load_extension() -> str | None:
    """Imports the extension, which registers its kernels. Returns what went wrong, if anything did."""
    try:
        importlib.import_module("pyembed._C")
    except ImportError as error:
        return str(error)
    return None


_reason = _load_extension()


@cache
def status() -> Status:
    """What is in use, for `pyembed info` and for error messages."""
    name = torch.ops.pyembed.simd_name(torch.empty(0))
    return Status(
        native=_reason is None,
        reason=_reason,
        simd=bytes(name.tolist()).decode(),
        cuda=torch.cuda.is_available(),
    )


@cache
def _warn_of_fallback() -> None:
    warnings.warn(
        f"pyembed trains with its slower PyTorch kernels: the compiled ones are not in use ({_reason}). "
        "Reinstall with a C++ compiler at hand, or pass backend='torch' to silence this.",
        stacklevel=3,
    )


def is_native(name: str, backend: Backend = "auto", device: torch.device | str = "cpu") -> bool:
    """Whether `kernel` gives a compiled kernel for these arguments."""
    key = torch.device(device).type.upper()
    return backend != "torch" and torch._C._dispatch_has_kernel_for_dispatch_key(f"pyembed::{name}", key)


class MachineError(RuntimeError):
    """This machine lacks the device, or this build a compiled kernel for it."""


def require_machine(name: str, backend: Backend, device: str) -> None:
    """Finds out before any work whether the op can run there.

    Raises:
        MachineError: it cannot; the message says why.
    """
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch raises either
        raise MachineError(f"device {device!r}: torch cannot use it here: {error}") from error
    kernel(name, backend, device)


def kernel(name: str, backend: Backend = "auto", device: torch.device | str = "cpu") -> Kernel:
    """The op of this name: through the dispatcher, or its PyTorch kernel for backend "torch".

    Raises:
        MachineError: backend is "native" and there is no compiled kernel for the device.
    """
    if backend == "torch":
        return TORCH_KERNELS[name]
    if not is_native(name, backend, device):
        if backend == "native":
            why = _reason or "this build has none"
            raise MachineError(
                f"backend 'native': expected a compiled kernel for {device}, found none ({why}); use 'torch'"
            )
        if _reason is not None:
            _warn_of_fallback()
    op: Kernel = getattr(torch.ops.pyembed, name)
    return op


# --- Calls with records instead of flat arguments ---------------------------------------------------------------------


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
        draws.seed,
        draws.epoch,
    )


def draw_windows(block: TokenBlock, draws: Draws, *, backend: Backend = "auto") -> tuple[Tensor, Tensor]:
    """Radius int32[B] and outputs int32[B, 1 + K] (center first) of the block's centers; reference.py section 2."""
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
    """Trains [V, D] tables in place on a block; reference.py sections 5 and 7.

    Returns float64[2]: the sum of losses and the number of positive pairs. With one thread windows are trained one
    after the other; with several, ranges of them at the same time without locks (Hogwild, Niu et al. 2011).

    Raises:
        RuntimeError: an argument is out of range; the message says which, what was expected and what was found.
    """
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
    """As skipgram_step_, for CBOW; reference.py sections 6 and 7."""
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
