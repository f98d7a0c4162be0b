"""Scores of candidates for phrases: of many at once, by the two formulas that have a name or by a function.

`default` is that of Mikolov et al. 2013 (arXiv:1310.4546, section 4), times the number of words and candidates, which
makes thresholds independent of the size of the text. `npmi` is normalised pointwise mutual information (Bouma 2009).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Scoring = str | Callable[..., float]
"""`default`, `npmi`, or a function of the six numbers that SCORER_ARGUMENTS names."""

SCORER_ARGUMENTS = ("worda_count", "wordb_count", "bigram_count", "len_vocab", "min_count", "corpus_word_count")
"""By these names a function of one's own is called: counts of first word, last word and candidate, how many words and
candidates there are, the smallest count, and the tokens of the corpus."""


@dataclass(frozen=True)
class Rule:
    """What makes a phrase of a candidate.

    Raises:
        ValueError: a value is out of its range, or `scoring` is nothing that scores.
    """

    min_count: float
    threshold: float
    scoring: Scoring

    def __post_init__(self) -> None:
        if not self.min_count > 0:
            raise ValueError(f"min_count: expected a number above 0, found {self.min_count!r}")
        if callable(self.scoring):
            parameters = inspect.signature(self.scoring).parameters
            takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
            missing = [name for name in SCORER_ARGUMENTS if name not in parameters]
            if missing and not takes_all:
                raise ValueError(f"scoring: expected a function that takes {', '.join(missing)} too")
        elif self.scoring == "default":
            if not self.threshold > 0:
                raise ValueError(
                    f"threshold: expected a number above 0 for 'default' scoring, found {self.threshold!r}"
                )
        elif self.scoring == "npmi":
            if not -1 <= self.threshold <= 1:
                raise ValueError(f"threshold: expected -1 to 1 for 'npmi' scoring, found {self.threshold!r}")
        else:
            raise ValueError(f"scoring: expected 'default', 'npmi' or a function, found {self.scoring!r}")

    @property
    def least_count(self) -> int:
        """What occurs less often is no phrase, whatever else is known of it."""
        if callable(self.scoring):
            return 1
        return math.floor(self.min_count) + 1 if self.scoring == "default" else math.ceil(self.min_count)

    def scores(
        self,
        first_counts: NDArray[np.int64],
        last_counts: NDArray[np.int64],
        counts: NDArray[np.int64],
        len_vocab: int,
        corpus_word_count: int,
    ) -> NDArray[np.float64]:
        """[n]: of n candidates, by the counts of their first words, their last words and their own."""
        if callable(self.scoring):
            others: dict[str, Any] = {
                "len_vocab": len_vocab,
                "min_count": self.min_count,
                "corpus_word_count": corpus_word_count,
            }
            each = zip(first_counts.tolist(), last_counts.tolist(), counts.tolist(), strict=True)
            score = self.scoring
            return np.array(
                [score(worda_count=a, wordb_count=b, bigram_count=ab, **others) for a, b, ab in each], float
            )
        a, b, ab = (numbers.astype(np.float64) for numbers in (first_counts, last_counts, counts))
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.scoring == "default":
                return (ab - self.min_count) / (a * b) * len_vocab
            tokens = float(corpus_word_count)
            share = ab / tokens
            scores: NDArray[np.float64] = np.log(share / (a / tokens * (b / tokens))) / -np.log(share)
            return np.where(ab >= self.min_count, scores, -np.inf)
