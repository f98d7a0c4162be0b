"""The boundary to torch.library: the only room that names torch.ops.pyembed or the extension.

Every op has its schema, fake kernel, autograd and PyTorch kernel here, in Python; the extension only puts faster CPU
kernels in front. Which one runs is the dispatcher's business, and no other room asks.
"""

from __future__ import annotations

from pyembed.ops import registration  # noqa: F401  # before anything looks an op up
from pyembed.ops.batch_calls import cbow_batch_step_, has_bfloat16_products, skipgram_batch_step_
from pyembed.ops.calls import cbow_loss, cbow_step_, draw_windows, keep_tokens, skipgram_loss, skipgram_step_
from pyembed.ops.fused import deliver, deliver_when_run, new_address
from pyembed.ops.machine import MachineError, Status, is_native, kernel, require_machine, status
from pyembed.ops.pair_calls import draw_negatives, pair_loss, pair_step_
from pyembed.ops.path_calls import cbow_hs_step_, skipgram_hs_step_
from pyembed.ops.row_calls import (
    lookup,
    update_rows_adagrad_,
    update_rows_adamw_,
    update_rows_momentum_,
    update_rows_rowwise_adagrad_,
    update_rows_sgd_,
)

__all__ = [
    "MachineError",
    "Status",
    "cbow_batch_step_",
    "cbow_hs_step_",
    "cbow_loss",
    "cbow_step_",
    "deliver",
    "deliver_when_run",
    "draw_negatives",
    "draw_windows",
    "has_bfloat16_products",
    "is_native",
    "keep_tokens",
    "kernel",
    "lookup",
    "new_address",
    "pair_loss",
    "pair_step_",
    "require_machine",
    "skipgram_batch_step_",
    "skipgram_hs_step_",
    "skipgram_loss",
    "skipgram_step_",
    "status",
    "update_rows_adagrad_",
    "update_rows_adamw_",
    "update_rows_momentum_",
    "update_rows_rowwise_adagrad_",
    "update_rows_sgd_",
]
