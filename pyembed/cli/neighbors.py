"""`pyembed neighbors`: the words nearest to each given word."""

from __future__ import annotations

import argparse
from typing import Any

from pyembed.cli.exits import ExitCode, exiting
from pyembed.cli.options import add_json, add_topn, add_vectors, load_vectors, print_json, ranked
from pyembed.vectors import UnknownWordError


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "neighbors",
        help="words nearest to a word",
        description="Print the words nearest to each WORD, by cosine.",
        allow_abbrev=False,
    )
    add_vectors(parser)
    parser.add_argument("words", nargs="+", metavar="WORD", help="a word")
    add_topn(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    vectors = load_vectors(arguments.vectors)
    with exiting(ExitCode.INPUT, UnknownWordError):
        found = {word: vectors.most_similar(word, topn=arguments.topn) for word in arguments.words}
    if arguments.json:
        print_json([{"word": word, "neighbors": ranked(neighbors)} for word, neighbors in found.items()])
        return ExitCode.OK
    for word, neighbors in found.items():
        print(word)
        for neighbor, cosine in neighbors:
            print(f"  {cosine:6.3f}  {neighbor}")
    return ExitCode.OK
