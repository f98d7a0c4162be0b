"""`pyembed demo`: good vectors from real text, in one command."""

from __future__ import annotations

import argparse
import sys
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyembed._version import __version__
from pyembed.cli.exits import ExitCode, exiting
from pyembed.cli.options import add_json, print_json, ranked

if TYPE_CHECKING:
    from pyembed.demo import DemoResult


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
    from pyembed.corpus import CorpusError
    from pyembed.demo import run_demo

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
