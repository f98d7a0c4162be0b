"""Subsampling an epoch: raw words/s."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from zipf import ZipfCorpus

from pyembed.config import usable_cores
from pyembed.corpus.subsample import Subsampler
from pyembed.corpus.tables import keep_thresholds

BLOCK_TOKENS = 1 << 20


@pytest.mark.parametrize("threads", sorted({1, usable_cores()}))
def test_an_epoch(threads: int, corpus: ZipfCorpus, measure: Callable[..., Any]) -> None:
    thresholds = keep_thresholds(corpus.counts, 1e-3)
    subsampler = Subsampler(corpus.token_ids, thresholds, window=5, seed=1, threads=threads)

    def epoch() -> int:
        return sum(block.center_end - block.center_begin for block in subsampler.blocks(0, BLOCK_TOKENS))

    kept = measure(epoch, words=corpus.token_ids.n_tokens)
    assert 0 < kept < corpus.token_ids.n_tokens
