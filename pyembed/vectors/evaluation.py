"""How well vectors agree with people: correlation on word pairs, and analogies. Scores equal gensim's."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pyembed.vectors.arrays import BoolArray, Float32Array, Int64Array
from pyembed.vectors.keyed_vectors import KeyedVectors
from pyembed.vectors.nearest import nearest, unit_rows


class EvaluationFileError(ValueError):
    """A file of word pairs or analogies is not in its format. The message names the line."""


@dataclass(frozen=True, kw_only=True)
class PairScore:
    """Agreement with people's similarity of word pairs."""

    name: str
    """The file's name without its suffix."""
    spearman: float
    """Spearman's rank correlation, -1 to 1, ties at their mean rank. NaN below two pairs or where all are equal."""
    pairs: int
    """Pairs whose words both have vectors; the score is theirs."""
    total: int
    """Pairs in the file."""


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


def evaluate_word_pairs(
    vectors: KeyedVectors,
    path: str | os.PathLike[str],
    *,
    restrict_vocab: int | None = None,
    case_insensitive: bool = True,
) -> PairScore:
    """Correlates cosines with a file of `word1 word2 score` lines, between tabs, commas or spaces.

    Lines that begin with # and a first line of titles are left out.

    Args:
        vectors: the vectors.
        path: the file, UTF-8.
        restrict_vocab: know only so many of the first, most frequent, words.
        case_insensitive: compare words in upper case; of several spellings the most frequent counts.

    Raises:
        EvaluationFileError: a line is not of that form.
        OSError: the file cannot be read.
    """
    known = _known_words(vectors, restrict_vocab, case_insensitive)
    rows: list[tuple[int, int]] = []
    scores: list[float] = []
    total = 0
    for word1, word2, score in _read_pairs(Path(path)):
        total += 1
        row1, row2 = (known.get(_spelling(word, case_insensitive), -1) for word in (word1, word2))
        if row1 >= 0 and row2 >= 0:
            rows.append((row1, row2))
            scores.append(score)
    first, second = np.array(rows, dtype=np.int64).reshape(-1, 2).T
    cosines = np.einsum("ij,ij->i", unit_rows(vectors.vectors[first]), unit_rows(vectors.vectors[second]))
    return PairScore(name=Path(path).stem, spearman=spearman(cosines, np.array(scores)), pairs=len(rows), total=total)


def evaluate_word_analogies(
    vectors: KeyedVectors,
    path: str | os.PathLike[str],
    *,
    restrict_vocab: int | None = 30_000,
    case_insensitive: bool = True,
) -> AnalogyScore:
    """Answers a file of analogies, `a b c d` a line: is d the word nearest to b - a + c (3CosAdd), other than a, b, c?

    Args:
        vectors: the vectors.
        path: the file, UTF-8, in sections that begin with a line `: name`.
        restrict_vocab: know, and answer with, only so many of the first, most frequent, words; None for all.
        case_insensitive: compare words in upper case; of several spellings the most frequent stands for a question's
            word, each is a right answer, and none of those of a, b, c is an answer.

    Raises:
        EvaluationFileError: a line is not of that form.
        OSError: the file cannot be read.
    """
    known = _known_words(vectors, restrict_vocab, case_insensitive)
    spellings: dict[int, list[int]] = {row: [row] for row in known.values()}
    for row, word in enumerate(vectors.index_to_key[:restrict_vocab]):
        first = known[_spelling(word, case_insensitive)]
        if row != first:
            spellings[first].append(row)

    sections_read = _read_analogies(Path(path))
    asked: list[tuple[int, list[int]]] = []
    for section, (_, lines) in enumerate(sections_read):
        for words in lines:
            rows = [known.get(_spelling(word, case_insensitive), -1) for word in words]
            if min(rows) >= 0:
                asked.append((section, rows))

    sections_of = np.array([section for section, _ in asked], dtype=np.int64)
    questions = np.array([rows for _, rows in asked], dtype=np.int64).reshape(-1, 4)
    is_correct = _answer(vectors.vectors[:restrict_vocab], questions, spellings)
    sections = [
        SectionScore(
            name=name,
            correct=int(is_correct[sections_of == section].sum()),
            questions=int((sections_of == section).sum()),
            total=len(lines),
        )
        for section, (name, lines) in enumerate(sections_read)
    ]
    return AnalogyScore(
        name=Path(path).stem,
        sections=sections,
        semantic=_together("semantic", [section for section in sections if not section.name.startswith("gram")]),
        syntactic=_together("syntactic", [section for section in sections if section.name.startswith("gram")]),
        total=_together("total", sections),
    )


