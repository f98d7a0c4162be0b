"""Loading vectors and asking them, beside gensim.

As a script, the table of the README: a file of GloVe's or word2vec's text, both libraries turn and turn about in one
process, and how far their answers agree.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from measure import Measure

from pyembed import KeyedVectors

QUERIES = 1_000
"""In a batch, drawn from the first 100,000 words."""
LOOPED = 200
"""Queries of a loop of single ones."""


def random_vectors(words: int, dimensions: int) -> KeyedVectors:
    values = np.random.default_rng(0).normal(size=(words, dimensions)).astype(np.float32)
    return KeyedVectors([f"w{row}" for row in range(words)], values)


@pytest.fixture(scope="module", params=[50, 300])
def vectors(request: pytest.FixtureRequest, tiny: bool) -> KeyedVectors:
    """400,000 words."""
    return random_vectors(2_000 if tiny else 400_000, request.param)


@pytest.mark.parametrize("queries", [1, 10, QUERIES])
@pytest.mark.parametrize("engine", ["exact", "quantized", "torch"])
def test_most_similar(engine: str, queries: int, vectors: KeyedVectors, measure: Measure) -> None:
    asked = vectors.index_to_key[:queries]
    searched = vectors.quantize() if engine == "quantized" else KeyedVectors(vectors.index_to_key, vectors.vectors)
    if engine == "torch":
        searched.search_on("cpu")
    measure(lambda: searched.most_similar_batch(asked), rounds=3, queries=queries)


def test_reading_text(vectors: KeyedVectors, measure: Measure, tmp_path: Path) -> None:
    vectors.save_word2vec_format(tmp_path / "vectors.txt")
    size = (tmp_path / "vectors.txt").stat().st_size
    measure(lambda: KeyedVectors.load(tmp_path / "vectors.txt"), rounds=3, words=len(vectors), bytes=size)


class Row(NamedTuple):
    """A line of the table."""

    what: str
    ours: float
    """Median seconds."""
    theirs: float | None
    """gensim's; None where it has nothing of the kind."""
    agreement: str

    @property
    def cells(self) -> list[str]:
        theirs = "" if self.theirs is None else f"{self.theirs:,.4g}"
        ratio = "" if self.theirs is None else f"{self.theirs / self.ours:.1f}"
        return [self.what, f"{self.ours:,.4g}", theirs, ratio, self.agreement]


def in_turns(rounds: int, *ways: Callable[[], Any]) -> list[tuple[float, Any]]:
    """For each way its median seconds and what it returned, after a turn to warm up where there are several rounds."""
    seconds: list[list[float]] = [[] for _ in ways]
    results: list[Any] = [None] * len(ways)
    for turn in range(rounds + (rounds > 1)):
        for number, way in enumerate(ways):
            started = time.perf_counter()
            results[number] = way()
            if turn > 0 or rounds == 1:
                seconds[number].append(time.perf_counter() - started)
    return [(statistics.median(times), result) for times, result in zip(seconds, results, strict=True)]


def same_words(ours: Sequence[Any], theirs: Sequence[Any]) -> str:
    """How many of the rankings name the same words in the same order, and how far apart their cosines are."""
    same = sum(
        [word for word, _ in one] == [word for word, _ in other] for one, other in zip(ours, theirs, strict=True)
    )
    pairs = [pair for one, other in zip(ours, theirs, strict=True) for pair in zip(one, other, strict=True)]
    apart = max(abs(first - second) for (_, first), (_, second) in pairs)
    return f"{same} of {len(ours)} rankings the same, cosines to {apart:.1g}"


