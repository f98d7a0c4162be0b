"""`pyembed analogy`: A is to B as C is to what?"""

from __future__ import annotations

import argparse
from typing import Any

from pyembed.cli.exits import ExitCode, exiting
from pyembed.cli.options import add_json, add_topn, add_vectors, load_vectors, print_json, ranked
from pyembed.vectors import UnknownWordError


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "analogy",
        help="A is to B as C is to what?",
        description="Print the words that are to C as B is to A: the nearest to B - A + C, by cosine. "
        "For example: pyembed analogy vectors.bin man king woman",
        allow_abbrev=False,
    )
    add_vectors(parser)
    for name in "abc":
        parser.add_argument(name, metavar=name.upper(), help="a word")
    add_topn(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    vectors = load_vectors(arguments.vectors)
    a, b, c = arguments.a, arguments.b, arguments.c
    with exiting(ExitCode.INPUT, UnknownWordError):
        answers = vectors.analogy(a, b, c, topn=arguments.topn)
    if arguments.json:
        print_json({"a": a, "b": b, "c": c, "answers": ranked(answers)})
        return ExitCode.OK
    print(f"{a} is to {b} as {c} is to")
    for word, cosine in answers:
        print(f"  {cosine:6.3f}  {word}")
    return ExitCode.OK
