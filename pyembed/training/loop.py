"""The training loop: epochs of blocks, each subsampled while the one before it trains, then one call of the op."""

from __future__ import annotations

import math
from functools import partial
from time import perf_counter
from typing import Any

import torch

from pyembed import ops
from pyembed.config import TrainConfig
from pyembed.corpus.subsample import KeptBlock, Subsampler
from pyembed.corpus.tables import alias_table, keep_thresholds
from pyembed.corpus.token_ids import TokenIds
from pyembed.corpus.vocabulary import Vocabulary
from pyembed.reference import Draws, TokenBlock
from pyembed.training.progress import TrainingProgress
from pyembed.training.report import EpochReport
from pyembed.training.tables import Tables

BLOCK_TOKENS = 1 << 20
"""Tokens of the corpus in a block: a few megabytes, and enough work for many threads."""


class TrainingError(RuntimeError):
    """Training cannot go on; the message says why and what to change."""


def learning_rate(config: TrainConfig, fraction: float) -> float:
    """Falls linearly from alpha to min_alpha; fraction of all words of all epochs, 0 to 1."""
    return config.learning_rate + (config.min_alpha - config.learning_rate) * fraction


class TrainingLoop:
    """Trains tables on a corpus. `epochs` fills while `run` goes on, so an interrupted run has its share.

    Raises (from run):
        TrainingError: the loss is not a number any more.
        KeyboardInterrupt: Ctrl-C; the tables hold what was trained so far.
    """

    def __init__(self, tables: Tables, vocabulary: Vocabulary, token_ids: TokenIds, config: TrainConfig) -> None:
        self.tables = tables
        self.token_ids = token_ids
        self.config = config
        self.epochs: list[EpochReport] = []
        self._alias_table = torch.from_numpy(alias_table(vocabulary.counts, config.ns_exponent)).to(config.device)
        self._subsampler = Subsampler(
            token_ids,
            keep_thresholds(vocabulary.counts, config.sample),
            config.window,
            config.seed,
            config.thread_count,
        )
        self._step = self._bind_step()

    def run(self, progress: TrainingProgress) -> None:
        for epoch in range(self.config.epochs):
            self._run_epoch(epoch, progress)

    def _bind_step(self) -> Any:
        options: dict[str, Any] = {"threads": self.config.thread_count, "backend": self.config.backend}
        if self.config.model == "skipgram":
            return partial(ops.skipgram_step_, **options)
        exact_gradient = self.config.cbow_gradient == "exact"
        return partial(ops.cbow_step_, mean=self.config.cbow_mean, exact_gradient=exact_gradient, **options)

    def _run_epoch(self, epoch: int, progress: TrainingProgress) -> None:
        started = perf_counter()
        config, words = self.config, self.token_ids.n_tokens
        draws = Draws(self._alias_table, config.window, config.negative, config.seed, epoch, config.sharing)
        loss, pairs, trained, seen = 0.0, 0.0, 0, 0
        try:
            for block in self._subsampler.blocks(epoch, BLOCK_TOKENS):
                rates = [
                    learning_rate(config, (epoch + edge / words) / config.epochs) for edge in (block.begin, block.end)
                ]
                total = self._step(self.tables.in_padded, self.tables.out_padded, self._on_device(block), draws, *rates)
                block_loss, block_pairs = total.tolist()
                loss, pairs = loss + block_loss, pairs + block_pairs
                trained += block.center_end - block.center_begin
                seen = block.end
                self._check(block_loss, epoch, block)
                progress.update(block.end - block.begin, epoch + 1, loss / max(pairs, 1), rates[1])
        finally:
            seconds = perf_counter() - started
            if seen:  # an epoch that was interrupted before its first block has nothing to tell
                self.epochs.append(EpochReport(loss / max(pairs, 1), int(pairs), trained, seconds, seen / seconds))

    def _on_device(self, block: KeptBlock) -> TokenBlock:
        ids, starts = torch.from_numpy(block.ids), torch.from_numpy(block.sentence_starts)
        device = self.config.device
        return TokenBlock(ids.to(device), starts.to(device), block.first_position, block.center_begin, block.center_end)

    def _check(self, loss: float, epoch: int, block: KeptBlock) -> None:
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss became {loss} in epoch {epoch + 1}, between tokens {block.begin:,} and {block.end:,}: "
                f"expected a finite number; lower alpha (now {self.config.learning_rate})"
            )
