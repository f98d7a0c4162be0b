"""How well vectors agree with people: correlation on word pairs, and analogies. Scores equal gensim's."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pyembed.vectors.analogies import SimilarityFunction, answer_analogies
from pyembed.vectors.outcomes import Outcome, answer_pairs, of_answers
from pyembed.vectors.search import Searchable
from pyembed.vectors.statistics import Interval, bootstrap, pearson, spearman

_RESAMPLES = 1_000


@dataclass(frozen=True, kw_only=True)
class PairScore:
    """Agreement with people's similarity of word pairs."""

    name: str
    """The file's name without its suffix."""
    spearman: float
    """Spearman's rank correlation, -1 to 1, ties at their mean rank. NaN below two pairs or where all are equal."""
    pearson: float
    """Pearson's correlation, likewise."""
    pairs: int
    """Pairs whose words both have vectors; the score is theirs."""
    total: int
    """Pairs in the file."""
    interval: Interval | None = None
    """Of Spearman's correlation, over resamples of the pairs; None where it was not asked for."""


@dataclass(frozen=True, kw_only=True)
class SectionScore:
    """Analogies answered right, of one section or of several together."""

    name: str
    correct: int
    questions: int
    """Questions whose four words all have vectors; the others do not count."""
    total: int
    """Questions in the file."""

    @property
    def accuracy(self) -> float:
        """correct / questions, 0 to 1; NaN without questions."""
        return self.correct / self.questions if self.questions else float("nan")


@dataclass(frozen=True, kw_only=True)
class AnalogyScore:
    """Analogies by section, in the file's order, and in total.

    Sections whose names begin with "gram" are syntactic, the others semantic.
    """

    name: str
    """The file's name without its suffix."""
    sections: list[SectionScore]
    semantic: SectionScore
    syntactic: SectionScore
    total: SectionScore
    interval: Interval | None = None
    """Of the total accuracy; None where it was not asked for. What is drawn anew are the pairs a, b, not the questions:
    those of one pair stand and fall together."""


def evaluate_word_pairs(
    vectors: Searchable,
    path: str | os.PathLike[str],
    *,
    restrict_vocab: int | None = None,
    case_insensitive: bool = True,
    dummy4unknown: bool = False,
    delimiter: str | None = None,
    encoding: str = "utf-8",
    confidence: float | None = None,
    resamples: int = _RESAMPLES,
    seed: int = 1,
) -> PairScore:
    """Correlates cosines with a file of `word1 word2 score` lines, between tabs, commas or spaces.

    Lines that begin with # and a first line of titles are left out.

    Args:
        vectors: the vectors.
        path: the file.
        restrict_vocab: know only so many of the first, most frequent, words.
        case_insensitive: compare words in upper case; of several spellings the most frequent counts.
        dummy4unknown: count a pair with an unknown word as one of cosine 0.
        delimiter: what stands between the fields, where that should not be guessed.
        encoding: of the file.
        confidence: of the interval, 0.95 say; None for no interval.
        resamples: drawn for the interval.
        seed: of these draws.

    Raises:
        EvaluationFileError: a line is not of that form.
        OSError: the file cannot be read.
    """
    outcome = answer_pairs(
        vectors,
        path,
        restrict_vocab=restrict_vocab,
        case_insensitive=case_insensitive,
        dummy4unknown=dummy4unknown,
        delimiter=delimiter,
        encoding=encoding,
    )
    ours, theirs = outcome.cosines[outcome.counted], outcome.people[outcome.counted]
    return PairScore(
        name=outcome.name,
        spearman=spearman(ours, theirs),
        pearson=pearson(ours, theirs),
        pairs=int(outcome.known.sum()),
        total=len(outcome.known),
        interval=None if confidence is None else _interval(outcome, confidence, resamples, seed),
    )


def evaluate_word_analogies(
    vectors: Searchable,
    path: str | os.PathLike[str],
    *,
    restrict_vocab: int | None = 30_000,
    case_insensitive: bool = True,
    dummy4unknown: bool = False,
    similarity_function: SimilarityFunction = "most_similar",
    confidence: float | None = None,
    resamples: int = _RESAMPLES,
    seed: int = 1,
) -> AnalogyScore:
    """The share of analogies that are answered right, see `answer_analogies`.

    With `confidence`, 0.95 say, comes an interval, over `resamples` drawn with `seed`. With `dummy4unknown` questions
    with an unknown word count as answered wrong.

    Raises:
        EvaluationFileError: a line is not of that form.
        OSError: the file cannot be read.
    """
    answered = answer_analogies(
        vectors,
        path,
        restrict_vocab=restrict_vocab,
        case_insensitive=case_insensitive,
        similarity_function=similarity_function,
    )
    outcome = of_answers(Path(path).stem, answered, dummy4unknown)
    sections = [
        SectionScore(
            name=section.name,
            correct=int(section.correct.sum()),
            questions=len(section.questions) if dummy4unknown else int(section.known.sum()),
            total=len(section.questions),
        )
        for section in answered
    ]
    return AnalogyScore(
        name=outcome.name,
        sections=sections,
        semantic=_together("semantic", [section for section in sections if not section.name.startswith("gram")]),
        syntactic=_together("syntactic", [section for section in sections if section.name.startswith("gram")]),
        total=_together("total", sections),
        interval=None if confidence is None else _interval(outcome, confidence, resamples, seed),
    )


def _together(name: str, sections: Sequence[SectionScore]) -> SectionScore:
    return SectionScore(
        name=name,
        correct=sum(section.correct for section in sections),
        questions=sum(section.questions for section in sections),
        total=sum(section.total for section in sections),
    )


def _interval(outcome: Outcome, confidence: float, resamples: int, seed: int) -> Interval:
    """Of the score, over resamples of the units that count."""
    items = outcome.counting_units()
    return bootstrap(outcome.scores, items, confidence=confidence, resamples=resamples, seed=seed)
