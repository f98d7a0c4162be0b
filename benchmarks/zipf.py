"""A corpus as Zipf's law would have it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyembed.corpus import TokenIds

SENTENCE = 20
"""Tokens in a sentence."""
_LETTERS = str.maketrans("0123456789", "ghijklmnop")


@dataclass(frozen=True)
class ZipfCorpus:
    """T tokens over V words, the word of rank r as frequent as (r + 2.7) ** -exponent."""

    token_ids: TokenIds
    counts: NDArray[np.int64]
    """int64[V]; a word that was never drawn counts as one."""

    @classmethod
    def of(cls, tokens: int, vocabulary: int, exponent: float = 1.0) -> ZipfCorpus:
        shares = (np.arange(vocabulary) + 2.7) ** -exponent
        draws = np.random.default_rng(0).random(tokens)
        ids = np.searchsorted(np.cumsum(shares / shares.sum()), draws).clip(max=vocabulary - 1).astype(np.int32)
        starts = np.append(np.arange(0, tokens, SENTENCE), tokens)
        counts = np.bincount(ids, minlength=vocabulary).clip(min=1)
        return cls(TokenIds.from_arrays(ids, starts), counts)

    def text(self) -> str:
        """A sentence a line; a word is its rank in letters, so that frequent words are short."""
        words = [f"{rank:x}".translate(_LETTERS) for rank in range(len(self.counts))]
        tokens = [words[id_] for id_ in self.token_ids.ids.tolist()]
        lines = (" ".join(tokens[start : start + SENTENCE]) for start in range(0, len(tokens), SENTENCE))
        return "\n".join(lines) + "\n"
