"""The steps of windows that train together, as functions of records: a block of the token stream and its draws."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pyembed.config import Backend, Model, Products
from pyembed.ops.calls import float32_kernel, require_no_grad, stream_arguments, threads_at_once
from pyembed.ops.machine import kernel
from pyembed.reference import Draws, TokenBlock


def _arguments(block: TokenBlock, draws: Draws) -> tuple[Any, ...]:
    if not draws.together:
        raise ValueError("draws: expected windows that train together, found together=False; see ops.skipgram_step_")
    return *stream_arguments(block, draws), draws.negative_weight


def skipgram_batch_step_(
    in_vectors: Tensor,
    out_vectors: Tensor,
    block: TokenBlock,
    draws: Draws,
    lr_begin: float,
    lr_end: float,
    *,
    products: Products = "float32",
    threads: int = 1,
    backend: Backend = "auto",
) -> Tensor:
    """Trains [V, D] tables in place on a block, `draws.sharing` neighbouring windows together; reference.py section 12.

    Tables of float32 and bfloat16 on the CPU have a compiled kernel. Those of float64, and those on a GPU, are trained
    by the PyTorch kernel, many batches at a time, which is slow there: a GPU is fast at a window at a time.

    Args:
        draws: `together` is True, and `negative` the number of negatives that are drawn for a batch of windows.
        products: `bfloat16` allows a kernel to round the factors of a batch's products to it; which does where
            has_bfloat16_products() says so. Their sums are float32, and so are the rows that they are added to.
        threads: as ops.skipgram_step_ has it on the CPU; one thread repeats bit for bit.

    Returns:
        float64[2]: the sum of losses and the number of positive pairs.

    Raises:
        ValueError: draws of windows that train one after the other.
        RuntimeError: an argument is out of range; the message says which, what was expected and what was found.
    """
    require_no_grad(in_vectors, out_vectors)
    op = float32_kernel("skipgram_batch_step_", backend, in_vectors)
    rate = (lr_begin, lr_end, threads_at_once(threads, in_vectors.device))
    total: Tensor = op(in_vectors, out_vectors, *_arguments(block, draws), products == "bfloat16", *rate)
    return total


def has_bfloat16_products(model: Model, window: int, negative: int, sharing: int, backend: Backend = "auto") -> bool:
    """Whether batches on the CPU are multiplied as matrices of bfloat16 where they may be: the processor is fast at
    that (AMD's AVX-512 since Zen 4; for skip-gram also AMX), and the batches fit, which have at most 16 contexts
    (2 * window + sharing) and at most 16 outputs (sharing + negative), of CBOW at most 6 windows.
    """
    op = kernel("has_bfloat16_products", backend)
    return bool(op(torch.empty(0), model, window, negative, sharing).item())


def cbow_batch_step_(
    in_vectors: Tensor,
    out_vectors: Tensor,
    block: TokenBlock,
    draws: Draws,
    lr_begin: float,
    lr_end: float,
    *,
    products: Products = "float32",
    mean: bool = True,
    exact_gradient: bool = False,
    threads: int = 1,
    backend: Backend = "auto",
) -> Tensor:
    """As skipgram_batch_step_, for CBOW."""
    require_no_grad(in_vectors, out_vectors)
    op = float32_kernel("cbow_batch_step_", backend, in_vectors)
    rate = (lr_begin, lr_end, threads_at_once(threads, in_vectors.device))
    total: Tensor = op(
        in_vectors, out_vectors, *_arguments(block, draws), products == "bfloat16", mean, exact_gradient, *rate
    )
    return total
