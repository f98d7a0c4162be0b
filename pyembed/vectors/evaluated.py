"""Evaluation as methods, with gensim's arguments and results."""

from __future__ import annotations

import os

import numpy as np

from pyembed.vectors.analogies import SimilarityFunction, answer_analogies
from pyembed.vectors.evaluation import evaluate_word_pairs
from pyembed.vectors.search import Searchable
from pyembed.vectors.statistics import Correlation, correlation_pvalue


class Evaluable(Searchable):
    """Words whose vectors can be compared with people's judgement."""

    def evaluate_word_pairs(
        self,
        pairs: str | os.PathLike[str],
        delimiter: str | None = None,
        encoding: str = "utf8",
        restrict_vocab: int | None = 300_000,
        case_insensitive: bool = True,
        dummy4unknown: bool = False,
    ) -> tuple[Correlation, Correlation, float]:
        """Correlations of cosines with a file of word pairs; see the function of that name for arguments and intervals.

        Returns:
            Pearson's and Spearman's correlation, each with its p-value, and the percentage of pairs with unknown words.

        Raises:
            EvaluationFileError: a ValueError: a line is not of the form `word1 word2 score`.
            ValueError: no pair has two known words.
        """
        score = evaluate_word_pairs(
            self,
            pairs,
            restrict_vocab=restrict_vocab,
            case_insensitive=case_insensitive,
            dummy4unknown=dummy4unknown,
            delimiter=delimiter,
            encoding=encoding,
        )
        counted = score.total if dummy4unknown else score.pairs
        if not counted:
            raise ValueError(f"{pairs}: expected a pair of words with vectors, found none in {score.total} pairs")
        pearson, spearman = (
            Correlation(statistic, correlation_pvalue(statistic, counted))
            for statistic in (score.pearson, score.spearman)
        )
        return pearson, spearman, 100 * (score.total - score.pairs) / score.total

    def evaluate_word_analogies(
        self,
        analogies: str | os.PathLike[str],
        restrict_vocab: int | None = 300_000,
        case_insensitive: bool = True,
        dummy4unknown: bool = False,
        similarity_function: SimilarityFunction = "most_similar",
    ) -> tuple[float, list[dict[str, str | list[tuple[str, str, str, str]]]]]:
        """Answers a file of analogies; see the function of that name for arguments and intervals.

        Returns:
            The share of questions answered right, 0 where none could be asked, and for each section, and last for all
            together as "Total accuracy", its name under `section` and its questions under `correct` and `incorrect`.

        Raises:
            EvaluationFileError: a ValueError: a line is not of the form `a b c d` or `: section`.
        """
        answered = answer_analogies(
            self,
            analogies,
            restrict_vocab=restrict_vocab,
            case_insensitive=case_insensitive,
            similarity_function=similarity_function,
        )
        sections: list[tuple[str, list[tuple[str, str, str, str]], list[tuple[str, str, str, str]]]] = []
        for section in answered:
            wrong = ~section.correct & (section.known | np.bool_(dummy4unknown))
            right_ones, wrong_ones = (
                [question for question, chosen in zip(section.questions, mask.tolist(), strict=True) if chosen]
                for mask in (section.correct, wrong)
            )
            sections.append((section.name, right_ones, wrong_ones))
        every_right = [question for _, right, _ in sections for question in right]
        every_wrong = [question for _, _, wrong in sections for question in wrong]
        sections.append(("Total accuracy", every_right, every_wrong))
        asked = len(every_right) + len(every_wrong)
        return len(every_right) / asked if asked else 0.0, [
            {"section": name, "correct": right, "incorrect": wrong} for name, right, wrong in sections
        ]
