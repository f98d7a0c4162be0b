"""`pyembed train`: from text files to a vector file."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyembed.cli.configuration import CORPUS, MACHINE, TRAINING, add_options, configuration
from pyembed.cli.exits import ExitCode, exiting
from pyembed.cli.imports import quick_imports
from pyembed.cli.options import add_json, print_json
from pyembed.config import CorpusConfig, TrainConfig
from pyembed.vectors import VectorFileError
from pyembed.vectors.formats import require_target

if TYPE_CHECKING:
    from pyembed.training.report import TrainingReport


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "train",
        help="train vectors on text",
        description="Train vectors on text, one sentence or paragraph a line. Ctrl-C ends training early and saves.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="file (also .gz, .bz2, .zst), folder, glob, or - for standard input"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT", help="vector file: .bin, .txt, .vec or .safetensors"
    )
    training = parser.add_argument_group("training")
    add_options(training, TRAINING, TrainConfig)
    training.add_argument(
        "--hs",
        action="store_true",
        default=argparse.SUPPRESS,
        help="hierarchical softmax, beside negatives unless --negative is 0",
    )
    training.add_argument(
        "--fixed-windows",
        dest="shrink_windows",
        action="store_false",
        default=argparse.SUPPRESS,
        help="every window reaches --window words to either side, instead of 1 to so many, drawn anew for each",
    )
    hidden = training.add_mutually_exclusive_group()
    for flag, value, meaning in (("--cbow-mean", True, "mean (default)"), ("--cbow-sum", False, "sum")):
        hidden.add_argument(
            flag,
            dest="cbow_mean",
            action="store_const",
            const=value,
            default=argparse.SUPPRESS,
            help=f"CBOW predicts from the contexts' {meaning}",
        )
    corpus = parser.add_argument_group("corpus")
    add_options(corpus, CORPUS, CorpusConfig)
    corpus.add_argument(
        "--lowercase", action="store_true", default=argparse.SUPPRESS, help="lower-case by Unicode's rules"
    )
    corpus.add_argument("--vocab", type=Path, metavar="FILE", help="train this vocabulary instead of counting one")
    corpus.add_argument("--save-vocab", type=Path, metavar="FILE", help="write `word count` lines")
    corpus.add_argument("--cache", type=Path, metavar="DIR", help="keep the encoded corpus here for the next run")
    machine = parser.add_argument_group("machine and reporting")
    add_options(machine, MACHINE, TrainConfig)
    machine.add_argument("--quiet", action="store_true", help="print errors only")
    add_json(machine)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    with exiting(ExitCode.USAGE, ValueError):
        training = configuration(TrainConfig, arguments)
        corpus = configuration(CorpusConfig, arguments)
    # Told now, not after hours of training.
    with exiting(ExitCode.USAGE, VectorFileError), exiting(ExitCode.OUTPUT, OSError):
        require_target(arguments.output)

    with quick_imports():  # of torch
        from pyembed.corpus import CorpusError, Vocabulary
        from pyembed.models import Word2Vec
        from pyembed.ops import MachineError
        from pyembed.training.loop import TrainingError

    with (
        exiting(ExitCode.USAGE, MachineError),
        exiting(ExitCode.INPUT, CorpusError, OSError),
        exiting(ExitCode.FAILED, TrainingError, MemoryError),
    ):
        vocabulary = Vocabulary.load(arguments.vocab) if arguments.vocab else None
        model = Word2Vec.from_configs(training, corpus)
        model.fit_files(
            arguments.inputs,
            vocabulary=vocabulary,
            cache_dir=arguments.cache,
            progress=False if arguments.quiet else None,
        )
    started = time.perf_counter()
    with exiting(ExitCode.OUTPUT, VectorFileError, CorpusError, OSError):
        model.wv.save(arguments.output)
        if arguments.save_vocab:
            model.vocabulary.save(arguments.save_vocab)
    model.report.stages["save"] = time.perf_counter() - started

    if arguments.json:
        print_json({"output": str(arguments.output), "training": training.to_dict(), **model.report.to_dict()})
    elif not arguments.quiet:
        _print(model.report, arguments.output)
    if model.report.interrupted:
        print(f"pyembed: interrupted; {arguments.output} holds what was trained until then", file=sys.stderr)
        return ExitCode.INTERRUPTED
    return ExitCode.OK


def _print(report: TrainingReport, output: Path) -> None:
    print(f"{report.raw_tokens:,} words read, {report.kept_tokens:,} in a vocabulary of {report.vocabulary:,}")
    for number, epoch in enumerate(report.epochs, 1):
        speed = f"{epoch.words_per_second / 1e6:.2f} M words/s"
        print(f"epoch {number}  loss {epoch.loss:.4f}  {speed}  {epoch.seconds:.1f} s")
    print(f"{report.backend} kernels ({report.simd}) on {report.device}, {report.threads} threads")
    print(", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in report.stages.items()))
    print(f"saved {output}, {output.stat().st_size / 1e6:.1f} MB")
