"""`pyembed bench`: pyembed and other programs on the user's corpus and machine."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyembed.cli.configuration import MACHINE, TRAINING, add_options, configuration
from pyembed.cli.exits import ExitCode, exiting
from pyembed.cli.options import add_json, json_text, positive, print_json
from pyembed.config import CorpusConfig, TrainConfig
from pyembed.files import require_writable, whole_file
from pyembed.vectors import EvaluationFileError

if TYPE_CHECKING:
    from pyembed.bench.results import Comparison, Settings

_SHARED = ("model", "vector_size", "window", "negative", "sample", "alpha", "threads")
"""What all programs can be told."""
_EPOCHS = (1, 2, 5)


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "bench",
        help="compare with gensim, fastText and plain PyTorch on your corpus and machine",
        description="Train on CORPUS with pyembed and with whichever other programs are installed (see --list), with "
        "the same settings on the same cores, turn and turn about, each run a process of its own. Writes bench.md, "
        "bench.json and, of quality against time, bench.svg. Ctrl-C or SIGTERM ends early and writes what there is.",
        allow_abbrev=False,
    )
    parser.add_argument("corpus", type=Path, nargs="?", metavar="CORPUS", help="plain text, one sentence a line")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("pyembed-bench"),
        metavar="FOLDER",
        help="where the results go (default: pyembed-bench)",
    )
    parser.add_argument("--list", action="store_true", help="say which programs are installed, and nothing more")
    settings = parser.add_argument_group("settings, the same for all")
    add_options(settings, tuple(option for option in (*TRAINING, *MACHINE) if option.field in _SHARED), TrainConfig)
    settings.add_argument(
        "--min-count",
        type=positive,
        default=CorpusConfig.min_count,
        metavar="N",
        help=f"drop words that occur less often (default: {CorpusConfig.min_count})",
    )
    compared = parser.add_argument_group("what is compared")
    compared.add_argument("--programs", nargs="+", metavar="NAME", help="only these (default: all that are installed)")
    compared.add_argument(
        "--epochs",
        dest="epoch_counts",
        type=positive,
        nargs="+",
        default=_EPOCHS,
        metavar="N",
        help="numbers of passes over the corpus, each trained anew (default: 1 2 5)",
    )
    compared.add_argument("--rounds", type=positive, default=3, metavar="N", help="each with a new seed (default: 3)")
    compared.add_argument(
        "--pairs", type=Path, nargs="+", action="extend", default=[], metavar="FILE", help="score on: word1 word2 score"
    )
    compared.add_argument("--analogies", type=Path, metavar="FILE", help="score on: a b c d, in sections")
    compared.add_argument(
        "--few-words",
        type=positive,
        default=200_000,
        metavar="N",
        help="words of the corpus for torch-loop, which is slow (default: 200000)",
    )
    add_json(parser)
    parser.set_defaults(run=run, usage_error=parser.error)


def run(arguments: argparse.Namespace) -> int:
    if arguments.list:
        return _list(arguments)
    if arguments.corpus is None:
        arguments.usage_error("expected CORPUS, found none")

    from pyembed.bench.compare import ComparisonError, compare
    from pyembed.corpus import CorpusError

    with exiting(ExitCode.USAGE, ValueError):
        settings = _settings(arguments)
    page = arguments.output / "bench.md"
    with exiting(ExitCode.OUTPUT, OSError):
        arguments.output.mkdir(parents=True, exist_ok=True)
        require_writable(page)  # told now, not after hours of runs
    with (
        exiting(ExitCode.USAGE, ComparisonError),
        exiting(ExitCode.INPUT, CorpusError, EvaluationFileError, OSError),
    ):
        comparison = compare(settings, announce=lambda what: print(what, file=sys.stderr))
    with exiting(ExitCode.OUTPUT, OSError):
        _write(comparison, arguments)
    if comparison.interrupted:
        return ExitCode.INTERRUPTED
    return ExitCode.FAILED if all(run.error for run in comparison.runs) else ExitCode.OK


def _settings(arguments: argparse.Namespace) -> Settings:
    from pyembed.bench.programs import PROGRAMS
    from pyembed.bench.results import Settings

    return Settings(
        corpus=arguments.corpus,
        training=configuration(TrainConfig, arguments),
        min_count=arguments.min_count,
        epochs=tuple(sorted(set(arguments.epoch_counts))),
        rounds=arguments.rounds,
        programs=tuple(dict.fromkeys(arguments.programs or PROGRAMS)),
        pairs=tuple(arguments.pairs),
        analogies=arguments.analogies,
        few_words=arguments.few_words,
    )


def _list(arguments: argparse.Namespace) -> int:
    from pyembed.bench.programs import PROGRAMS

    found = {name: program.installed() for name, program in PROGRAMS.items()}
    if arguments.json:
        print_json(found)
        return ExitCode.OK
    width = max(map(len, found))
    for name, version in found.items():
        print(f"{name:<{width}}  {version or 'not installed: ' + PROGRAMS[name].INSTALL}")
    return ExitCode.OK


def _write(comparison: Comparison, arguments: argparse.Namespace) -> None:
    """The files, and on stdout the page or the JSON."""
    from pyembed.bench.markdown import markdown
    from pyembed.bench.plot import plot, why_no_plot
    from pyembed.bench.summary import rows

    folder = arguments.output
    page, facts = markdown(comparison), {**comparison.to_dict(), "summary": [asdict(row) for row in rows(comparison)]}
    for name, text in (("bench.md", page), ("bench.json", json_text(facts) + "\n")):
        with whole_file(folder / name) as file:
            file.write(text.encode())
    trouble = why_no_plot(comparison)
    if trouble is None:
        plot(comparison, folder / "bench.svg")
    else:
        print(f"no plot: {trouble}", file=sys.stderr)
    print(f"saved in {folder}", file=sys.stderr)
    print(json_text(facts) if arguments.json else page.rstrip("\n"))
