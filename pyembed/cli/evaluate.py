"""`pyembed evaluate`: word pairs and analogies, for files of vectors side by side, or for settings of several runs."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pyembed.cli.exits import ExitCode, exiting
from pyembed.cli.options import add_json, load_vectors, positive, print_json
from pyembed.cli.score_tables import bracket, print_table, rows_of_differences, rows_of_files, rows_of_settings
from pyembed.vectors import (
    AnalogyScore,
    EvaluationFileError,
    PairScore,
    RunsScore,
    SectionScore,
    evaluate_runs,
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
        "In brackets stand 95 % bootstrap intervals. Those of a file tell what the choice of pairs and questions may "
        "account for, not what another seed of the training would change; those of --runs tell both. Of several files "
        "a table is printed; JSON is an array, with --runs an object of files and settings.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "vectors", type=Path, nargs="*", metavar="VECTORS", help="vector file, of any format that pyembed reads"
    )
    parser.add_argument(
        "--runs",
        nargs="+",
        action="append",
        default=[],
        metavar=("NAME", "VECTORS"),
        help="files of one setting that was trained with several seeds: mean and deviation of their scores. Given "
        "again, with another setting: how much that is better than the first, on the questions that all files know",
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
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="print tables in Markdown")
    add_json(form)
    parser.set_defaults(run=run, usage_error=parser.error)


def run(arguments: argparse.Namespace) -> int:
    settings = _settings(arguments)
    if not arguments.pairs and arguments.analogies is None:
        arguments.usage_error("expected --pairs or --analogies, found neither")
    if not arguments.vectors and not settings:
        arguments.usage_error("expected VECTORS or --runs, found neither")
    reports = [_report(path, arguments) for path in arguments.vectors]
    runs = _evaluate(settings, arguments) if settings else {}
    if arguments.json:
        found = [_to_dict(report, arguments.restrict_vocab) for report in reports]
        if settings:
            print_json({"files": found, **_runs_to_dict(runs, arguments.restrict_vocab)})
        else:
            print_json(found if len(found) > 1 else found[0])
    elif len(reports) == 1 and not settings and not arguments.markdown:
        if reports[0].pairs:
            _print_pairs(reports[0].pairs)
        if reports[0].analogies is not None:
            _print_analogies(reports[0].analogies, arguments.restrict_vocab)
    else:
        _print_tables(reports, runs, arguments)
    return ExitCode.OK


def _settings(arguments: argparse.Namespace) -> dict[str, list[Path]]:
    """The files of each setting."""
    settings = {}
    for name, *files in arguments.runs:
        if not files or name in settings:
            expected = "a NAME of its own" if files else "NAME and at least one file"
            arguments.usage_error(f"--runs: expected {expected}, found {name!r}")
        settings[name] = [Path(file) for file in files]
    return settings


def _evaluate(settings: Mapping[str, Sequence[Path]], arguments: argparse.Namespace) -> dict[str, list[RunsScore]]:
    with exiting(ExitCode.INPUT, EvaluationFileError, OSError):
        return evaluate_runs(
            {name: map(load_vectors, files) for name, files in settings.items()},
            pairs=arguments.pairs,
            analogies=arguments.analogies,
            restrict_vocab=arguments.restrict_vocab,
            confidence=_CONFIDENCE,
        )


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


def _runs_to_dict(runs: Mapping[str, Sequence[RunsScore]], restrict_vocab: int) -> dict[str, Any]:
    settings = [{"name": name, "tests": [asdict(score) for score in scores]} for name, scores in runs.items()]
    return {"confidence": _CONFIDENCE, "restrict_vocab": restrict_vocab, "settings": settings}


def _print_tables(
    reports: Sequence[_Report], runs: Mapping[str, Sequence[RunsScore]], arguments: argparse.Namespace
) -> None:
    """One after another, with a blank line between: Markdown needs it, too."""
    if arguments.analogies is not None:
        print(f"analogies among the {arguments.restrict_vocab:,} most frequent words", end="\n\n")
    tables = []
    if reports:
        tables.append(rows_of_files({str(report.vectors): (report.pairs, report.analogies) for report in reports}))
    if runs:
        tables.append(rows_of_settings(runs))
    if len(runs) > 1:
        tables.append(rows_of_differences(runs))
    for number, rows in enumerate(tables):
        if number:
            print()
        print_table(rows, arguments.markdown)


def _print_pairs(scores: list[PairScore]) -> None:
    width = max(len(score.name) for score in scores)
    print(f"{'word pairs':<{width}}  Spearman   covered")
    for score in scores:
        covered = f"{score.pairs} of {score.total}"
        print(f"{score.name:<{width}}  {100 * score.spearman:8.2f}   {covered}   {bracket(score.interval)}")


def _print_analogies(score: AnalogyScore, restrict_vocab: int) -> None:
    print(f"analogies among the {restrict_vocab:,} most frequent words")
    parts = [*score.sections, score.semantic, score.syntactic, score.total]
    width = max(len(part.name) for part in parts)
    for part in parts:
        if part is score.semantic:
            print()
        print(
            f"  {part.name:<{width}}  {100 * part.accuracy:6.2f} %   {part.correct:6,} of {part.questions:6,} asked, "
            f"{part.total:6,} in the file   {bracket(score.interval) if part is score.total else ''}".rstrip()
        )
