"""What a GPU's many warps do to quality, simulated on the CPU: skip-gram, rows held as the CUDA kernel holds them.

    python benchmarks/gpu_staleness.py corpus.txt --pairs wordsim353.txt --analogies questions-words.txt \\
        --warps 1 1584 --frequent 1 3e-4

A warp holds rows of in_vectors for as long as their tokens are within reach, and knows nothing of what the others
change meanwhile. --frequent: the share of tokens from which on a word's row goes back and comes anew after every window
(1: no word's). The table shows the loss a window in the last epoch, the largest element, and the scores. 17 M words and
5 epochs take three to ten minutes a line.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pyembed import KeyedVectors, TrainConfig
from pyembed.bench.scores import scores
from pyembed.bench.table import table
from pyembed.config import CorpusConfig
from pyembed.corpus import Corpus, ingest_files
from pyembed.corpus.subsample import Subsampler
from pyembed.corpus.tables import FREQUENT, alias_table, frequent_words, keep_thresholds
from pyembed.training.loop import learning_rate
from pyembed.training.tables import new_tables

_SOURCE = Path(__file__).with_suffix(".cpp")
_INCLUDE = _SOURCE.parent.parent / "csrc"


def compiled(folder: Path) -> Any:
    """The simulation, compiled now for this machine."""
    library = folder / "gpu_staleness.so"
    compiler = os.environ.get("CXX", "c++")
    flags = ["-std=c++17", "-O3", "-ffast-math", "-march=native", "-shared", "-fPIC", f"-I{_INCLUDE}"]
    subprocess.run([compiler, *flags, _SOURCE, "-o", library], check=True)
    simulation = ctypes.CDLL(str(library)).train_block
    simulation.restype = ctypes.c_double
    return simulation


def pointer(array: npt.NDArray[Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def train(simulation: Any, corpus: Corpus, config: TrainConfig, warps: int, frequent: float) -> tuple[float, Any]:
    """The loss a window in the last epoch, and in_vectors float32[V, D]."""
    counts = corpus.vocabulary.counts
    thresholds = keep_thresholds(counts, config.sample)
    noise = np.ascontiguousarray(alias_table(counts, config.ns_exponent))
    tables = new_tables(len(counts), config)
    in_rows, out_rows = tables.in_padded.numpy(), tables.out_padded.numpy()
    subsampler = Subsampler(corpus.token_ids, thresholds, config.window, config.seed, config.thread_count)
    loss = 0.0
    for epoch in range(config.epochs):
        (block,) = subsampler.blocks(epoch, corpus.token_ids.n_tokens)
        rates = [learning_rate(config, (epoch + edge) / config.epochs) for edge in (0, 1)]
        loss = simulation(
            pointer(block.ids),
            pointer(block.sentence_starts),
            ctypes.c_int64(len(block.ids)),
            ctypes.c_int64(len(block.sentence_starts) - 1),
            ctypes.c_int64(block.center_begin),
            ctypes.c_int64(block.center_end),
            pointer(noise),
            ctypes.c_uint32(len(counts)),
            ctypes.c_int(config.window),
            ctypes.c_int(config.negative),
            ctypes.c_uint64(config.seed),
            ctypes.c_uint32(epoch),
            pointer(in_rows),
            pointer(out_rows),
            ctypes.c_int64(in_rows.shape[1]),
            *(ctypes.c_double(rate) for rate in rates),
            ctypes.c_int64(warps),
            ctypes.c_int32(frequent_words(counts, thresholds, frequent)),
        ) / (block.center_end - block.center_begin)
        print(f"{warps} warps, frequent {frequent}: epoch {epoch + 1}, loss {loss:.3f}", file=sys.stderr)
    return loss, tables.in_vectors.numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, help="text, one sentence a line")
    parser.add_argument("--warps", type=int, nargs="+", default=[1, 1584])
    parser.add_argument("--frequent", type=float, nargs="+", default=[1.0, FREQUENT], metavar="SHARE")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pairs", type=Path, nargs="+", default=[], metavar="FILE")
    parser.add_argument("--analogies", type=Path, metavar="FILE")
    arguments = parser.parse_args()

    config = TrainConfig(epochs=arguments.epochs, seed=arguments.seed, negatives_from="window")
    corpus = ingest_files([arguments.corpus], CorpusConfig())
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        simulation = compiled(Path(folder))
        for warps in arguments.warps:
            for frequent in arguments.frequent:
                loss, vectors = train(simulation, corpus, config, warps, frequent)
                scored = scores(KeyedVectors(corpus.vocabulary.words, vectors), arguments.pairs, arguments.analogies)
                cells = [f"{loss:.3f}", f"{np.abs(vectors).max():.2f}", *(f"{value:.1f}" for value in scored.values())]
                rows.append([str(warps), f"{frequent:g}", *cells])
    print(table([["warps", "frequent from", "loss", "largest element", *scored], *rows]))


if __name__ == "__main__":
    main()
