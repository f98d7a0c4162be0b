"""The training loop: epochs of blocks, each subsampled while the one before it trains, then a step."""

from __future__ import annotations

import math
from time import perf_counter
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from pyembed import ops
from pyembed.config import TrainConfig
from pyembed.corpus.subsample import Subsampler
from pyembed.corpus.tables import alias_table, frequent_words, keep_thresholds
from pyembed.corpus.token_ids import TokenIds
from pyembed.corpus.vocabulary import Vocabulary
from pyembed.training.blocks import BlockSource, CorpusBlock, HostBlocks
from pyembed.training.device_blocks import DeviceBlocks
from pyembed.training.draws import draws_of, with_products
from pyembed.training.locks import RowLocks
from pyembed.training.progress import TrainingProgress
from pyembed.training.report import EpochReport
from pyembed.training.steps import BlockTrainer
from pyembed.training.tables import Tables


class TrainingError(RuntimeError):
    """Training cannot go on; the message says why and what to change."""


def learning_rate(config: TrainConfig, fraction: float) -> float:
    """Falls linearly from alpha to min_alpha; fraction of all words of all epochs, 0 to 1."""
    return config.learning_rate + (config.min_alpha - config.learning_rate) * fraction


def block_source(subsampler: Subsampler, config: TrainConfig) -> BlockSource:
    """Subsamples where the tables are, if there is a compiled kernel for it."""
    if ops.is_native("keep_tokens", config.backend, config.device):
        return DeviceBlocks(subsampler, torch.device(config.device))
    return HostBlocks(subsampler, torch.device(config.device))


class EpochHooks(Protocol):
    """Called around each epoch of a run, counted from 0 in it. What a hook raises ends the run."""

    def epoch_begins(self, epoch: int) -> None:
        """Before the first block."""

    def epoch_ended(self, epoch: int) -> None:
        """After the last block; the loop's loss, rate and epochs include it."""


class TrainingLoop:
    """Trains tables on a corpus. What it counts is up to date while `run` goes on, so an interrupted run has its share.

    Args:
        first_epoch: number of the first epoch in the draws, so that training that goes on draws anew. The learning
            rate falls from alpha to min_alpha over config.epochs, whatever this is.
        locks: float32[V], what each change of a row of in_vectors is multiplied by: 0 keeps the row as it is. None: 1.

    Attributes:
        epochs: reports of the epochs so far.
        loss: sum over the positive pairs of all blocks so far, in nats.
        rate: the learning rate that was reached.

    Raises:
        ValueError: locks of another shape, or not finite.
        TrainingError (from run): the loss is not a number any more.
        KeyboardInterrupt (from run): Ctrl-C; the tables hold what was trained so far.
    """

    def __init__(
        self,
        tables: Tables,
        vocabulary: Vocabulary,
        token_ids: TokenIds,
        config: TrainConfig,
        *,
        first_epoch: int = 0,
        locks: NDArray[np.float32] | None = None,
    ) -> None:
        config = with_products(config, len(vocabulary))
        self.tables = tables
        self.token_ids = token_ids
        self.config = config
        self.epochs: list[EpochReport] = []
        self.loss = 0.0
        self.rate = config.learning_rate
        self._first_epoch = first_epoch
        self._alias_table = torch.from_numpy(alias_table(vocabulary.counts, config.ns_exponent)).to(config.device)
        thresholds = keep_thresholds(vocabulary.counts, config.sample)
        subsampler = Subsampler(token_ids, thresholds, config.window, config.seed, config.thread_count)
        self._source = block_source(subsampler, config)
        rounding_seed = (config.seed + (first_epoch << 32)) % 2**63  # training that goes on rounds anew, too
        row_locks = None if locks is None else RowLocks(locks, tables.in_padded, rounding_seed)
        held = row_locks if row_locks is not None and row_locks.any else None
        frequent = frequent_words(vocabulary.counts, thresholds)
        self._trainer = BlockTrainer(tables, config, vocabulary.counts, frequent, held)

    def run(self, progress: TrainingProgress, hooks: EpochHooks | None = None) -> None:
        for epoch in range(self.config.epochs):
            if hooks is not None:
                hooks.epoch_begins(epoch)
            self._run_epoch(epoch, progress)
            if hooks is not None:
                hooks.epoch_ended(epoch)

    def _run_epoch(self, epoch: int, progress: TrainingProgress) -> None:
        started = perf_counter()
        config, words = self.config, self.token_ids.n_tokens
        draws = draws_of(config, self._alias_table, self._first_epoch + epoch)
        loss, pairs, trained, seen = 0.0, 0.0, 0, 0
        try:
            for block in self._source.blocks(draws.epoch):
                begin, end = (
                    learning_rate(config, (epoch + edge / words) / config.epochs) for edge in (block.begin, block.end)
                )
                block_loss, block_pairs = self._trainer.train(block.tokens, draws, (begin, end))
                loss, pairs = loss + block_loss, pairs + block_pairs
                trained += block.tokens.center_end - block.tokens.center_begin
                seen = block.end
                self._check(block_loss, epoch, block)
                self.loss, self.rate = self.loss + block_loss, end
                progress.update(block.end - block.begin, epoch + 1, loss / max(pairs, 1), end)
        finally:
            seconds = perf_counter() - started
            if seen:  # an epoch that was interrupted before its first block has nothing to tell
                self.epochs.append(EpochReport(loss / max(pairs, 1), int(pairs), trained, seconds, seen / seconds))

    def _check(self, loss: float, epoch: int, block: CorpusBlock) -> None:
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss became {loss} in epoch {epoch + 1}, between tokens {block.begin:,} and {block.end:,}: "
                f"expected a finite number; lower alpha (now {self.config.learning_rate})"
            )
