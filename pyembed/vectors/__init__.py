"""Vectors by word: search, files, evaluation. Independent of how the vectors were made."""

from __future__ import annotations

from pyembed.vectors.evaluation import (
    AnalogyScore,
    PairScore,
    SectionScore,
    evaluate_word_analogies,
    evaluate_word_pairs,
)
from pyembed.vectors.evaluation_files import EvaluationFileError
from pyembed.vectors.formats import VectorFileError
from pyembed.vectors.keyed_vectors import KeyedVectors
from pyembed.vectors.lookup import UnknownWordError
from pyembed.vectors.quantized import QuantizedVectors
from pyembed.vectors.statistics import Interval

__all__ = [
    "AnalogyScore",
    "EvaluationFileError",
    "Interval",
    "KeyedVectors",
    "PairScore",
    "QuantizedVectors",
    "SectionScore",
    "UnknownWordError",
    "VectorFileError",
    "evaluate_word_analogies",
    "evaluate_word_pairs",
]
