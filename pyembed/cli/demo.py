"""`pyembed demo`: good vectors from real text, in one command."""

from __future__ import annotations

import argparse
import sys
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyembed._version import __version__
from pyembed.cli.exits import ExitCode, exiting
from pyembed.cli.imports import quick_imports
from pyembed.cli.options import add_json, print_json, ranked

if TYPE_CHECKING:
    from pyembed.demo.run import DemoResult

_COLUMN = 22
"""Widest column of neighbors, in characters."""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "demo",
        help="train on the docstrings of the installed packages and show neighbors",
        description="Train vectors on real text that is already here, the docstrings of the installed Python packages, "
        "or on text of yours; then show the neighbors of a few words and how long each stage took.",
        allow_abbrev=False,
    )
    parser.add_argument("--input", nargs="+", default=[], metavar="FILE", help="text to train on instead")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("pyembed-demo"),
        metavar="FOLDER",
        help="where text and vectors are saved (default: pyembed-demo)",
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    with quick_imports():
        from pyembed.corpus import CorpusError
        from pyembed.demo.run import run_demo

    with exiting(ExitCode.OUTPUT, OSError):
        arguments.output.mkdir(parents=True, exist_ok=True)
    with exiting(ExitCode.INPUT, CorpusError, OSError):
        result = run_demo(
            arguments.output,
            arguments.input,
            progress=False if arguments.json else None,
            announce=lambda doing: print(f"{doing} ...", file=sys.stderr),
        )
    if arguments.json:
        print_json(_to_dict(result))
    else:
        _print(result)
    return ExitCode.INTERRUPTED if result.report.interrupted else ExitCode.OK


def _to_dict(result: DemoResult) -> dict[str, Any]:
    return {
        "source": result.source,
        "words": len(result.vectors),
        "dimensions": result.vectors.vector_size,
        "seconds": result.seconds,
        "training": result.report.to_dict(),
        "neighbors": [{"word": word, "neighbors": ranked(found)} for word, found in result.neighbors.items()],
        "output": str(result.output),
    }


def _print(result: DemoResult) -> None:
    report = result.report
    print()
    print(f"pyembed {__version__}: skip-gram vectors from {result.source}")
    print()
    for stage, seconds, what in _stages(result):
        print(f"  {stage:<8} {seconds:6.2f} s   {what}")
    print(f"  {'':<8} {sum(result.seconds.values()):6.2f} s   in all")
    print()
    print("Nearest words, by cosine:")
    print()
    columns = [
        [word, "-" * len(word), *(f"{cosine:.2f} {near}" for near, cosine in found)]
        for word, found in result.neighbors.items()
    ]
    widths = [min(max(map(len, column)), _COLUMN) for column in columns]
    for cells in zip_longest(*columns, fillvalue=""):
        print("  " + "   ".join(f"{cell[:width]:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip())
    print()
    print(f"Saved {result.output}: {len(result.vectors):,} words, {result.vectors.vector_size} dimensions. Try next:")
    print()
    word = next(iter(result.neighbors))
    print(f"  pyembed neighbors {result.output} {word}")
    print(f"  pyembed info {result.output}")
    print("  pyembed demo --input YOUR_TEXT.txt")
    print("  pyembed train YOUR_TEXT.txt -o vectors.bin")
    if report.interrupted:
        print("\nInterrupted: these vectors had less training than they should.")


def _stages(result: DemoResult) -> list[tuple[str, float, str]]:
    """Each stage, its seconds, and what it did, in order; training is told in its own stages."""
    report = result.report
    speed = f"{report.raw_words_per_second / 1e6:.1f} M words/s"
    what = {
        "gather": "of installed packages, in parallel, importing none",
        "read": f"{report.raw_tokens:,} words counted and encoded; {report.vocabulary:,} different ones kept",
        "prepare": "tables",
        "train": f"{len(report.epochs)} epochs, {speed}, {report.threads} threads, {report.backend} ({report.simd})",
        "save": f"{result.output.stat().st_size / 1e6:.1f} MB",
        "query": f"{len(result.neighbors)} words",
    }
    seconds: dict[str, float] = {}
    for stage, taken in result.seconds.items():
        seconds.update(report.stages if stage == "train" else {stage: taken})
    return [(stage, taken, what.get(stage, "")) for stage, taken in seconds.items()]
