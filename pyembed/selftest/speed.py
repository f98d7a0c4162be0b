"""Times training steps on a device, on the CPU, and sets what a model of the GPU expects beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from statistics import median
from time import perf_counter
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pyembed import ops
from pyembed.config import TrainConfig
from pyembed.corpus.tables import alias_table, frequent_words, keep_thresholds
from pyembed.reference import Draws, TokenBlock
from pyembed.selftest.cases import block_on, draws_on
from pyembed.selftest.gpu_costs import Setting
from pyembed.selftest.gpu_model import predict
from pyembed.selftest.gpus import gpu_named
from pyembed.selftest.results import Speed
from pyembed.training.draws import draws_of
from pyembed.training.tables import new_tables

_WORDS = 100_000
_SENTENCE = 20
_SAMPLE = 1e-3
_TOKENS = {"cuda": 1 << 22, "cpu": 1 << 18, "torch": 1 << 14}
"""How many each kind of kernel is timed with."""
_ROUNDS = 3

_BASE = TrainConfig(vector_size=128, negatives_from="window")
SETTINGS = (
    _BASE,
    replace(_BASE, table_dtype="bfloat16"),
    replace(_BASE, negatives_from="pool"),
    replace(_BASE, write_back="store"),
    replace(_BASE, model="cbow"),
)


def speeds(device: str) -> Iterator[Speed]:
    """One setting after the other. Words follow Zipf's law, thinned as subsampling does, in sentences of 20."""
    gpu = gpu_named(torch.cuda.get_device_name(device)) if device != "cpu" else None
    words = _Words.by_zipf()
    frequent = float(words.kept[: words.frequent].sum())
    for config in SETTINGS:
        if device == "cpu" and config.write_back != _BASE.write_back:
            continue  # which the CPU ignores
        on_cpu = words_per_second(config, "cpu")
        setting = Setting.of(config, sentence=_SENTENCE, rows=_WORDS, frequent=frequent)
        prediction = predict(gpu, setting) if gpu else None
        yield Speed(
            setting=describe(config),
            words_per_second=on_cpu if device == "cpu" else words_per_second(config, device),
            cpu_words_per_second=None if device == "cpu" else on_cpu,
            model_words_per_second=prediction.words_per_second if prediction else None,
            limit=prediction.limit if prediction else None,
        )


def describe(config: TrainConfig) -> str:
    negatives = {"pool": f"pool of {config.windows_shared}"}.get(config.negatives_shared_by, config.negatives_shared_by)
    return (
        f"{config.model} D={config.vector_size} {config.table_dtype} window={config.window} K={config.negative} "
        f"per {negatives}, {config.write_back}"
    )


def words_per_second(config: TrainConfig, device: str) -> float:
    """Trained words a second of one step over a block, the median of three after one to warm up."""
    native = ops.is_native(f"{config.model}_step_", config.backend, device)
    tokens = _TOKENS[torch.device(device).type if native else "torch"]
    words = _Words.by_zipf()
    block, draws = words.block(config, tokens)
    on_device = block_on(block, device), draws_on(draws, device)
    tables = new_tables(_WORDS, replace(config, device=device))
    in_padded, out_padded = tables.padded
    step = ops.skipgram_step_ if config.model == "skipgram" else ops.cbow_step_

    def timed() -> float:
        started = perf_counter()
        both, rates = (in_padded, out_padded), (0.01, 0.01)
        total = step(*both, *on_device, *rates, threads=0, write_back=config.write_back, frequent=words.frequent)
        total.tolist()  # waits for the device
        return perf_counter() - started

    timed()
    return tokens / median(timed() for _ in range(_ROUNDS))


class _Words(NamedTuple):
    """A corpus by Zipf's law, after subsampling."""

    counts: NDArray[np.int64]
    """Before it."""
    kept: NDArray[np.float64]
    """Shares of the words after it."""
    frequent: int
    """The first so many words are frequent, as the trainer has it."""

    @classmethod
    def by_zipf(cls) -> _Words:
        counts = (1e9 / (np.arange(_WORDS) + 2.7)).astype(np.int64)
        thresholds = keep_thresholds(counts, _SAMPLE)
        kept = counts * (thresholds + 1.0)
        return cls(counts, kept / kept.sum(), frequent_words(counts, thresholds))

    def block(self, config: TrainConfig, tokens: int) -> tuple[TokenBlock, Draws]:
        draws = np.random.default_rng(0).random(tokens)
        ids = np.searchsorted(np.cumsum(self.kept), draws).clip(max=_WORDS - 1)
        starts = torch.arange(0, tokens + 1, _SENTENCE)
        starts[-1] = tokens
        table = torch.from_numpy(alias_table(self.counts, config.ns_exponent))
        block = TokenBlock(torch.from_numpy(ids.astype(np.int32)), starts, 0, 0, tokens)
        return block, draws_of(config, table, epoch=0)
