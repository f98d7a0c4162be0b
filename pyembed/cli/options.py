"""What several commands share: the vectors they read and the form of what they print."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

from pyembed.cli.exits import ExitCode, exiting
from pyembed.vectors import KeyedVectors, VectorFileError


def add_vectors(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "vectors", type=Path, metavar="VECTORS", help="vector file of any format, see `pyembed convert --help`"
    )


def add_topn(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-n", "--topn", type=positive, default=10, metavar="N", help="words to show (default: 10)")


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def positive(text: str) -> int:
    """The type of options that count something."""
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected a whole number >= 1, found {text!r}")
    return int(text)


def load_vectors(path: Path) -> KeyedVectors:
    """Reads a vector file, or ends the command."""
    with exiting(ExitCode.INPUT, VectorFileError, OSError, ModuleNotFoundError):
        return KeyedVectors.load(path)


def json_text(value: Any) -> str:
    """One JSON value; numbers that are not finite become null, which JSON has."""
    return json.dumps(_finite(value), ensure_ascii=False, indent=2)


def print_json(value: Any) -> None:
    """One JSON value on stdout."""
    print(json_text(value))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def ranked(words: list[tuple[str, float]]) -> list[dict[str, Any]]:
    """Words and cosines as JSON has them."""
    return [{"word": word, "cosine": cosine} for word, cosine in words]
