"""A training step on a block: words/s, and operations/s beside the peak of the cores, measured in the same process."""

from __future__ import annotations

import pytest
from fma_peak import fma_peak
from measure import Measure
from step import Step
from zipf import ZipfCorpus

from pyembed.config import Model, NegativesFrom, TrainConfig, usable_cores


@pytest.mark.parametrize("threads", sorted({1, usable_cores()}))
@pytest.mark.parametrize("dimensions", [50, 100, 128, 200, 300, 512, 1024])
@pytest.mark.parametrize("negatives_from", ["window", "batch"])
@pytest.mark.parametrize("model", ["skipgram", "cbow"])
def test_step(
    model: Model,
    negatives_from: NegativesFrom,
    dimensions: int,
    threads: int,
    corpus: ZipfCorpus,
    measure: Measure,
) -> None:
    options = {"vector_size": dimensions, "negatives_from": negatives_from, "threads": threads}
    step = Step(corpus, TrainConfig(model=model, **options))
    peak = fma_peak()
    peaks = {} if peak is None else {"operations": threads * peak}
    measure(step, peaks=peaks, words=step.words, operations=step.operations())
