"""Sampling tables: what counts become once, in float64, so that every later draw compares integers only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pyembed.corpus.sampling import alias_columns

_FULL = 2**32

FREQUENT = 3e-4
"""From this share of the kept tokens on a word is frequent: of 1,600 warps that hold the rows of 12 tokens each, as a
large GPU's do, six hold its row at the same time."""


def keep_thresholds(counts: npt.NDArray[np.int64], sample: float) -> npt.NDArray[np.uint32]:
    """counts: int64[V] -> uint32[V]; a token is kept where its random word is at most its word's threshold.

    The probability is reference.keep_probability's; a probability of 1 keeps every token, without exception.
    """
    if sample == 0:
        return np.full(len(counts), _FULL - 1, dtype=np.uint32)
    scaled = np.maximum(counts, 1) / (counts.sum(dtype=np.float64) * sample)
    probability = np.minimum((np.sqrt(scaled) + 1) / scaled, 1.0)
    threshold: npt.NDArray[np.float64] = np.ceil(probability * _FULL) - 1
    return threshold.astype(np.uint32)


def frequent_words(
    counts: npt.NDArray[np.int64], keep_threshold: npt.NDArray[np.uint32], share: float = FREQUENT
) -> int:
    """The id after the last of the words that make up more than `share` of the kept tokens each; 0 if none does.

    counts: int64[V]; keep_threshold: uint32[V]. A training kernel of a GPU holds no row before that id for longer than
    a window. Subsampling keeps the order of counts, so where these descend all ids before it are frequent; where words
    stand in another order the rare ones among them are but trained more slowly.
    """
    kept = counts * (keep_threshold + 1.0)
    frequent = np.flatnonzero(kept > share * kept.sum())
    return int(frequent[-1]) + 1 if len(frequent) else 0


def alias_table(counts: npt.NDArray[np.int64] | npt.NDArray[np.float64], exponent: float) -> npt.NDArray[np.int32]:
    """The noise distribution, proportional to counts ** exponent, as columns of Walker's alias method.

    counts: int64[V], or weights, float64[V]; >= 0, not all 0. Returns int32[V, 2]: the bits of a uint32 threshold
    beside the alias, so that a draw is one access. A column is its own id where the second random word is below the
    threshold, else the alias.

    Raises:
        ValueError: every count is 0.

    Source: Vose, "A linear algorithm for generating random numbers with a given distribution", 1991.
    """
    occurs = counts > 0
    if not occurs.any():
        raise ValueError("counts: expected at least one above 0, found none")
    logarithms = exponent * np.log(np.where(occurs, counts, 1))
    # relative to the largest weight, so that no exponent overflows; a word that never occurs is never drawn
    weights = np.where(occurs, np.exp(logarithms - logarithms[occurs].max()), 0.0)
    probability, alias = alias_columns(weights * (len(counts) / weights.sum()))
    table = np.empty((len(counts), 2), dtype=np.uint32)
    table[:, 0] = np.minimum(np.floor(probability * _FULL), _FULL - 1)
    table[:, 1] = alias
    return table.view(np.int32)
