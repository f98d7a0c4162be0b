"""A training step as the benchmarks run it: what it works on, and what it costs by count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

import torch
from zipf import ZipfCorpus

from pyembed import ops
from pyembed.bench.embedding_loop import first_block
from pyembed.config import TrainConfig
from pyembed.reference import contexts_of
from pyembed.training.draws import with_products
from pyembed.training.tables import new_tables

_STEPS: dict[tuple[str, bool], Callable[..., torch.Tensor]] = {
    ("skipgram", False): ops.skipgram_step_,
    ("skipgram", True): ops.skipgram_batch_step_,
    ("cbow", False): ops.cbow_step_,
    ("cbow", True): ops.cbow_batch_step_,
}
"""By model, and whether windows train together."""
_WINDOWS_LOOKED_AT = 100_000


class Step:
    """step() trains the whole corpus, subsampled, as one block, and returns float64[2], as the ops do."""

    def __init__(self, corpus: ZipfCorpus, config: TrainConfig) -> None:
        self.config = config = with_products(config, len(corpus.counts))
        self.words = corpus.token_ids.n_tokens
        """Of the corpus, before subsampling."""
        self.block, self.draws, _ = first_block(corpus.token_ids, corpus.counts, config, self.words)
        self._tables = new_tables(len(corpus.counts), config)

    def __call__(self) -> torch.Tensor:
        step, tables = _STEPS[self.config.model, self.draws.together], self._tables
        options = {"products": self.config.products} if self.draws.together else {}
        options["threads"] = self.config.thread_count
        return step(tables.in_padded, tables.out_padded, self.block, self.draws, 0.01, 0.01, **options)

    @property
    def windows(self) -> int:
        return self.block.center_end - self.block.center_begin

    @cached_property
    def pairs(self) -> float:
        """A skip-gram's are of a context and its center, CBOW's of a window and its center."""
        return float(self()[1])

    def operations(self) -> float:
        """Floating-point operations that the algorithm needs: 2 D for a pair's score with an output, 4 D for the two
        updates. Negatives of a batch, which are fewer, are counted as those that they stand for. What it costs to sum a
        window's contexts for CBOW is not counted."""
        return 6 * self.config.vector_size * (1 + self.draws.negative * self.draws.negative_weight) * self.pairs

    def bytes_a_window(self) -> float:
        """Read and written, were nothing in a cache: the rows of the contexts, the center and the negatives, or its
        share of those that windows have in common."""
        rows = self._contexts_a_window() + 1 + self.draws.negative / max(self.draws.sharing, 1)
        return 2 * rows * self._tables.in_padded[0].nbytes

    def _contexts_a_window(self) -> float:
        """One that several windows have which train together counts once."""
        places = replace(self.block, ids=torch.arange(len(self.block.ids)))
        center = torch.arange(self.block.center_begin, self.block.center_end)[:_WINDOWS_LOOKED_AT]
        contexts, present = contexts_of(places, self.draws, center)
        batch = (center + self.block.first_position) // self.draws.batch
        distinct = (batch[:, None] * len(places.ids) + contexts)[present].unique()
        return len(distinct) / len(center)
