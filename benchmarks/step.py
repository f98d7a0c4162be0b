"""A training step as the benchmarks run it: what it works on, and what it costs by count."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import torch
from zipf import ZipfCorpus

from pyembed import ops
from pyembed.bench.embedding_loop import first_block
from pyembed.config import TrainConfig
from pyembed.training.tables import new_tables

_STEPS: dict[str, Callable[..., torch.Tensor]] = {"skipgram": ops.skipgram_step_, "cbow": ops.cbow_step_}
_FLOAT = 4


class Step:
    """step() trains the whole corpus, subsampled, as one block, and returns float64[2], as the ops do."""

    def __init__(self, corpus: ZipfCorpus, config: TrainConfig) -> None:
        self.config = config
        self.words = corpus.token_ids.n_tokens
        """Of the corpus, before subsampling."""
        self.block, self.draws, _ = first_block(corpus.token_ids, corpus.counts, config, self.words)
        self._tables = new_tables(len(corpus.counts), config)

    def __call__(self) -> torch.Tensor:
        step, tables = _STEPS[self.config.model], self._tables
        threads = self.config.thread_count
        return step(tables.in_padded, tables.out_padded, self.block, self.draws, 0.01, 0.01, threads=threads)

    @property
    def windows(self) -> int:
        return self.block.center_end - self.block.center_begin

    @cached_property
    def pairs(self) -> float:
        """A skip-gram's are of a context and its center, CBOW's of a window and its center."""
        return float(self()[1])

    def operations(self) -> float:
        """Floating-point operations that the algorithm needs: 2 D for a pair's score with an output, 4 D for the two
        updates. What it costs to sum a window's contexts for CBOW is not counted."""
        return 6 * self.config.vector_size * (1 + self.config.negative) * self.pairs

    def bytes_a_window(self) -> float:
        """Read and written, were nothing in a cache: the rows of skip-gram's contexts, the center and the negatives."""
        contexts = self.pairs / self.windows
        rows = contexts + 1 + self.config.negative
        return 2 * rows * self._tables.in_padded.shape[1] * _FLOAT
