"""The ops on rows of an embedding: looking them up, and optimisers that change the rows alone that were looked up.

reference.py section 10 defines them. Shapes and types that all of them share:

    weight  float64, float32, float16 or bfloat16 [V, D], changed in place
    ids     int32 or int64 of any shape, 0 to V - 1; an id may stand any number of times
    given   the gradient of what was looked up at ids: reference.RowGradients
    state   what the optimiser remembers, all zeros before the first step: float64 for a float64 weight, else float32
    step    1, 2, ...: counts the calls; a row's gradients of one step come in one call
    seed    >= 0, of the rounding to bfloat16; it matters to no other type

The gradients of a row are summed in the type that is computed with, the state's, in an order that depends on ids alone.
Kernels take memory to bring equal ids together, a GPU also for some partial sums; rows must be dense, and a state
contiguous. Each op raises RuntimeError where an argument is out of range: the message says which, what was expected and
what was found; nothing has changed then.
"""

from __future__ import annotations

from torch import Tensor

from pyembed.config import Backend
from pyembed.ops.calls import require_no_grad
from pyembed.ops.machine import kernel
from pyembed.reference import RowGradients


def lookup(weight: Tensor, ids: Tensor, *, backend: Backend = "auto") -> Tensor:
    """The rows of weight at ids, [..., D], differentiable: the gradient is dense."""
    rows: Tensor = kernel("lookup", backend, weight.device)(weight, ids)
    return rows


def update_rows_sgd_(
    weight: Tensor,
    given: RowGradients,
    lr: float,
    weight_decay: float = 0.0,
    *,
    step: int = 1,
    seed: int = 0,
    backend: Backend = "auto",
) -> None:
    """torch.optim.SGD without momentum, on the touched rows. step matters to the rounding of bfloat16 alone."""
    require_no_grad(weight)
    kernel("update_rows_sgd_", backend, weight.device)(weight, *given, lr, weight_decay, step, seed)


def update_rows_momentum_(
    weight: Tensor,
    momentum_buffer: Tensor,
    last_step: Tensor,
    given: RowGradients,
    lr: float,
    momentum: float = 0.9,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    *,
    step: int,
    seed: int = 0,
    backend: Backend = "auto",
) -> None:
    """torch.optim.SGD with momentum on the touched rows, whose momentum first decays by the steps that they missed.

    momentum_buffer: [V, D]; last_step: int32[V], when each row was last touched. Both are changed in place.
    """
    require_no_grad(weight)
    op = kernel("update_rows_momentum_", backend, weight.device)
    op(weight, momentum_buffer, last_step, *given, lr, momentum, nesterov, weight_decay, step, seed)


def update_rows_adagrad_(
    weight: Tensor,
    sum_of_squares: Tensor,
    given: RowGradients,
    lr: float,
    eps: float = 1e-10,
    weight_decay: float = 0.0,
    *,
    step: int = 1,
    seed: int = 0,
    backend: Backend = "auto",
) -> None:
    """torch.optim.Adagrad on the touched rows. sum_of_squares: [V, D], changed in place."""
    require_no_grad(weight)
    op = kernel("update_rows_adagrad_", backend, weight.device)
    op(weight, sum_of_squares, *given, lr, eps, weight_decay, step, seed)


def update_rows_rowwise_adagrad_(
    weight: Tensor,
    sum_of_squares: Tensor,
    given: RowGradients,
    lr: float,
    eps: float = 1e-10,
    weight_decay: float = 0.0,
    *,
    step: int = 1,
    seed: int = 0,
    backend: Backend = "auto",
) -> None:
    """Adagrad with one rate for the whole row. sum_of_squares: [V], sums of the columns' means, in place."""
    require_no_grad(weight)
    op = kernel("update_rows_rowwise_adagrad_", backend, weight.device)
    op(weight, sum_of_squares, *given, lr, eps, weight_decay, step, seed)


def update_rows_adamw_(
    weight: Tensor,
    exp_avg: Tensor,
    exp_avg_sq: Tensor,
    last_step: Tensor,
    last_log_decay: Tensor,
    given: RowGradients,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    log_decay: float = 0.0,
    *,
    step: int,
    seed: int = 0,
    backend: Backend = "auto",
) -> None:
    """torch.optim.AdamW on the touched rows, which first catch up with the decay of the steps that they missed.

    exp_avg, exp_avg_sq: [V, D]; last_step: int32[V], when each row was last touched; last_log_decay: float64[V], what
    log_decay was then. All are changed in place. log_decay: the sum of log(1 - lr * weight_decay) over all steps so
    far, this one included; at most 0.
    """
    require_no_grad(weight)
    op = kernel("update_rows_adamw_", backend, weight.device)
    state = (exp_avg, exp_avg_sq, last_step, last_log_decay)
    op(weight, *state, *given, lr, beta1, beta2, eps, log_decay, step, seed)
