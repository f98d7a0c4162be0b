"""`pyembed convert`: a vector file of one format as a file of another."""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path
from typing import Any

from pyembed.cli.exits import CommandError, ExitCode, exiting
from pyembed.cli.options import add_json, print_json
from pyembed.vectors import formats
from pyembed.vectors.formats import VectorFileError, VectorFileWarning


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "convert",
        help="turn a vector file into another format",
        description="Read the vector file or folder IN and write OUT. Suffixes name the formats, or --from and --to; "
        f"where a suffix says too little, the content of IN decides. Formats: {', '.join(formats.FORMATS)}. "
        "Names of text files may end in .gz or .zst too.",
        allow_abbrev=False,
    )
    parser.add_argument("input", type=Path, metavar="IN", help="vector file, or a Hugging Face folder")
    parser.add_argument("output", type=Path, metavar="OUT", help="what to write")
    parser.add_argument("--from", dest="source", choices=formats.FORMATS, metavar="FORMAT", help="format of IN")
    parser.add_argument("--to", dest="target", choices=formats.FORMATS, metavar="FORMAT", help="format of OUT")
    parser.add_argument(
        "--errors",
        choices=formats.ERRORS,
        default="strict",
        help="what becomes of damaged rows: an error (the default), text repaired with U+FFFD, or left out",
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    with exiting(ExitCode.OUTPUT, VectorFileError):
        named = arguments.target is not None
        target = formats.named(arguments.target) if named else formats.format_of(arguments.output)
    with (
        exiting(ExitCode.INPUT, VectorFileError, OSError, ModuleNotFoundError),
        warnings.catch_warnings(record=True) as told,
    ):
        warnings.simplefilter("always", VectorFileWarning)
        named = arguments.source is not None
        source = formats.named(arguments.source) if named else formats.detect(arguments.input)
        _tell(f"reading {arguments.input} as {source.name}")
        table = source.read(arguments.input, errors=arguments.errors)
    for warning in told:
        print(f"pyembed: warning: {warning.message}", file=sys.stderr)
    if _is_same(arguments.input, arguments.output):
        raise CommandError(ExitCode.OUTPUT, f"{arguments.output}: expected another file than the input")
    _tell(f"writing {len(table.words):,} words to {arguments.output} as {target.name}")
    with exiting(ExitCode.OUTPUT, VectorFileError, OSError, ModuleNotFoundError):
        target.write(table, arguments.output)
    has = {"counts": table.counts is not None, "metadata": bool(table.metadata)}
    lost = [name for name, is_there in has.items() if is_there and name not in target.keeps]
    facts = {
        "input": str(arguments.input),
        "from": source.name,
        "output": str(arguments.output),
        "to": target.name,
        "words": len(table.words),
        "dimensions": int(table.vectors.shape[1]),
        "lost": lost,
    }
    if arguments.json:
        print_json(facts)
        return ExitCode.OK
    print(f"{facts['words']:,} words, {facts['dimensions']} dimensions: {source.name} to {target.name}")
    if lost:
        print(f"{target.name} has no place for {' and '.join(lost)}")
    return ExitCode.OK


def _tell(message: str) -> None:
    if sys.stderr.isatty():
        print(message, file=sys.stderr)


def _is_same(source: Path, target: Path) -> bool:
    return target.exists() and source.samefile(target)
