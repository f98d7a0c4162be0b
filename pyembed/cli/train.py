"""`pyembed train`: from text files to a vector file."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyembed.cli.exits import ExitCode, exiting
from pyembed.cli.options import add_json, print_json
from pyembed.config import CorpusConfig, TrainConfig
from pyembed.vectors import VectorFileError
from pyembed.vectors.formats import require_target

if TYPE_CHECKING:
    from pyembed.training.report import TrainingReport


@dataclass(frozen=True)
class _Option:
    """An option that sets the configuration's field of that name."""

    flags: tuple[str, ...]
    field: str
    type: type
    metavar: str
    help: str


_TRAINING = (
    _Option(("--model",), "model", str, "skipgram|cbow", "what predicts what"),
    _Option(("--vector-size", "--dim"), "vector_size", int, "D", "dimensions"),
    _Option(("--window", "--ws"), "window", int, "N", "largest distance between a word and its contexts"),
    _Option(("--negative", "--neg"), "negative", int, "N", "negatives drawn for each window"),
    _Option(("--ns-exponent",), "ns_exponent", float, "X", "negatives are drawn in proportion to count ** X"),
    _Option(("--sample", "-t"), "sample", float, "X", "thin out words above this share of the corpus; 0: none"),
    _Option(("--epochs", "--epoch"), "epochs", int, "N", "passes over the corpus"),
    _Option(("--alpha", "--lr"), "alpha", float, "X", "first learning rate (default: skipgram 0.025, cbow 0.05)"),
    _Option(("--min-alpha",), "min_alpha", float, "X", "last learning rate"),
    _Option(
        ("--cbow-gradient",),
        "cbow_gradient",
        str,
        "word2vec|exact",
        "each context gets the whole gradient, or its share",
    ),
    _Option(("--seed",), "seed", int, "N", "of every random draw; with --threads 1 the same seed gives the same file"),
)
_MACHINE = (
    _Option(("--threads", "--workers", "--thread"), "threads", int, "N", "CPU threads (default: all cores)"),
    _Option(("--backend",), "backend", str, "auto|native|torch", "compiled kernels or PyTorch"),
    _Option(("--device",), "device", str, "NAME", "as torch names it"),
)
_CORPUS = (
    _Option(("--min-count", "--minCount"), "min_count", int, "N", "drop words that occur less often"),
    _Option(("--max-final-vocab",), "max_final_vocab", int, "N", "keep only the N most frequent words"),
    _Option(("--tokenizer",), "tokenizer", str, "whitespace|words", "split at white space, or keep only Unicode words"),
    _Option(("--encoding-errors",), "encoding_errors", str, "strict|replace", "stop at invalid UTF-8, or go on"),
)


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
    _add_options(training, _TRAINING, TrainConfig)
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
    _add_options(corpus, _CORPUS, CorpusConfig)
    corpus.add_argument(
        "--lowercase", action="store_true", default=argparse.SUPPRESS, help="lower-case by Unicode's rules"
    )
    corpus.add_argument("--vocab", type=Path, metavar="FILE", help="train this vocabulary instead of counting one")
    corpus.add_argument("--save-vocab", type=Path, metavar="FILE", help="write `word count` lines")
    corpus.add_argument("--cache", type=Path, metavar="DIR", help="keep the encoded corpus here for the next run")
    machine = parser.add_argument_group("machine and reporting")
    _add_options(machine, _MACHINE, TrainConfig)
    machine.add_argument("--quiet", action="store_true", help="print errors only")
    add_json(machine)
    parser.set_defaults(run=run)


def _add_options(group: Any, options: tuple[_Option, ...], config: type) -> None:
    """Options left out stay out of the namespace, so that each default is stated once, in the configuration."""
    defaults = {field.name: field.default for field in fields(config)}
    for option in options:
        default = defaults[option.field]
        note = "" if default is None else f" (default: {default})"
        group.add_argument(
            *option.flags,
            dest=option.field,
            type=option.type,
            default=argparse.SUPPRESS,
            metavar=option.metavar,
            help=option.help + note,
        )


def _configuration(config: type[Any], arguments: argparse.Namespace) -> Any:
    names = {field.name for field in fields(config)}
    return config(**{name: value for name, value in vars(arguments).items() if name in names})


def run(arguments: argparse.Namespace) -> int:
    with exiting(ExitCode.USAGE, ValueError):
        training = _configuration(TrainConfig, arguments)
        corpus = _configuration(CorpusConfig, arguments)
    # Told now, not after hours of training.
    with exiting(ExitCode.USAGE, VectorFileError), exiting(ExitCode.OUTPUT, OSError):
        require_target(arguments.output)

    from pyembed.corpus import CorpusError, Vocabulary  # these import numba and torch
    from pyembed.models import Word2Vec
    from pyembed.ops import MachineError
    from pyembed.training.loop import TrainingError

    with (
        exiting(ExitCode.USAGE, MachineError),
        exiting(ExitCode.INPUT, CorpusError, OSError),
        exiting(ExitCode.FAILED, TrainingError),
    ):
        vocabulary = Vocabulary.load(arguments.vocab) if arguments.vocab else None
        model = Word2Vec(training=training, corpus=corpus)
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
