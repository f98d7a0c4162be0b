"""`pyembed phrases`: words that stand together more often than chance has it, joined in a text file."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from pyembed.cli.exits import CommandError, ExitCode, exiting
from pyembed.cli.options import add_json, positive, print_json
from pyembed.config import CorpusConfig
from pyembed.files import require_writable
from pyembed.vectors import VectorFileError


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "phrases",
        help="join words that stand together, new_york, in text",
        description="Count words and pairs of neighbours in text, one sentence a line, and find the pairs that are "
        "phrases. With -o, write the text with phrases joined, to train on; blank lines are left out.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="file (also .gz, .bz2, .zst), folder, glob, or - for standard input"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", help="text file to write; also .gz, .bz2, .zst")
    parser.add_argument("--min-count", type=float, default=5, metavar="N", help="pairs that are rarer are no phrases")
    parser.add_argument("--threshold", type=float, metavar="X", help="score of a phrase (default: 10; of npmi, 0.5)")
    parser.add_argument("--scoring", choices=("default", "npmi"), default="default", help="see the README")
    parser.add_argument("--delimiter", default="_", metavar="TEXT", help="what joins words (default: _)")
    parser.add_argument(
        "--connectors",
        default="none",
        metavar="WHICH",
        help="words that may stand within a phrase: none, english (of, the, ...), or a file of such words",
    )
    parser.add_argument(
        "--passes", type=positive, default=1, metavar="N", help="2 finds phrases of up to four words (default: 1)"
    )
    parser.add_argument("--lowercase", action="store_true", help="lower-case by Unicode's rules")
    parser.add_argument("--list", type=int, default=10, metavar="N", help="best phrases to show (default: 10)")
    parser.add_argument(
        "--save", type=Path, metavar="FILE", help="the phrases, for FrozenPhrases.load; of pass 2 on, FILE.2 and so on"
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    # Not at the head, where every command would wait for them.
    from pyembed.corpus import CorpusError, ingest_files, ingest_sentences
    from pyembed.corpus.text_file import write_text
    from pyembed.models.phrases import FrozenPhrases, Phrases
    from pyembed.training.progress import ReadingProgress

    each_word = CorpusConfig(min_count=1, lowercase=arguments.lowercase)
    threshold = arguments.threshold
    if threshold is None:
        threshold = 0.5 if arguments.scoring == "npmi" else 10.0
    connectors = _connectors(arguments.connectors)

    def counting() -> Phrases:
        return Phrases(
            min_count=arguments.min_count,
            threshold=threshold,
            delimiter=arguments.delimiter,
            scoring=arguments.scoring,
            connector_words=connectors,
        )

    with exiting(ExitCode.USAGE, ValueError):
        counting()
        if len(f"a{arguments.delimiter}b".split()) > 1:  # and what is written would not be joined
            raise ValueError(f"delimiter: expected no white space, found {arguments.delimiter!r}")
    with exiting(ExitCode.OUTPUT, OSError):  # told now, not after the work
        for path in filter(None, (arguments.output, arguments.save)):
            require_writable(path)

    started = time.perf_counter()
    with exiting(ExitCode.INPUT, CorpusError, OSError), ReadingProgress() as reading:
        corpus = ingest_files(arguments.inputs, each_word, progress=reading.update)
    words = corpus.token_ids.n_tokens
    found: list[FrozenPhrases] = []
    with exiting(ExitCode.OUTPUT, OSError):  # large corpora lie in temporary files
        for _ in range(arguments.passes):
            phrases = counting()
            phrases.add_vocab(corpus)
            found.append(phrases.freeze())
            corpus = ingest_sentences(found[-1][corpus], CorpusConfig(min_count=1))
    seconds = time.perf_counter() - started

    with exiting(ExitCode.OUTPUT, VectorFileError, OSError, ModuleNotFoundError):
        if arguments.output:
            write_text(corpus, arguments.output)
        for number, frozen in enumerate(found, 1):
            if arguments.save:
                frozen.save(arguments.save if number == 1 else f"{arguments.save}.{number}")
    facts = {
        "output": str(arguments.output) if arguments.output else None,
        "words": words,
        "words_joined": corpus.token_ids.n_tokens,
        "passes": [
            {"phrases": len(frozen), "best": [{"phrase": phrase, "score": score} for phrase, score in best]}
            for frozen in found
            for best in [list(frozen.phrasegrams.items())[: arguments.list]]
        ],
        "seconds": seconds,
        "words_per_second": words / seconds,
    }
    if arguments.json:
        print_json(facts)
    else:
        _print(facts)
    return ExitCode.OK


def _connectors(which: str) -> frozenset[str]:
    if which == "none":
        return frozenset()
    if which == "english":
        from pyembed.models.phrases import ENGLISH_CONNECTOR_WORDS

        return ENGLISH_CONNECTOR_WORDS
    try:
        return frozenset(Path(which).read_text(encoding="utf-8").split())
    except (OSError, UnicodeDecodeError) as error:
        message = f"--connectors: expected none, english, or a file of words, found {which!r}: {error}"
        raise CommandError(ExitCode.INPUT, message) from error


def _print(facts: dict[str, Any]) -> None:
    for number, found in enumerate(facts["passes"], 1):
        print(f"pass {number}: {found['phrases']:,} phrases")
        for best in found["best"]:
            print(f"{best['score']:>12.4g}  {best['phrase']}")
    speed = f"{facts['words_per_second'] / 1e6:.1f} M words/s"
    print(f"{facts['words']:,} words read, {facts['words_joined']:,} once joined, {speed}, {facts['seconds']:.1f} s")
    if facts["output"]:
        print(f"saved {facts['output']}")
