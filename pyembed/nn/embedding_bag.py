"""An embedding of bags that stands in for torch.nn.EmbeddingBag."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from pyembed.nn.bad_ids import bad_id_error, require_ids
from pyembed.nn.bag_delivery import look_up_bags
from pyembed.nn.bags import Reduction, entries_of, make_gradient_differentiable, mean_weights, reduce_bags
from pyembed.nn.eager import is_transforming
from pyembed.nn.row_table import RowTable


class EmbeddingBag(RowTable, torch.nn.EmbeddingBag):
    """torch.nn.EmbeddingBag, argument by argument; and what pyembed.nn.Embedding has beyond torch's.

    What torch's lacks and this one does:

    - Second derivatives; vmap, jvp and the other transforms of torch.func at their normal speed.
    - per_sample_weights with mode "mean": each row is multiplied by its weight, then the mean is taken: the sum of
      weight times row, divided by the number of entries. So weights of 1 change nothing, as in mode "sum", and no
      choice of weights divides by 0. Divide the weights by their sum in each bag, times its size, for an average.
    - scale_grad_by_freq that divides by the right frequency where an id stands several times, on the CPU, too.
    - mode "max" with sparse or scale_grad_by_freq.

    Frozen rows, scale_grad_by_freq and a sparse "max" take memory for a row of each entry.
    """

    def forward(self, input: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None) -> Tensor:
        """The sum, mean or max of the rows of each bag: [bags, D], of weight's type; 0 for an empty bag.

        Args:
            input: int32 or int64, 0 to V - 1; [bags, n], or [n] with offsets.
            offsets: of input's type, [bags] ([bags + 1] with include_last_offset): where each bag begins in input.
            per_sample_weights: of weight's type and input's shape; with modes "sum" and "mean".

        Raises:
            IndexError: an id is no row of the table. It is a RuntimeError, too, which torch's module raises.
            ValueError: shapes that do not fit each other.
        """
        weight = self.weight
        try:
            if isinstance(input, Tensor) and not weight.is_cpu:  # a tracer's proxy is none
                require_ids(input, weight.shape[0])
            return self._bags(weight, input, offsets, per_sample_weights)
        except (IndexError, RuntimeError):
            error = bad_id_error(input, weight.shape[0])
            if error is None:
                raise
            raise error from None

    def _bags(self, weight: Tensor, input: Tensor, offsets: Tensor | None, weights: Tensor | None) -> Tensor:
        if weights is not None:
            self._check_weights(input, weights)
        if self.receiver is not None and torch.is_grad_enabled():
            self._renormalise(weight, input)
            return look_up_bags(
                weight,
                input,
                offsets,
                self.receiver,
                mode=self.mode,
                per_sample_weights=weights,
                include_last_offset=self.include_last_offset,
                padding_idx=self.padding_idx,
                scale_grad_by_freq=self.scale_grad_by_freq,
            )
        if weights is not None and self.mode == "mean":
            entries = entries_of(input, offsets, self.include_last_offset)
            weights = mean_weights(entries, weights, self.padding_idx)
        mode = "sum" if weights is not None else self.mode
        again = partial(self._reduce, weight, input, offsets, weights, mode)
        # PyTorch's CPU kernel divides by the frequency of another row where an id stands several times.
        beyond_torch = self.scale_grad_by_freq or (mode == "max" and self.sparse)
        if beyond_torch or self.frozen_rows is not None or is_transforming():
            self._renormalise(weight, input)
            return again()
        output = F.embedding_bag(
            input,
            weight,
            offsets,
            max_norm=self.max_norm,
            norm_type=self.norm_type,
            mode=mode,
            sparse=self.sparse,
            per_sample_weights=weights,
            include_last_offset=self.include_last_offset,
            padding_idx=self.padding_idx,
        )
        if type(output) is Tensor and output.requires_grad and not torch.compiler.is_compiling():
            make_gradient_differentiable(output, [weight] if weights is None else [weight, weights], again)
        return output

    def _check_weights(self, input: Tensor, weights: Tensor) -> None:
        if self.mode == "max":
            raise NotImplementedError(
                "per_sample_weights is only supported for mode='sum' and mode='mean', found mode='max'"
            )
        if weights.shape != input.shape:
            raise ValueError(
                f"per_sample_weights: expected the same shape as the input, {list(input.shape)}, "
                f"found {list(weights.shape)}"
            )

    def _reduce(
        self, weight: Tensor, input: Tensor, offsets: Tensor | None, weights: Tensor | None, mode: str
    ) -> Tensor:
        how = Reduction(mode, self.padding_idx, self.scale_grad_by_freq, self.sparse)
        entries = entries_of(input, offsets, self.include_last_offset)
        return reduce_bags(weight, entries, weights, how, self.frozen_rows)
