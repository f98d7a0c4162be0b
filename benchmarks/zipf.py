"""A corpus as Zipf's law would have it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyembed.corpus import TokenIds

SENTENCE = 20
"""Tokens in a sentence."""


@dataclass(frozen=True)
class ZipfCorpus:
    """T tokens over V words, the word of rank r as frequent as 1 / (r + 2.7)."""

    token_ids: TokenIds
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, tokens: int, vocabulary: int) -> ZipfCorpus:
        shares = 1 / (np.arange(vocabulary) + 2.7)
        draws = np.random.default_rng(0).random(tokens)
        ids = np.searchsorted(np.cumsum(shares / shares.sum()), draws).clip(max=vocabulary - 1).astype(np.int32)
        starts = np.append(np.arange(0, tokens, SENTENCE), tokens)
        counts = np.bincount(ids, minlength=vocabulary).clip(min=1)
        return cls(TokenIds.from_arrays(ids, starts), counts)
