"""The usual hand-written PyTorch loop on the windows and negatives of a training step: words/s, and how much slower."""

from __future__ import annotations

import statistics
import timeit

import pytest
import torch
from measure import Measure
from step import Step
from zipf import ZipfCorpus

from pyembed.bench.embedding_loop import EmbeddingLoop, batches, pairs_of
from pyembed.config import Model, TrainConfig, usable_cores


@pytest.mark.parametrize("model", ["skipgram", "cbow"])
def test_loop(model: Model, tiny: bool, measure: Measure) -> None:
    torch.set_num_threads(usable_cores())
    corpus = ZipfCorpus.of(5_000, 500) if tiny else ZipfCorpus.of(100_000, 100_000)
    config = TrainConfig(model=model, negatives_from="window")
    step = Step(corpus, config)
    loop = EmbeddingLoop(len(corpus.counts), config.vector_size, config.model, config.learning_rate)
    pairs = pairs_of(step.block, step.draws, config.model)

    def run() -> None:
        for batch in batches(pairs):
            loop.step(batch)

    measure(run, rounds=3, words=step.words)
    if measure.seconds is not None:
        own = statistics.median(timeit.repeat(step, number=1, repeat=5))
        measure.note(**{"times as long as pyembed": measure.seconds / own})
