"""An embedding that stands in for torch.nn.Embedding."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import has_torch_function_variadic

from pyembed.nn import delivery
from pyembed.nn.bad_ids import bad_id_error, require_ids
from pyembed.nn.row_table import RowTable


class Embedding(RowTable, torch.nn.Embedding):
    """torch.nn.Embedding, argument by argument; and rows that can be frozen or added, and an optimiser fused in.

    What it does beyond torch's:

    - An id that is no row of the table raises an IndexError that names its position, its value and the range, on every
      device. On a GPU that is found out before the kernel runs.
    - freeze_rows, unfreeze_rows, grow.
    - pyembed.optim.fuse(embedding, ...): loss.backward() then updates the rows that were looked up.
    """

    def forward(self, input: Tensor) -> Tensor:
        """The rows at these ids: [..., D], of weight's type. input: int32 or int64 of any shape, 0 to V - 1.

        Raises:
            IndexError: an id is no row of the table.
        """
        weight = self.weight
        try:
            if isinstance(input, Tensor) and not weight.is_cpu:  # a tracer's proxy is none
                require_ids(input, weight.shape[0])
            if self.receiver is not None and torch.is_grad_enabled():
                self._renormalise(weight, input)
                return delivery.lookup(weight, input, self.receiver, scale_grad_by_freq=self.scale_grad_by_freq)
            if (
                self.padding_idx is None
                and self.max_norm is None
                and not self._buffers
                and not has_torch_function_variadic(weight, input)
            ):
                # What the function of torch.nn.functional comes to then, sooner.
                no_padding = -1
                return torch.embedding(weight, input, no_padding, self.scale_grad_by_freq, self.sparse)
            return self._by_options(weight, input)
        except IndexError:
            error = bad_id_error(input, weight.shape[0])
            if error is None:
                raise
            raise error from None

    def _by_options(self, weight: Tensor, input: Tensor) -> Tensor:
        frozen, max_norm = self.frozen_rows, self.max_norm
        if frozen is not None:
            self._renormalise(weight, input)
            max_norm = None
        rows = F.embedding(
            input, weight, self.padding_idx, max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse
        )
        return rows if frozen is None else torch.where(frozen[input].unsqueeze(-1), rows.detach(), rows)
