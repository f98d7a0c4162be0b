"""`pyembed evaluate`: word pairs and analogies, for one file of vectors or for several side by side."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pyembed.cli.exits import ExitCode, exiting
from pyembed.cli.options import add_json, load_vectors, positive, print_json
from pyembed.vectors import (
    AnalogyScore,
    EvaluationFileError,
    Interval,
    PairScore,
    SectionScore,
    evaluate_word_analogies,
    evaluate_word_pairs,
)

_CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class _Report:
    """The scores of one file of vectors."""

    vectors: Path
    pairs: list[PairScore]
    analogies: AnalogyScore | None


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="score vectors on word pairs and analogies",
        description="Score vectors: Spearman's rank correlation with people's similarity of word pairs, and the share "
        "of analogies answered right. Words are compared without regard to case; pairs and questions with a word that "
        "has no vector do not count. Printed scores are times 100; in JSON, correlation and accuracy are fractions. "
        "In brackets stand 95 % bootstrap intervals: they tell what the choice of pairs and questions may account for, "
        "not what another seed of the training would change. Of several files a table is printed; JSON is an array.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "vectors", type=Path, nargs="+", metavar="VECTORS", help="vector file, of any format that pyembed reads"
    )
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
    reports = [_report(path, arguments) for path in arguments.vectors]
    if arguments.json:
        found = [_to_dict(report, arguments.restrict_vocab) for report in reports]
        print_json(found if len(found) > 1 else found[0])
    elif len(reports) > 1:
        _print_table(reports, arguments.restrict_vocab)
    else:
        if reports[0].pairs:
            _print_pairs(reports[0].pairs)
        if reports[0].analogies is not None:
            _print_analogies(reports[0].analogies, arguments.restrict_vocab)
    return ExitCode.OK


def _report(path: Path, arguments: argparse.Namespace) -> _Report:
    vectors = load_vectors(path)
    with exiting(ExitCode.INPUT, EvaluationFileError, OSError):
        pairs = [evaluate_word_pairs(vectors, file, confidence=_CONFIDENCE) for file in arguments.pairs]
        analogies = arguments.analogies and evaluate_word_analogies(
            vectors, arguments.analogies, restrict_vocab=arguments.restrict_vocab, confidence=_CONFIDENCE
        )
    return _Report(vectors=path, pairs=pairs, analogies=analogies)


def _to_dict(report: _Report, restrict_vocab: int) -> dict[str, Any]:
    return {
        "vectors": str(report.vectors),
        "confidence": _CONFIDENCE,
        "pairs": [asdict(score) for score in report.pairs],
        "analogies": report.analogies and _analogies_to_dict(report.analogies, restrict_vocab),
    }


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
        "interval": score.interval,
    }


def _bracket(interval: Interval | None) -> str:
    return "" if interval is None else f"[{100 * interval.low:.2f} {100 * interval.high:.2f}]"


def _print_table(reports: Sequence[_Report], restrict_vocab: int) -> None:
    """A row for each file of vectors, a column for each test: its score, the interval, and how much was counted."""
    if reports[0].analogies is not None:
        print(f"analogies among the {restrict_vocab:,} most frequent words")
    rows = [["vectors", *(score.name for score in reports[0].pairs)]]
    if reports[0].analogies is not None:
        rows[0].append(reports[0].analogies.name)
    for report in reports:
        scores = [(score.spearman, score.interval, score.pairs, score.total) for score in report.pairs]
        if report.analogies is not None:
            total = report.analogies.total
            scores.append((total.accuracy, report.analogies.interval, total.questions, total.total))
        cells = [f"{100 * value:6.2f} {_bracket(interval)}  {n:,} of {all_:,}" for value, interval, n, all_ in scores]
        rows.append([str(report.vectors), *cells])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("   ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def _print_pairs(scores: list[PairScore]) -> None:
    width = max(len(score.name) for score in scores)
    print(f"{'word pairs':<{width}}  Spearman   covered")
    for score in scores:
        covered = f"{score.pairs} of {score.total}"
        print(f"{score.name:<{width}}  {100 * score.spearman:8.2f}   {covered}   {_bracket(score.interval)}")


def _print_analogies(score: AnalogyScore, restrict_vocab: int) -> None:
    print(f"analogies among the {restrict_vocab:,} most frequent words")
    parts = [*score.sections, score.semantic, score.syntactic, score.total]
    width = max(len(part.name) for part in parts)
    for part in parts:
        if part is score.semantic:
            print()
        print(
            f"  {part.name:<{width}}  {100 * part.accuracy:6.2f} %   {part.correct:6,} of {part.questions:6,} asked, "
            f"{part.total:6,} in the file   {_bracket(score.interval) if part is score.total else ''}".rstrip()
        )
