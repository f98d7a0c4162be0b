"""Options of the command line that set fields of the configurations, each stated once."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Option:
    """An option that sets the configuration's field of that name."""

    flags: tuple[str, ...]
    field: str
    type: type
    metavar: str
    help: str


TRAINING = (
    Option(("--model",), "model", str, "skipgram|cbow", "what predicts what"),
    Option(("--vector-size", "--dim"), "vector_size", int, "D", "dimensions"),
    Option(("--window", "--ws"), "window", int, "N", "largest distance between a word and its contexts"),
    Option(("--negative", "--neg"), "negative", int, "N", "negatives that a pair is trained with; 0 (none) with --hs"),
    Option(
        ("--negatives-from",),
        "negatives_from",
        str,
        "pair|window|pool|batch",
        "who shares negatives (default: batch, which also trains together; on a GPU, window)",
    ),
    Option(
        ("--pool",),
        "pool",
        int,
        "P",
        "windows that share negatives, as a pool or a batch (default: 4; 6 with bfloat16 products)",
    ),
    Option(
        ("--pool-negatives",),
        "pool_negatives",
        int,
        "N",
        "negatives drawn for a batch, each counting negative / N (default: (pool + 4) / 5 of --negative)",
    ),
    Option(
        ("--products",),
        "products",
        str,
        "float32|bfloat16",
        "what batches are multiplied as (default: bfloat16 where the processor is fast at it)",
    ),
    Option(("--ns-exponent",), "ns_exponent", float, "X", "negatives are drawn in proportion to count ** X"),
    Option(("--sample", "-t"), "sample", float, "X", "thin out words above this share of the corpus; 0: none"),
    Option(("--epochs", "--epoch"), "epochs", int, "N", "passes over the corpus"),
    Option(("--alpha", "--lr"), "alpha", float, "X", "first learning rate (default: skipgram 0.025, cbow 0.05)"),
    Option(("--min-alpha",), "min_alpha", float, "X", "last learning rate"),
    Option(
        ("--cbow-gradient",),
        "cbow_gradient",
        str,
        "word2vec|exact",
        "each context gets the whole gradient, or its share",
    ),
    Option(("--seed",), "seed", int, "N", "of every random draw; with --threads 1 the same seed gives the same file"),
)
MACHINE = (
    Option(("--threads", "--workers", "--thread"), "threads", int, "N", "CPU threads (default: all cores)"),
    Option(("--backend",), "backend", str, "auto|native|torch", "compiled kernels or PyTorch"),
    Option(("--device",), "device", str, "NAME", "as torch names it"),
    Option(("--table-dtype",), "table_dtype", str, "float32|bfloat16", "bfloat16 halves the memory of the tables"),
    Option(("--write-back",), "write_back", str, "add|store", "on a GPU: add changes to rows, or store rows"),
)
CORPUS = (
    Option(("--min-count", "--minCount"), "min_count", int, "N", "drop words that occur less often"),
    Option(("--max-final-vocab",), "max_final_vocab", int, "N", "keep only the N most frequent words"),
    Option(("--tokenizer",), "tokenizer", str, "whitespace|words", "split at white space, or keep only Unicode words"),
    Option(("--encoding-errors",), "encoding_errors", str, "strict|replace", "stop at invalid UTF-8, or go on"),
)


def add_options(group: Any, options: tuple[Option, ...], config: type) -> None:
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


def configuration(config: type[Any], arguments: argparse.Namespace) -> Any:
    """The configuration of this type, from those of its options that were given."""
    names = {field.name for field in fields(config)}
    return config(**{name: value for name, value in vars(arguments).items() if name in names})
