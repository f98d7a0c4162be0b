"""Analogies: which of a file's questions vectors answer right."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from pyembed.vectors.arrays import BoolArray, Int64Array
from pyembed.vectors.evaluation_files import read_analogies
from pyembed.vectors.queries import Excluded, by_cosine, by_products
from pyembed.vectors.rows import PartOfRows, unit_rows
from pyembed.vectors.search import Searchable

SimilarityFunction = Literal["most_similar", "most_similar_cosmul"]
"""How an analogy is answered: by 3CosAdd or by 3CosMul."""


@dataclass(frozen=True, kw_only=True)
class AnsweredSection:
    """The questions of one section, and which were answered right."""

    name: str
    questions: list[tuple[str, str, str, str]]
    """In upper case where case does not count."""
    known: BoolArray
    """Whether all four words have vectors."""
    correct: BoolArray


def answer_analogies(
    vectors: Searchable,
    path: str | os.PathLike[str],
    *,
    restrict_vocab: int | None,
    case_insensitive: bool = True,
    similarity_function: SimilarityFunction = "most_similar",
) -> list[AnsweredSection]:
    """Answers a file of analogies, `a b c d` a line: is d the word nearest to b - a + c, other than a, b, c?

    Args:
        vectors: the vectors.
        path: the file, UTF-8, in sections that begin with a line `: name`.
        restrict_vocab: know, and answer with, only so many of the first, most frequent, words; None for all.
        case_insensitive: compare words in upper case; of several spellings the most frequent stands for a question's
            word, each is a right answer, and none of those of a, b, c is an answer.
        similarity_function: 3CosAdd or 3CosMul.

    Raises:
        EvaluationFileError: a line is not of that form.
        OSError: the file cannot be read.
    """
    if similarity_function not in get_args(SimilarityFunction):
        expected = " or ".join(get_args(SimilarityFunction))
        raise ValueError(f"similarity_function: expected {expected}, found {similarity_function!r}")
    known = known_words(vectors, restrict_vocab, case_insensitive)
    spellings: dict[int, list[int]] = {row: [row] for row in known.values()}
    for row, word in enumerate(vectors.index_to_key[:restrict_vocab]):
        first = known[spelling(word, case_insensitive)]
        if row != first:
            spellings[first].append(row)

    read = read_analogies(Path(path))
    spelled = [[[spelling(word, case_insensitive) for word in words] for words in lines] for _, lines in read]
    rows = np.array(
        [[known.get(word, -1) for word in words] for lines in spelled for words in lines], dtype=np.int64
    ).reshape(-1, 4)
    is_known = (rows >= 0).all(axis=1)
    is_correct = np.zeros(len(rows), dtype=np.bool_)
    is_correct[is_known] = _answer(vectors, rows[is_known], spellings, similarity_function)
    ends = np.cumsum([len(lines) for lines in spelled], dtype=np.int64)
    return [
        AnsweredSection(
            name=name, questions=[(a, b, c, d) for a, b, c, d in questions], known=part_known, correct=part_correct
        )
        for (name, _), questions, part_known, part_correct in zip(
            read, spelled, np.split(is_known, ends)[:-1], np.split(is_correct, ends)[:-1], strict=True
        )
    ]


def _answer(
    vectors: Searchable, questions: Int64Array, spellings: dict[int, list[int]], function: SimilarityFunction
) -> BoolArray:
    """Whether each question, rows a, b, c, d of int64[Q, 4], is answered right, searching all words with spellings."""
    if not len(questions):
        return np.zeros(0, dtype=np.bool_)
    a, b, c, d = questions.T
    words, norms = vectors._rows().gather(questions.T[:3])
    unit_a, unit_b, unit_c = words / norms[..., None]
    if function == "most_similar_cosmul":
        queries = by_products(np.stack([unit_b, unit_c]), unit_a[None])
    else:
        queries = by_cosine(unit_rows(unit_b - unit_a + unit_c))
    # Right is whatever none but a spelling of a, b or c beats; that takes less than to find the best.
    asker = np.repeat(np.arange(len(questions)), [len(spellings[word]) for word in d.tolist()])
    rights = np.array([row for word in d.tolist() for row in spellings[word]], dtype=np.int64)
    bars = np.full(len(questions), -np.inf, dtype=np.float32)
    np.fmax.at(bars, asker, queries.part(asker).of_own(*vectors._rows().gather(rights)))
    excluded = Excluded.of([[row for word in question for row in spellings[word]] for question in questions.tolist()])
    searched = PartOfRows(vectors._rows(), 0, sum(map(len, spellings.values())))
    stands = vectors._search.unbeaten(searched, queries, bars, excluded)
    # A question that asks for one of its own words cannot be answered right.
    is_correct: BoolArray = stands & np.isfinite(bars) & (d != a) & (d != b) & (d != c)
    return is_correct


def spelling(word: str, case_insensitive: bool) -> str:
    """The word, in upper case where case does not count."""
    return word.upper() if case_insensitive else word


def known_words(vectors: Searchable, restrict_vocab: int | None, case_insensitive: bool) -> dict[str, int]:
    """The row of each spelling, the most frequent one where case makes several one."""
    known: dict[str, int] = {}
    for row, word in enumerate(vectors.index_to_key[:restrict_vocab]):
        known.setdefault(spelling(word, case_insensitive), row)
    return known
