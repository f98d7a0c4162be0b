"""Whole runs against gensim: text file to saved vectors, same settings, same file, turn and turn about.

    pip install '.[bench]'
    python benchmarks/compare_gensim.py corpus.txt --pairs wordsim353.txt --analogies questions-words.txt

Each run is a process of its own, so imports, reading, training and saving are all inside the clock. Scores are those of
the very vectors that were timed. The table is Markdown; quote the ratio, since absolute times change with the machine's
other tenants.
"""

from __future__ import annotations

import argparse
import importlib.util
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from pyembed import KeyedVectors
from pyembed.vectors import evaluate_word_analogies, evaluate_word_pairs

_PYEMBED = """
import sys
from pyembed.cli import main
corpus, output, model, size, epochs, threads, alpha, seed = sys.argv[1:]
main(["train", corpus, "-o", output, "--model", model, "--vector-size", size, "--epochs", epochs, "--threads", threads,
      "--alpha", alpha, "--seed", seed, "--quiet"])
"""
_GENSIM = """
import sys
from gensim.models import Word2Vec
corpus, output, model, size, epochs, threads, alpha, seed = sys.argv[1:]
trained = Word2Vec(corpus_file=corpus, sg=int(model == "skipgram"), vector_size=int(size), epochs=int(epochs),
                   workers=int(threads), alpha=float(alpha), seed=int(seed))
trained.wv.save_word2vec_format(output, binary=True)
"""
PROGRAMS = {"pyembed": _PYEMBED, "gensim": _GENSIM}


@dataclass
class Runs:
    """What the runs of one program gave."""

    seconds: list[float] = field(default_factory=list)
    scores: list[list[float]] = field(default_factory=list)


def run_once(program: str, arguments: argparse.Namespace, seed: int) -> tuple[float, list[float]]:
    """Wall seconds of one run, and the scores of its vectors."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "vectors.bin"
        settings = (arguments.model, arguments.vector_size, arguments.epochs, arguments.threads, arguments.alpha, seed)
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-c", PROGRAMS[program], arguments.corpus, output, *map(str, settings)], check=True
        )
        seconds = time.perf_counter() - started
        vectors = KeyedVectors.load(output)
    scores = [100 * evaluate_word_pairs(vectors, path).spearman for path in arguments.pairs]
    if arguments.analogies:
        scores.append(100 * evaluate_word_analogies(vectors, arguments.analogies).total.accuracy)
    return seconds, scores


def table(results: dict[str, Runs], arguments: argparse.Namespace) -> str:
    """Medians as Markdown."""
    sets = [Path(path).stem for path in arguments.pairs] + (["analogies %"] if arguments.analogies else [])
    lines = [f"| {' | '.join(['', 'seconds', *sets])} |", "|---" * (2 + len(sets)) + "|"]
    for program, runs in results.items():
        scores = [f"{statistics.median(column):.1f}" for column in zip(*runs.scores, strict=True)]
        lines.append(f"| {' | '.join([program, f'{statistics.median(runs.seconds):.1f}', *scores])} |")
    ratios = [theirs / ours for ours, theirs in zip(*(results[p].seconds for p in PROGRAMS), strict=True)]
    lines.append(f"\ngensim / pyembed, round by round: {', '.join(f'{ratio:.1f}' for ratio in ratios)}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", help="plain text, one sentence a line")
    parser.add_argument("--model", choices=["skipgram", "cbow"], default="skipgram")
    parser.add_argument("--vector-size", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--alpha", type=float, default=0.025, help="for both")
    parser.add_argument("--pairs", nargs="*", default=[], metavar="FILE")
    parser.add_argument("--analogies", metavar="FILE")
    parser.add_argument("--rounds", type=int, default=3, help="each with a seed of its own")
    arguments = parser.parse_args()
    if importlib.util.find_spec("gensim") is None:
        parser.error("gensim is not installed: pip install '.[bench]'")

    results = {program: Runs() for program in PROGRAMS}
    for seed in range(1, arguments.rounds + 1):
        for program, runs in results.items():
            seconds, scores = run_once(program, arguments, seed)
            runs.seconds.append(seconds)
            runs.scores.append(scores)
            print(f"round {seed}: {program} {seconds:.1f} s", file=sys.stderr)
    print(
        f"{platform.machine()}, {arguments.threads} threads, {arguments.model}, D = {arguments.vector_size}, window 5, "
        f"5 negatives, sample 1e-3, min_count 5, {arguments.epochs} epochs, alpha {arguments.alpha}; "
        f"medians of {arguments.rounds} rounds\n"
    )
    print(table(results, arguments))


if __name__ == "__main__":
    main()
