"""A training step on a block: trained words/s, and floating-point operations/s counted as 6 D (K + 1) a pair.

A pair of skip-gram is a context, one of CBOW a window; what it costs to sum a window's contexts is not counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from zipf import ZipfCorpus

from pyembed import ops
from pyembed.config import TrainConfig, usable_cores
from pyembed.corpus.tables import alias_table
from pyembed.reference import Draws, TokenBlock
from pyembed.training.tables import new_tables

STEPS: dict[str, Callable[..., torch.Tensor]] = {"skipgram": ops.skipgram_step_, "cbow": ops.cbow_step_}


@pytest.mark.parametrize("threads", sorted({1, usable_cores()}))
@pytest.mark.parametrize("dimensions", [100, 300])
@pytest.mark.parametrize("model", STEPS)
def test_step(model: str, dimensions: int, threads: int, corpus: ZipfCorpus, measure: Callable[..., Any]) -> None:
    config = TrainConfig(vector_size=dimensions)
    T = corpus.token_ids.n_tokens
    ids, starts = (torch.tensor(array) for array in (corpus.token_ids.ids, corpus.token_ids.sentence_starts))
    block = TokenBlock(ids, starts, first_position=0, center_begin=0, center_end=T)
    draws = Draws(torch.from_numpy(alias_table(corpus.counts, 0.75)), config.window, config.negative, seed=1, epoch=0)
    tables = new_tables(len(corpus.counts), config)

    def step() -> torch.Tensor:
        return STEPS[model](tables.in_padded, tables.out_padded, block, draws, 0.01, 0.01, threads=threads)

    pairs = float(step()[1])
    operations = 6 * dimensions * (1 + config.negative) * pairs
    measure(step, words=T, operations=operations)
