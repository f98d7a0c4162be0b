"""The training loop: epochs of blocks, each subsampled while the one before it trains, then one call of the op."""

from __future__ import annotations

import math
from functools import partial
from time import perf_counter
from typing import Any

import torch

from pyembed import ops
from pyembed.config import TrainConfig
from pyembed.corpus.subsample import Subsampler
from pyembed.corpus.tables import alias_table, frequent_words, keep_thresholds
from pyembed.corpus.token_ids import TokenIds
from pyembed.corpus.vocabulary import Vocabulary
from pyembed.reference import Draws
from pyembed.training.blocks import BlockSource, CorpusBlock, HostBlocks
from pyembed.training.device_blocks import DeviceBlocks
from pyembed.training.progress import TrainingProgress
from pyembed.training.report import EpochReport
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


def windows_at_once(config: TrainConfig) -> int:
    """The `threads` of a step: the CPU's, or warps of a GPU, as many as it holds unless one is asked for."""
    if torch.device(config.device).type == "cpu":
        return config.thread_count
    return 1 if config.threads == 1 else 0


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
        thresholds = keep_thresholds(vocabulary.counts, config.sample)
        subsampler = Subsampler(token_ids, thresholds, config.window, config.seed, config.thread_count)
        self._source = block_source(subsampler, config)
        self._step = self._bind_step(frequent_words(vocabulary.counts, thresholds))

    def run(self, progress: TrainingProgress) -> None:
        for epoch in range(self.config.epochs):
            self._run_epoch(epoch, progress)

    def _bind_step(self, frequent: int) -> Any:
        options: dict[str, Any] = {
            "threads": windows_at_once(self.config),
            "write_back": self.config.write_back,
            "frequent": frequent,
            "backend": self.config.backend,
        }
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
            for block in self._source.blocks(epoch):
                rates = [
                    learning_rate(config, (epoch + edge / words) / config.epochs) for edge in (block.begin, block.end)
                ]
                total = self._step(self.tables.in_padded, self.tables.out_padded, block.tokens, draws, *rates)
                block_loss, block_pairs = total.tolist()
                loss, pairs = loss + block_loss, pairs + block_pairs
                trained += block.tokens.center_end - block.tokens.center_begin
                seen = block.end
                self._check(block_loss, epoch, block)
                progress.update(block.end - block.begin, epoch + 1, loss / max(pairs, 1), rates[1])
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
