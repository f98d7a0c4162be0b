"""Vectors by word: search, files, evaluation. Independent of how the vectors were made."""

from __future__ import annotations

from pyembed.vectors.evaluation import (
    AnalogyScore,
    EvaluationFileError,
    PairScore,
    SectionScore,
    evaluate_word_analogies,
    evaluate_word_pairs,
)
from pyembed.vectors.formats import VectorFileError
from pyembed.vectors.keyed_vectors import KeyedVectors, UnknownWordError

__all__ = [
    "AnalogyScore",
    "EvaluationFileError",
    "KeyedVectors",
    "PairScore",
    "SectionScore",
    "UnknownWordError",
    "VectorFileError",
    "evaluate_word_analogies",
    "evaluate_word_pairs",
]
