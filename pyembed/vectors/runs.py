"""Scores of settings that were run several times, with other seeds: what is left when luck is accounted for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path

import numpy as np

from pyembed.vectors.analogies import answer_analogies
from pyembed.vectors.arrays import BoolArray, Float64Array, Int64Array
from pyembed.vectors.outcomes import Outcome, answer_pairs, of_answers
from pyembed.vectors.search import Searchable
from pyembed.vectors.statistics import Interval, bootstrap


@dataclass(frozen=True, kw_only=True)
class RunsDifference:
    """A setting's mean score less that of the first setting."""

    first: str
    """The name of the first setting."""
    mean: float
    """Both means are over the questions that count in every run of both settings."""
    interval: Interval
    """Paired: a resample draws the same questions for both settings, and runs of each of its own."""
    common: int
    """How many questions that is."""


@dataclass(frozen=True, kw_only=True)
class RunsScore:
    """The scores of several runs of one setting in one test."""

    name: str
    """Of the test: its file's name without the suffix."""
    scores: list[float]
    """Of each run, over the questions that count in it: Spearman's rank correlation, or the share answered right."""
    counted: list[int]
    """Of each run: how many questions count, since all their words have vectors."""
    total: int
    """Questions in the file."""
    mean: float
    """Of the scores; NaN where one of them is."""
    deviation: float
    """The standard deviation of the scores, with one run less in the denominator; NaN of a single run."""
    interval: Interval
    """Of the mean, for other questions and other seeds. Of a single run it is for other questions alone."""
    difference: RunsDifference | None
    """To the first setting; None of that itself."""


def evaluate_runs(
    settings: Mapping[str, Iterable[Searchable]],
    *,
    pairs: Sequence[str | os.PathLike[str]] = (),
    analogies: str | os.PathLike[str] | None = None,
    restrict_vocab: int | None = 30_000,
    confidence: float = 0.95,
    resamples: int = 1_000,
    seed: int = 1,
) -> dict[str, list[RunsScore]]:
    """Scores several runs of each setting: their mean, how far they lie apart, and whether settings differ.

    The intervals are those of a bootstrap in two directions, which draws questions and runs independently of each
    other, each with replacement, and takes the mean of the drawn runs' scores in the drawn questions: the pigeonhole
    bootstrap (A. B. Owen, The pigeonhole bootstrap, Annals of Applied Statistics 1(2), 2007; it errs towards wide
    intervals). Of R runs R - 1 are drawn, so that few of them do not make the seeds' part too small (J. N. K. Rao and
    C. F. J. Wu, Resampling inference with complex survey data, JASA 83, 1988). Questions are drawn as in
    `evaluate_word_pairs` and `evaluate_word_analogies`.

    Args:
        settings: the runs of each setting by its name, the first of which the others are compared with. Runs are
            looked at one after another, once, so that a generator need not hold them all.
        pairs: files of word pairs, see `evaluate_word_pairs`.
        analogies: a file of analogies, see `evaluate_word_analogies`.
        restrict_vocab: ask and answer analogies with only so many of the first, most frequent, words.
        confidence: of the intervals.
        resamples: drawn for each of them.
        seed: of these draws.

    Returns:
        For each setting its scores, in the order of `pairs`, the analogies last.

    Raises:
        ValueError: no setting, or one without a run.
        EvaluationFileError: a line is not of the test's form.
        OSError: a file cannot be read.
    """
    tests: list[Callable[[Searchable], Outcome]] = [partial(answer_pairs, path=path) for path in pairs]
    if analogies is not None:
        tests.append(partial(_answered_analogies, path=analogies, restrict_vocab=restrict_vocab))
    outcomes = {name: [[test(vectors) for test in tests] for vectors in runs] for name, runs in settings.items()}
    if not outcomes or not all(outcomes.values()):
        found = ", ".join(f"{len(runs)} of {name!r}" for name, runs in outcomes.items())
        raise ValueError(f"settings: expected at least one, each of at least one run, found {found or 'none'}")
    first = next(iter(outcomes))
    how = _Bootstrap(confidence, resamples, seed)
    return {
        name: [
            _score(
                [run[test] for run in runs],
                None if name == first else (first, [run[test] for run in outcomes[first]]),
                how,
            )
            for test in range(len(tests))
        ]
        for name, runs in outcomes.items()
    }


@dataclass(frozen=True)
class _Bootstrap:
    """How intervals are made."""

    confidence: float
    resamples: int
    seed: int

    def interval(self, statistic: Callable[[Int64Array], Float64Array], items: BoolArray) -> Interval:
        return bootstrap(statistic, items, confidence=self.confidence, resamples=self.resamples, seed=self.seed)

    def drawn_means(self, runs: Sequence[Outcome], stream: int) -> Callable[[Int64Array], Float64Array]:
        """Of draws of questions the mean scores of drawn runs. Another stream draws other runs."""
        generator = np.random.default_rng([self.seed, 1 + stream])  # [seed, 0] is the stream of seed, the questions'

        def means(counts: Int64Array) -> Float64Array:
            drawn = generator.integers(len(runs), size=(len(counts), max(1, len(runs) - 1)))
            scores = np.stack([run.scores(counts) for run in runs], axis=1)
            of_drawn: Float64Array = np.take_along_axis(scores, drawn, axis=1).mean(axis=1)
            return of_drawn

        return means


def _answered_analogies(vectors: Searchable, path: str | os.PathLike[str], restrict_vocab: int | None) -> Outcome:
    return of_answers(Path(path).stem, answer_analogies(vectors, path, restrict_vocab=restrict_vocab))


def _score(runs: Sequence[Outcome], first: tuple[str, Sequence[Outcome]] | None, how: _Bootstrap) -> RunsScore:
    scores = _plain_scores(runs)
    return RunsScore(
        name=runs[0].name,
        scores=scores.tolist(),
        counted=[int(run.counted.sum()) for run in runs],
        total=len(runs[0].counted),
        mean=float(scores.mean()),
        deviation=float(scores.std(ddof=1)) if len(runs) > 1 else float("nan"),
        interval=how.interval(how.drawn_means(runs, 0), reduce(np.logical_or, [run.counting_units() for run in runs])),
        difference=None if first is None else _difference(runs, *first, how),
    )


def _difference(runs: Sequence[Outcome], name: str, first: Sequence[Outcome], how: _Bootstrap) -> RunsDifference:
    common = reduce(np.logical_and, [run.counted for run in (*runs, *first)])
    ours, theirs = ([run.among(common) for run in side] for side in (runs, first))
    our_means, their_means = how.drawn_means(ours, 0), how.drawn_means(theirs, 1)
    return RunsDifference(
        first=name,
        mean=float(_plain_scores(ours).mean() - _plain_scores(theirs).mean()),
        interval=how.interval(lambda counts: our_means(counts) - their_means(counts), ours[0].counting_units()),
        common=int(common.sum()),
    )


def _plain_scores(runs: Sequence[Outcome]) -> Float64Array:
    """Of the questions as they are: each unit once."""
    return np.array([run.scores(np.ones((1, run.units.max(initial=-1) + 1), dtype=np.int64))[0] for run in runs])