class Comparison:
    """A file, opened by both."""

    def __init__(self, path: Path, rounds: int) -> None:
        from gensim.models import KeyedVectors as GensimVectors

        self.path, self.rounds, self._gensim = path, rounds, GensimVectors
        self.ours = KeyedVectors.load(path)
        self.theirs = GensimVectors(self.ours.vector_size)
        self.theirs.add_vectors(self.ours.index_to_key, KeyedVectors.load(path).vectors)
        self.theirs.fill_norms()
        drawn = np.random.default_rng(0).permutation(min(100_000, len(self.ours)))[:QUERIES]
        self.asked = [self.ours.index_to_key[row] for row in drawn]

    def load(self) -> Iterable[Row]:
        header = self.path.open("rb").readline().count(b" ") == 1
        (ours, read), (theirs, expected) = in_turns(
            self.rounds,
            lambda: KeyedVectors.load(self.path),
            lambda: self._gensim.load_word2vec_format(self.path, binary=False, no_header=not header),
        )
        equal = "equal" if np.array_equal(read.vectors, expected.vectors) else "vectors differ"
        yield Row(f"load {len(read):,} x {read.vector_size} as text", ours, theirs, equal)

    def single(self) -> Iterable[Row]:
        few = self.asked[:LOOPED]
        lent = KeyedVectors(self.ours.index_to_key, self.ours.vectors)  # which others may change
        small = lent.quantize()
        (theirs, expected), (ours, found), (ours_8_bits, found_8_bits) = in_turns(
            self.rounds,
            lambda: [self.theirs.most_similar(word) for word in few],
            lambda: [lent.most_similar(word) for word in few],
            lambda: [small.most_similar(word) for word in few],
        )
        yield Row("one query", ours / LOOPED, theirs / LOOPED, same_words(found, expected))
        yield Row("one query, 8 bits", ours_8_bits / LOOPED, theirs / LOOPED, recall(found_8_bits, expected))

    def batch(self) -> Iterable[Row]:
        small = self.ours.quantize()
        (theirs, expected), (ours, found), (ours_8_bits, found_8_bits) = in_turns(
            self.rounds,
            lambda: [self.theirs.most_similar(word) for word in self.asked],
            lambda: self.ours.most_similar_batch(self.asked),
            lambda: small.most_similar_batch(self.asked),
        )
        yield Row(f"{len(self.asked):,} queries", ours, theirs, same_words(found, expected))
        yield Row(f"{len(self.asked):,} queries, 8 bits", ours_8_bits, theirs, recall(found_8_bits, expected))

    def analogies(self, path: Path) -> Iterable[Row]:
        (ours, found), (theirs, expected) = in_turns(
            1, lambda: self.ours.evaluate_word_analogies(path), lambda: self.theirs.evaluate_word_analogies(path)
        )
        asked = sum(len(expected[1][-1][kind]) for kind in ("correct", "incorrect"))
        agreement = "same answers" if found == expected else f"accuracy {found[0]:.4f} and {expected[0]:.4f}"
        yield Row(f"{asked:,} analogies among 300,000 words", ours, theirs, agreement)

    def approximate(self) -> Iterable[Row]:
        exact = self.ours.most_similar_batch(self.asked)
        ((build, index),) = in_turns(1, lambda: self.ours.approximate_index())
        yield Row("build an approximate index", build, None, "")
        for expansion in (64, 256):
            index.expansion_search = expansion
            (one, _), (many, found) = in_turns(
                self.rounds,
                lambda: [index.most_similar(word) for word in self.asked[:LOOPED]],
                lambda: index.most_similar_batch(self.asked),
            )
            yield Row(f"one query, approximate, expansion {expansion}", one / LOOPED, None, "")
            yield Row(f"{len(self.asked):,} queries, approximate, {expansion}", many, None, recall(found, exact))


def recall(found: Sequence[Any], expected: Sequence[Any]) -> str:
    common = [len(dict(one).keys() & dict(other).keys()) for one, other in zip(found, expected, strict=True)]
    return f"recall@10 {np.mean(common) / 10:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vectors", type=Path, help="a text file, GloVe's for example")
    parser.add_argument("--analogies", type=Path, help="a file of questions; they are left out without one")
    parser.add_argument("--part", choices=["load", "single", "batch", "analogies", "approximate"], action="append")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    comparison = Comparison(arguments.vectors, arguments.rounds)
    parts: dict[str, Callable[[], Iterable[Row]]] = {
        "load": comparison.load,
        "single": comparison.single,
        "batch": comparison.batch,
        "approximate": comparison.approximate,
    }
    if arguments.analogies:
        parts["analogies"] = lambda: comparison.analogies(arguments.analogies)
    if not arguments.json:
        print("| | pyembed, s | gensim, s | times as fast | answers |\n|---|---:|---:|---:|---|")
    for name in arguments.part or parts:
        for row in parts[name]():
            print(json.dumps(row._asdict()) if arguments.json else f"| {' | '.join(row.cells)} |", flush=True)


if __name__ == "__main__":
    main()
