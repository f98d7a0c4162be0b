"""The command `pyembed`: each command, in a file of its own, parses, calls one function and prints."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from pyembed._version import __version__
from pyembed.cli import analogy, bench, convert, demo, evaluate, info, neighbors, phrases, selftest, train
from pyembed.cli.exits import CommandError, ExitCode

_COMMANDS = (train, phrases, neighbors, analogy, evaluate, convert, info, demo, bench, selftest)


class _Parser(argparse.ArgumentParser):
    """Errors in one style for every command."""

    def error(self, message: str) -> NoReturn:
        self.exit(ExitCode.USAGE, f"pyembed: error: {message}\nsee `{self.prog} --help`\n")


def _parser() -> _Parser:
    parser = _Parser(
        prog="pyembed",
        description="Train word vectors, or vectors of any other sequences, and use them.",
        epilog="exit codes:\n" + "\n".join(f"  {code.value:<4} {code.meaning}" for code in ExitCode),
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=20),
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"pyembed {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command with the arguments of the process, or with `argv`. Returns the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a word that the terminal cannot show ends nothing
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except CommandError as error:
        print(f"pyembed: error: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        print("pyembed: interrupted", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader, `head` say, has what it wanted. Python would complain at exit when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    return code
