"""What options are worth: trains each variant with several seeds, and prints a table of time and scores in Markdown.

    python benchmarks/ablation.py corpus.txt --pairs wordsim353.txt --analogies questions-words.txt \\
        --all threads=2 --variant negatives_from=window --variant negatives_from=batch,pool=8 --variant alpha=0.03

A variant names fields of TrainConfig, and --all those of every variant. Variants take turns, seed by seed, in one
process, and share the encoded corpus; `train s` is the training phase alone.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from pyembed import CorpusConfig, TrainConfig, Word2Vec
from pyembed.bench.scores import scores


def options(text: str) -> dict[str, Any]:
    """name=value,name=value as fields of TrainConfig; a value that is not JSON is a string."""
    fields: dict[str, Any] = {}
    for item in filter(None, text.split(",")):
        name, equals, value = item.partition("=")
        if not equals:
            raise argparse.ArgumentTypeError(f"expected name=value, found {item!r}")
        try:
            fields[name] = json.loads(value)
        except json.JSONDecodeError:
            fields[name] = value
    return fields


def mean_and_spread(values: list[float], digits: int) -> str:
    """The mean, and the standard deviation where there are several."""
    mean = f"{statistics.mean(values):.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, help="text, one sentence a line")
    parser.add_argument("--variant", type=options, action="append", required=True, metavar="NAME=VALUE,...")
    parser.add_argument("--all", type=options, default={}, metavar="NAME=VALUE,...", help="for every variant")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--pairs", type=Path, nargs="+", default=[], metavar="FILE")
    parser.add_argument("--analogies", type=Path, metavar="FILE")
    arguments = parser.parse_args()

    names = [",".join(f"{name}={value}" for name, value in variant.items()) for variant in arguments.variant]
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as cache:
        for seed in arguments.seeds:
            for name, variant in zip(names, arguments.variant, strict=True):
                training = TrainConfig(**{**arguments.all, **variant, "seed": seed})
                model = Word2Vec.from_configs(training, CorpusConfig())
                model.fit_files([arguments.corpus], cache_dir=cache, progress=False)
                seconds = model.report.stages["train"]
                print(f"seed {seed}: {name} {seconds:.1f} s", file=sys.stderr)
                scored = scores(model.wv, arguments.pairs, arguments.analogies)
                found[name].append({"train s": seconds, **scored})

    columns = list(found[names[0]][0])
    print(f"{arguments.corpus.name}; {json.dumps(arguments.all)}; {len(arguments.seeds)} seeds, mean ± deviation\n")
    print(f"| variant | {' | '.join(columns)} |")
    print("|---" * (1 + len(columns)) + "|")
    for name, runs in found.items():
        cells = [mean_and_spread([run[column] for run in runs], 2) for column in columns]
        print(f"| {' | '.join([name, *cells])} |")


if __name__ == "__main__":
    main()
