"""`pyembed evaluate`: word pairs and analogies."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pyembed.cli.exits import ExitCode, exiting
from pyembed.cli.options import add_json, add_vectors, load_vectors, positive, print_json
from pyembed.vectors import (
    AnalogyScore,
    EvaluationFileError,
    PairScore,
    SectionScore,
    evaluate_word_analogies,
    evaluate_word_pairs,
)


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="score vectors on word pairs and analogies",
        description="Score vectors: Spearman's rank correlation with people's similarity of word pairs, and the share "
        "of analogies answered right. Words are compared without regard to case; pairs and questions with a word that "
        "has no vector do not count. Printed scores are times 100; in JSON, correlation and accuracy are fractions.",
        allow_abbrev=False,
    )
    add_vectors(parser)
    parser.add_argument(
        "--pairs", type=Path, nargs="+", action="extend", default=[], metavar="FILE", help="lines of: word1 word2 score"
    )
    parser.add_argument("--analogies", type=Path, metavar="FILE", help="lines of: a b c d, in sections headed `: name`")
    parser.add_argument(
        "--restrict-vocab",
        type=positive,
        default=30_000,
        metavar="N",
        help="ask and answer analogies with the N most frequent words (default: 30000)",
    )
    add_json(parser)
    parser.set_defaults(run=run, usage_error=parser.error)


def run(arguments: argparse.Namespace) -> int:
    if not arguments.pairs and arguments.analogies is None:
        arguments.usage_error("expected --pairs or --analogies, found neither")
    vectors = load_vectors(arguments.vectors)
    with exiting(ExitCode.INPUT, EvaluationFileError, OSError):
        pairs = [evaluate_word_pairs(vectors, path) for path in arguments.pairs]
        analogies = None
        if arguments.analogies is not None:
            analogies = evaluate_word_analogies(vectors, arguments.analogies, restrict_vocab=arguments.restrict_vocab)
    if arguments.json:
        print_json(
            {
                "pairs": [asdict(score) for score in pairs],
                "analogies": analogies and _analogies_to_dict(analogies, arguments.restrict_vocab),
            }
        )
        return ExitCode.OK
    if pairs:
        _print_pairs(pairs)
    if analogies is not None:
        _print_analogies(analogies, arguments.restrict_vocab)
    return ExitCode.OK


def _analogies_to_dict(score: AnalogyScore, restrict_vocab: int) -> dict[str, Any]:
    def section(part: SectionScore) -> dict[str, Any]:
        return {**asdict(part), "accuracy": part.accuracy}

    return {
        "name": score.name,
        "restrict_vocab": restrict_vocab,
        "sections": [section(part) for part in score.sections],
        "semantic": section(score.semantic),
        "syntactic": section(score.syntactic),
        "total": section(score.total),
    }


def _print_pairs(scores: list[PairScore]) -> None:
    width = max(len(score.name) for score in scores)
    print(f"{'word pairs':<{width}}  Spearman   covered")
    for score in scores:
        print(f"{score.name:<{width}}  {100 * score.spearman:8.2f}   {score.pairs} of {score.total}")


def _print_analogies(score: AnalogyScore, restrict_vocab: int) -> None:
    print(f"analogies among the {restrict_vocab:,} most frequent words")
    parts = [*score.sections, score.semantic, score.syntactic, score.total]
    width = max(len(part.name) for part in parts)
    for part in parts:
        if part is score.semantic:
            print()
        print(
            f"  {part.name:<{width}}  {100 * part.accuracy:6.2f} %   {part.correct:6,} of {part.questions:6,} asked, "
            f"{part.total:6,} in the file"
        )
