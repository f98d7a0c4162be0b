"""From runs to rows: medians over the rounds, and ratios to pyembed round by round."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

from pyembed.bench.results import Comparison, Run


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A median over the rounds, with the lowest and the highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        return cls(median=statistics.median(values), low=min(values), high=max(values))


@dataclass(frozen=True, kw_only=True)
class Row:
    """One program at one number of epochs, over the rounds that went well."""

    program: str
    epochs: int
    rounds: int
    whole: bool
    """Whether it trained on the whole corpus; if not, only its rate compares."""
    train_seconds: Spread
    seconds: Spread
    words_per_second: Spread
    peak_memory: Spread
    scores: dict[str, Spread]
    train_ratio: float
    """How many times slower than pyembed it trains, by words a second: the median of the rounds' ratios. NaN without
    a run of pyembed to compare with."""
    ratio: float
    """The same for the whole run, from text to saved vectors."""


def rows(comparison: Comparison) -> list[Row]:
    """By number of epochs, then in the order of the programs."""
    good = [run for run in comparison.runs if run.error is None]
    kinds = dict.fromkeys((run.epochs, run.program) for run in good)
    order = comparison.settings.programs
    return [
        _row(program, [run for run in good if (run.epochs, run.program) == (epochs, program)], good)
        for epochs, program in sorted(kinds, key=lambda kind: (kind[0], order.index(kind[1])))
    ]


def _row(program: str, runs: list[Run], good: list[Run]) -> Row:
    epochs, whole = runs[0].epochs, runs[0].whole
    own = [run for run in good if run.program == "pyembed"]
    # A rate hardly depends on the number of epochs, so one of few words may stand beside the fewest there are.
    beside = epochs if whole else min((run.epochs for run in own), default=epochs)
    pairs = [(run, other) for run in runs for other in own if (other.epochs, other.seed) == (beside, run.seed)]
    return Row(
        program=program,
        epochs=epochs,
        rounds=len(runs),
        whole=whole,
        train_seconds=Spread.of([run.stages["train"] for run in runs]),
        seconds=Spread.of([run.seconds for run in runs]),
        words_per_second=Spread.of([run.words_per_second for run in runs]),
        peak_memory=Spread.of([run.peak_memory for run in runs]),
        scores={name: Spread.of([run.scores[name] for run in runs]) for name in runs[0].scores},
        train_ratio=_median_or_nan([other.words_per_second / run.words_per_second for run, other in pairs]),
        ratio=_median_or_nan([run.seconds / other.seconds for run, other in pairs] if whole else []),
    )


def _median_or_nan(values: list[float]) -> float:
    return statistics.median(values) if values else math.nan
