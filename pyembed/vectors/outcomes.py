"""What vectors make of one test, question by question, and the score of any draw of its questions."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from typing_extensions import Self

from pyembed.vectors.analogies import AnsweredSection, known_words, spelling
from pyembed.vectors.arrays import BoolArray, Float32Array, Float64Array, Int64Array
from pyembed.vectors.evaluation_files import read_pairs
from pyembed.vectors.search import Searchable
from pyembed.vectors.statistics import spearman_of_draws


@dataclass(frozen=True, kw_only=True)
class Outcome(ABC):
    """What one file of vectors makes of one test. In all outcomes of a test equal positions are equal questions."""

    name: str
    """Of the test: its file's name without the suffix."""
    units: Int64Array
    """[questions]: each one's unit, from 0. Those of one unit stand and fall together, so that resamples draw units."""
    counted: BoolArray
    """[questions]: whether the question counts, which one with an unknown word does not."""

    @abstractmethod
    def scores(self, counts: Int64Array) -> Float64Array:
        """[draws], of int64[draws, units], how often each unit was drawn; NaN where nothing drawn counts."""

    def counting_units(self) -> BoolArray:
        """[units]: those with a question that counts."""
        counting = np.zeros(self.units.max(initial=-1) + 1, dtype=np.bool_)
        counting[self.units[self.counted]] = True
        return counting

    def among(self, chosen: BoolArray) -> Self:
        """The outcome where only these of the questions that count, [questions], do."""
        return replace(self, counted=self.counted & chosen)


@dataclass(frozen=True, kw_only=True)
class PairOutcome(Outcome):
    """Cosines beside people's judgement, pair by pair, each a unit. The score is Spearman's rank correlation."""

    cosines: Float32Array
    """[pairs]; 0 where a word is unknown."""
    people: Float64Array
    """[pairs]."""
    known: BoolArray
    """[pairs]: whether both words have vectors."""

    def scores(self, counts: Int64Array) -> Float64Array:
        return spearman_of_draws(self.cosines[self.counted], self.people[self.counted], counts[:, self.counted])


@dataclass(frozen=True, kw_only=True)
class AnalogyOutcome(Outcome):
    """Which analogies were answered right; those of a section with equal a, b are a unit. The score is their share."""

    correct: BoolArray
    """[questions]."""

    def scores(self, counts: Int64Array) -> Float64Array:
        right, asked = (
            counts @ np.bincount(self.units, weights=mask & self.counted, minlength=counts.shape[1])
            for mask in (self.correct, self.counted)
        )
        found: Float64Array = np.full(len(counts), np.nan)
        np.divide(right, asked, out=found, where=asked > 0)
        return found


def answer_pairs(
    vectors: Searchable,
    path: str | os.PathLike[str],
    *,
    restrict_vocab: int | None = None,
    case_insensitive: bool = True,
    dummy4unknown: bool = False,
    delimiter: str | None = None,
    encoding: str = "utf-8",
) -> PairOutcome:
    """The cosines of a file of word pairs; arguments and errors are those of `evaluate_word_pairs`."""
    known = known_words(vectors, restrict_vocab, case_insensitive)
    read = list(read_pairs(Path(path), delimiter, encoding))
    rows = np.array(
        [[known.get(spelling(word, case_insensitive), -1) for word in line[:2]] for line in read], dtype=np.int64
    ).reshape(-1, 2)
    is_known: BoolArray = np.all(rows >= 0, axis=1)
    words, norms = vectors._rows().gather(rows[is_known].T)
    cosines = np.zeros(len(rows), dtype=np.float32)
    cosines[is_known] = np.einsum("ij,ij->i", *(words / norms[..., None]))
    return PairOutcome(
        name=Path(path).stem,
        units=np.arange(len(rows)),
        cosines=cosines,
        people=np.array([line[2] for line in read], dtype=np.float64),
        known=is_known,
        counted=np.ones(len(rows), dtype=np.bool_) if dummy4unknown else is_known,
    )


def of_answers(name: str, answered: Sequence[AnsweredSection], dummy4unknown: bool = False) -> AnalogyOutcome:
    """The outcome of a file of analogies that was answered; with `dummy4unknown` all questions count."""
    unit_of: dict[tuple[int, str, str], int] = {}
    units = [
        unit_of.setdefault((number, a, b), len(unit_of))
        for number, section in enumerate(answered)
        for a, b, *_ in section.questions
    ]
    none = np.zeros(0, dtype=np.bool_)
    known, correct = (
        np.concatenate([none, *(getattr(section, mask) for section in answered)]) for mask in ("known", "correct")
    )
    return AnalogyOutcome(
        name=name,
        units=np.array(units, dtype=np.int64),
        correct=correct,
        counted=np.ones(len(units), dtype=np.bool_) if dummy4unknown else known,
    )
