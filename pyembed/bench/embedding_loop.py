"""The usual hand-written loop: two sparse nn.Embedding tables, a loss from their dot products, backward, SGD.

It takes pyembed's own windows and negatives, drawn beforehand, so that what is timed is nothing but lookups, loss,
gradients and updates; a loop that draws its pairs itself is slower still.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from pyembed.config import Model, TrainConfig
from pyembed.corpus import TokenIds
from pyembed.corpus.subsample import Subsampler
from pyembed.corpus.tables import alias_table, keep_thresholds
from pyembed.reference import Draws, TokenBlock, windows
from pyembed.training.draws import draws_of

BATCH = 4096
"""Pairs of a step; more are faster and learn less."""


class Pairs(NamedTuple):
    """B training examples of either model. The true output stands first."""

    contexts: Tensor
    """int64[B] for skip-gram; int64[B, 2W] for CBOW, V where there is none."""
    outputs: Tensor
    """int64[B, N]."""


class EmbeddingLoop:
    """Two tables and an optimizer, as many a tutorial has them."""

    def __init__(self, rows: int, dimensions: int, model: Model, lr: float) -> None:
        self.into: nn.Module
        if model == "skipgram":
            self.into = nn.Embedding(rows, dimensions, sparse=True)
        else:
            self.into = nn.EmbeddingBag(rows + 1, dimensions, mode="mean", sparse=True, padding_idx=rows)
        self.out = nn.Embedding(rows, dimensions, sparse=True)
        self.optimizer = torch.optim.SGD([*self.into.parameters(), *self.out.parameters()], lr)

    def step(self, pairs: Pairs) -> None:
        hidden, outputs = self.into(pairs.contexts), self.out(pairs.outputs)  # [B, D], [B, N, D]
        scores = torch.bmm(outputs, hidden[:, :, None])[:, :, 0]
        loss = -(logsigmoid(scores[:, 0]).sum() + logsigmoid(-scores[:, 1:]).sum())
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def pairs_of(block: TokenBlock, draws: Draws, model: Model) -> Pairs:
    """What a training step of pyembed would train on the block."""
    drawn = windows(block, draws, block.center_begin, block.center_end)
    if model == "cbow":
        rows = draws.alias_table.shape[0]
        return Pairs(drawn.contexts.masked_fill(~drawn.context_mask, rows), drawn.outputs)
    window, place = drawn.context_mask.nonzero(as_tuple=True)
    return Pairs(drawn.contexts[window, place], drawn.outputs[window])


def batches(pairs: Pairs) -> Iterator[Pairs]:
    yield from map(Pairs, pairs.contexts.split(BATCH), pairs.outputs.split(BATCH))


def first_block(
    token_ids: TokenIds, counts: NDArray[np.int64], config: TrainConfig, words: int
) -> tuple[TokenBlock, Draws, int]:
    """What the first so many words of an epoch become after subsampling; and how many there were.

    counts: int64[V].
    """
    subsampler = Subsampler(token_ids, keep_thresholds(counts, config.sample), config.window, config.seed)
    kept = next(subsampler.blocks(0, words))
    ids, starts = torch.from_numpy(kept.ids), torch.from_numpy(kept.sentence_starts)
    block = TokenBlock(ids, starts, kept.first_position, kept.center_begin, kept.center_end)
    table = torch.from_numpy(alias_table(counts, config.ns_exponent))
    return block, draws_of(config, table, epoch=0), kept.end - kept.begin
