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
from pyembed.vectors.formats.fasttext import subword_vectors
from pyembed.vectors.keyed_vectors import KeyedVectors
from pyembed.vectors.lookup import UnknownWordError
from pyembed.vectors.modules import Coverage
from pyembed.vectors.quantized import QuantizedVectors
from pyembed.vectors.runs import RunsDifference, RunsScore, evaluate_runs
from pyembed.vectors.statistics import Interval

__all__ = [
    "AnalogyScore",
    "Coverage",
    "EvaluationFileError",
    "Interval",
    "KeyedVectors",
    "PairScore",
    "QuantizedVectors",
    "RunsDifference",
    "RunsScore",
    "SectionScore",
    "UnknownWordError",
    "VectorFileError",
    "evaluate_runs",
    "evaluate_word_analogies",
    "evaluate_word_pairs",
    "subword_vectors",
]