def _answer(vectors: Float32Array, questions: Int64Array, spellings: dict[int, list[int]]) -> BoolArray:
    """Whether each question, rows a, b, c, d of int64[Q, 4], is answered right."""
    if not len(questions):
        return np.zeros(0, dtype=np.bool_)
    a, b, c, d = questions.T
    unit = unit_rows(vectors)
    queries = unit_rows(unit[b] - unit[a] + unit[c])
    excluded = [[row for word in question[:3] for row in spellings[word]] for question in questions.tolist()]
    answers, _ = nearest(vectors, queries, 1, excluded)
    first_spelling = np.arange(len(vectors))
    for first, rows in spellings.items():
        first_spelling[rows] = first
    # A question that asks for one of its own words cannot be answered right.
    is_correct: BoolArray = (first_spelling[answers[:, 0]] == d) & (d != a) & (d != b) & (d != c)
    return is_correct


def _together(name: str, sections: Sequence[SectionScore]) -> SectionScore:
    return SectionScore(
        name=name,
        correct=sum(section.correct for section in sections),
        questions=sum(section.questions for section in sections),
        total=sum(section.total for section in sections),
    )


def spearman(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Spearman's rank correlation of two sequences of equal length; NaN where one is constant or shorter than two."""
    ranks = np.stack([_mean_ranks(np.asarray(values, dtype=np.float64)) for values in (first, second)])
    centered = ranks - ranks.mean(axis=1, keepdims=True) if ranks.shape[1] else ranks
    scale = float(np.sqrt((centered**2).sum(axis=1).prod()))
    return float(centered[0] @ centered[1]) / scale if scale else float("nan")


def _mean_ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Ranks from 1; equal values share the mean of theirs."""
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    mean_rank: npt.NDArray[np.float64] = np.cumsum(sizes) - (sizes - 1) / 2
    return mean_rank[group]


def _spelling(word: str, case_insensitive: bool) -> str:
    return word.upper() if case_insensitive else word


def _known_words(vectors: KeyedVectors, restrict_vocab: int | None, case_insensitive: bool) -> dict[str, int]:
    """The row of each spelling, the most frequent one where case makes several one."""
    known: dict[str, int] = {}
    for row, word in enumerate(vectors.index_to_key[:restrict_vocab]):
        known.setdefault(_spelling(word, case_insensitive), row)
    return known


def _read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines, from 1, without blank ones."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for line_number, line in enumerate(file, 1):
                if stripped := line.strip():
                    yield line_number, stripped
    except UnicodeDecodeError as error:
        raise EvaluationFileError(f"{path}: expected UTF-8, found bytes that are not: {error}") from error


def _read_pairs(path: Path) -> Iterator[tuple[str, str, float]]:
    is_first = True
    for line_number, line in _read_lines(path):
        if line.startswith("#"):
            continue
        separator = next((mark for mark in "\t,;" if mark in line), None)
        fields = [field.strip() for field in line.split(separator)] if separator else re.split(r"\s+", line)
        try:
            word1, word2, score = fields
            yield word1, word2, float(score)
        except ValueError:
            if not is_first:
                raise EvaluationFileError(
                    f"{path}: line {line_number}: expected two words and a number, found {line[:80]!r}"
                ) from None
        is_first = False


def _read_analogies(path: Path) -> list[tuple[str, list[list[str]]]]:
    """Each section's name and questions of four words."""
    sections: list[tuple[str, list[list[str]]]] = []
    for line_number, line in _read_lines(path):
        words = line.split()
        if line.startswith(":"):
            sections.append((line[1:].strip(), []))
        elif sections and len(words) == 4:
            sections[-1][1].append(words)
        else:
            expected = "four words" if sections else "a line `: section` first"
            raise EvaluationFileError(f"{path}: line {line_number}: expected {expected}, found {line[:80]!r}")
    return sections
