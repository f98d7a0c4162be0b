"""NegativeSampling: the loss of skip-gram over two tables as one module, for words, items, nodes of graphs."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from typing_extensions import Self

from pyembed import ops
from pyembed.config import Backend
from pyembed.corpus.tables import alias_table
from pyembed.nn.bad_ids import bad_id_error
from pyembed.nn.embedding import Embedding
from pyembed.nn.in_batch import in_batch_loss
from pyembed.nn.pair_tables import (
    embedding_of,
    is_plain,
    kept_at_rest,
    looked_up_loss,
    require_steppable,
    rows_at_rest,
)
from pyembed.reference import RowGradients

Reduction = Literal["mean", "sum"]
Weights = Tensor | npt.ArrayLike

_TRAINING, _EVALUATION = 0, 1
"""The epochs of the draws, which are functions of (seed, epoch, position)."""


class NegativeSampling(torch.nn.Module):
    """Tells what belongs to a center from what does not (Mikolov et al. 2013, arXiv:1310.4546).

    The pair of a center, a row of in_vectors, and a context, a row of out_vectors, has the score of their dot product.

    Drawn negatives: the loss of a pair is -log sigmoid(score) - sum of log sigmoid(-score) over `negative` outputs that
    are drawn from the noise; a draw that equals the context takes no part. Draws are functions of the seed and of how
    many pairs were trained so far, `position`, which is saved with the tables: a run that goes on from a saved state
    draws what it would have drawn. In eval mode every call draws the same negatives and leaves `position` alone. Where
    several processes train together, give each its own seed.

    In-batch negatives: a softmax over the contexts of the batch; see in_batch_loss.

    Args:
        num_embeddings, embedding_dim: V and D, the shape of in_vectors.
        num_outputs: rows of out_vectors; None: V.
        negative: K, 1 to 1000, negatives of a pair.
        noise: [num_outputs], counts of the outputs or any other weights >= 0. The chance to be drawn is proportional to
            noise ** exponent. In-batch, where the batch is what was drawn: the shares of the outputs in all pairs,
            whatever the exponent. None: all are equal.
        exponent: 0.75 as in word2vec.
        in_batch: take the batch's other contexts for negatives; `negative` and `seed` do not matter then.
        seed: >= 0.
        backend: which kernels run; see pyembed.config.Backend.
        device, dtype: of the tables, as in torch.nn.Embedding. step() takes float32 and float64.

    Attributes:
        in_vectors, out_vectors: Embedding modules, which can be frozen, grown, fused with an optimiser and saved alone.
        position: int64[], pairs trained so far.

    Raises:
        ValueError: an argument is out of range; the message says what was expected and what was found.
    """

    position: Tensor
    alias_table: Tensor | None
    log_q: Tensor | None

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        num_outputs: int | None = None,
        *,
        negative: int = 5,
        noise: Weights | None = None,
        exponent: float = 0.75,
        in_batch: bool = False,
        seed: int = 1,
        backend: Backend = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        _tables: tuple[Embedding, Embedding] | None = None,
    ) -> None:
        super().__init__()
        if not 1 <= negative <= 1000:
            raise ValueError(f"negative: expected 1 to 1000, got {negative}")
        if seed < 0:
            raise ValueError(f"seed: expected at least 0, got {seed}")
        self.negative, self.in_batch, self.seed, self.backend = negative, in_batch, seed, backend
        rows = num_embeddings, num_embeddings if num_outputs is None else num_outputs
        self.in_vectors, self.out_vectors = _tables or (
            Embedding(n, embedding_dim, _weight=torch.empty(n, embedding_dim, device=device, dtype=dtype)) for n in rows
        )
        self.register_buffer("position", torch.zeros((), dtype=torch.int64, device=self.out_vectors.weight.device))
        self.register_buffer("alias_table", None)
        self.register_buffer("log_q", None)
        self.set_noise(noise, exponent)
        if _tables is None:
            self.reset_parameters()

    @classmethod
    def from_tables(cls, in_vectors: Embedding | Tensor, out_vectors: Embedding | Tensor, **options: Any) -> Self:
        """Over tables that are there already: modules, or tensors [V, D], whose memory is shared.

        options: as the constructor's, except for the shape, device and dtype. The two may be one table.

        Raises:
            TypeError: a table is neither.
            ValueError: the vectors differ in length, type or device.
        """
        first, second = embedding_of("in_vectors", in_vectors), embedding_of("out_vectors", out_vectors)
        kinds = [(w.shape[1], w.dtype, w.device) for w in (first.weight, second.weight)]
        if kinds[0] != kinds[1]:
            raise ValueError(f"out_vectors: expected the D, dtype and device of in_vectors, {kinds[0]}, got {kinds[1]}")
        return cls(first.num_embeddings, kinds[0][0], second.num_embeddings, _tables=(first, second), **options)

    def reset_parameters(self) -> None:
        """As word2vec: in_vectors uniform in [-1/2D, 1/2D], out_vectors zero.

        In-batch: both normal, of mean length 1. Vectors that near zero all score alike, and a softmax over hundreds of
        equal scores spreads its gradient so thin that training would stay there for long.
        """
        dimensions = self.in_vectors.embedding_dim
        if self.in_batch:
            for table in (self.in_vectors, self.out_vectors):
                torch.nn.init.normal_(table.weight, std=dimensions**-0.5)
        else:
            torch.nn.init.uniform_(self.in_vectors.weight, -0.5 / dimensions, 0.5 / dimensions)
            torch.nn.init.zeros_(self.out_vectors.weight)

    def set_noise(self, noise: Weights | None, exponent: float = 0.75) -> None:
        """Sets what negatives are drawn from, or in-batch what popularity is; arguments and errors as the class'.

        To be called again where out_vectors grew.
        """
        outputs, device = self.out_vectors.num_embeddings, self.out_vectors.weight.device
        given = torch.ones(outputs) if noise is None else torch.as_tensor(noise)
        weights: npt.NDArray[np.float64] = given.detach().cpu().double().numpy()
        if weights.shape != (outputs,):
            raise ValueError(f"noise: expected a weight for each of {outputs} outputs, got shape {weights.shape}")
        if not (np.isfinite(weights).all() and weights.min() >= 0 and weights.max() > 0):
            raise ValueError("noise: expected finite weights >= 0, one of them above 0")
        if self.in_batch:
            # An output that was never counted but stands in a batch all the same is taken for one of the rarest.
            shares = weights.clip(min=weights[weights > 0].min()) / weights.sum()
            self.log_q = torch.from_numpy(np.log(shares)).to(device)
        else:
            self.alias_table = torch.from_numpy(alias_table(weights, exponent)).to(device)

    def forward(self, centers: Tensor, contexts: Tensor, reduction: Reduction = "mean") -> Tensor:
        """The same as loss."""
        return self.loss(centers, contexts, reduction)

    def loss(self, centers: Tensor, contexts: Tensor, reduction: Reduction = "mean") -> Tensor:
        """The pairs' loss, a differentiable scalar of the tables' type; 0 where there are no pairs.

        Args:
            centers, contexts: int32 or int64, of any shape, the same: rows of in_vectors and of out_vectors.
            reduction: over pairs.

        Raises:
            IndexError: an id is out of range.
        """
        centers, contexts = self._pairs(centers, contexts)
        divisor = _divisor(centers, reduction)
        if not len(centers):
            total: Tensor = self.in_vectors(centers).sum() + self.out_vectors(contexts).sum()
        elif self.in_batch:
            total = in_batch_loss(self.in_vectors(centers), self.out_vectors(contexts), contexts, self.log_q, "sum")
        else:
            outputs = self._outputs(contexts, _TRAINING if self.training else _EVALUATION)
            if is_plain(self.in_vectors) and is_plain(self.out_vectors):
                weights = self.in_vectors.weight, self.out_vectors.weight
                total = ops.pair_loss(*weights, centers, outputs, backend=self.backend)
            else:
                total = looked_up_loss(self.in_vectors(centers), self.out_vectors(outputs), outputs)
        return total / divisor

    def step(
        self, centers: Tensor, contexts: Tensor, lr: float, reduction: Reduction = "mean", *, exact: bool = True
    ) -> Tensor:
        """A step of SGD on loss(centers, contexts, reduction), in place, without a gradient. Returns that loss.

        A reduction of "sum" makes lr what word2vec means by it, a rate for each pair. Tables that require no gradient
        stay as they are, and so do frozen and padding rows.

        exact: however often a row stands in the batch, and the same bits for any number of threads. False: as word2vec,
            pairs train one after the other, each on what those before it left, ranges of them in threads without locks;
            large batches over few rows can take a higher rate then. In-batch steps are always exact.

        Raises:
            IndexError: an id is out of range; nothing has changed then.
            ValueError: a table is not of float32 or float64, is limited by max_norm, or computed from other parameters.
        """
        for name, table in (("in_vectors", self.in_vectors), ("out_vectors", self.out_vectors)):
            require_steppable(name, table)
        centers, contexts = self._pairs(centers, contexts)
        divisor = _divisor(centers, reduction)
        with torch.no_grad():
            if self.in_batch:
                return self._in_batch_step(centers, contexts, lr / divisor) / divisor
            return self._drawn_step(centers, contexts, lr / divisor, exact) / divisor

    def _drawn_step(self, centers: Tensor, contexts: Tensor, lr: float, exact: bool) -> Tensor:
        outputs = self._outputs(contexts, _TRAINING)
        tables = self.in_vectors.weight, self.out_vectors.weight
        threads = torch.get_num_threads() if centers.device.type == "cpu" else 0
        with kept_at_rest(self.in_vectors, centers), kept_at_rest(self.out_vectors, outputs):
            total = ops.pair_step_(*tables, centers, outputs, lr, exact=exact, threads=threads, backend=self.backend)
        return total[0]

    def _in_batch_step(self, centers: Tensor, contexts: Tensor, lr: float) -> Tensor:
        lookups = (self.in_vectors, centers), (self.out_vectors, contexts)
        rows = [ops.lookup(table.weight, ids, backend=self.backend).requires_grad_() for table, ids in lookups]
        with torch.enable_grad():
            total = in_batch_loss(rows[0], rows[1], contexts, self.log_q, "sum")
        for (table, ids), gradient in zip(lookups, torch.autograd.grad(total, rows), strict=True):
            given = RowGradients(ids, gradient, frozen=rows_at_rest(table))
            ops.update_rows_sgd_(table.weight, given, lr, backend=self.backend)
        return total.detach()

    def _pairs(self, centers: Tensor, contexts: Tensor) -> tuple[Tensor, Tensor]:
        """Both flat, of one type, and rows of the tables."""
        if centers.shape != contexts.shape:
            raise ValueError(
                f"contexts: expected one for each center, shape {list(centers.shape)}, got {list(contexts.shape)}"
            )
        for name, ids, table in (("centers", centers, self.in_vectors), ("contexts", contexts, self.out_vectors)):
            error = bad_id_error(ids, table.num_embeddings, name)
            if error is not None:
                raise error
        return centers.flatten(), contexts.flatten().to(centers.dtype)

    def _outputs(self, contexts: Tensor, epoch: int) -> Tensor:
        """[B, 1 + K]: each context and its negatives."""
        assert self.alias_table is not None
        first = int(self.position) if epoch == _TRAINING else 0
        drawn = ops.draw_negatives(
            self.alias_table, first, len(contexts), self.negative, self.seed, epoch, backend=self.backend
        )
        if epoch == _TRAINING:
            self.position += len(contexts)
        return torch.cat([contexts[:, None], drawn.to(contexts.dtype)], dim=1)

    def extra_repr(self) -> str:
        how = "in_batch=True" if self.in_batch else f"negative={self.negative}, seed={self.seed}"
        return f"{how}, position={int(self.position)}"


def _divisor(centers: Tensor, reduction: Reduction) -> int:
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction: expected 'mean' or 'sum', got {reduction!r}")
    return max(1, len(centers)) if reduction == "mean" else 1
