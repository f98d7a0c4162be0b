"""The hand-written PyTorch loop, on the first words of the corpus only, because it is slow."""

from __future__ import annotations

import time
from dataclasses import replace

from pyembed.bench.job import Job, Outcome
from pyembed.bench.machine import version_of

INSTALL = "pip install torch"
NOTE = (
    "the usual hand-written loop, nn.Embedding(sparse=True) and SGD, 4,096 pairs a step. It is slow, so it trains once "
    "on the first words of the corpus and is not scored; its pairs are drawn before its clock starts."
)
WHOLE = False


def installed() -> str | None:
    return version_of("torch")


def train(job: Job) -> Outcome:
    import torch

    from pyembed.bench.embedding_loop import EmbeddingLoop, batches, first_block, pairs_of
    from pyembed.config import CorpusConfig
    from pyembed.corpus import ingest_files

    training = replace(job.training, negatives_from="window")
    torch.set_num_threads(training.thread_count)
    torch.manual_seed(training.seed)
    started = time.perf_counter()
    corpus = ingest_files([job.corpus], CorpusConfig(min_count=job.min_count), threads=training.thread_count)
    read = time.perf_counter()
    block, draws, words = first_block(corpus.token_ids, corpus.vocabulary.counts, training, job.few_words)
    pairs = pairs_of(block, draws, training.model)
    rows = len(corpus.vocabulary.words)
    loop = EmbeddingLoop(rows, training.vector_size, training.model, training.learning_rate)
    prepared = time.perf_counter()
    for batch in batches(pairs):
        loop.step(batch)
    stages = {"read": read - started, "prepare": prepared - read, "train": time.perf_counter() - prepared}
    with_dropped = words * corpus.report.raw_tokens / corpus.report.kept_tokens
    return Outcome(stages=stages, words=round(with_dropped))
