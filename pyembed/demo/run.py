"""The demonstration: gathers real text, trains on it, and shows what the vectors know."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pyembed.config import CorpusConfig, TrainConfig
from pyembed.demo.docstrings import gather
from pyembed.files import whole_file
from pyembed.vectors import KeyedVectors
from pyembed.vectors.formats import require_target
from pyembed.vectors.rows import norms_of

if TYPE_CHECKING:
    from pyembed.training.report import TrainingReport

DOCSTRING_QUERIES = ("float32", "graph", "gradient", "file")
_QUERIES = 4
_FREQUENT = slice(200, 1000)
"""Ranks of words that are frequent enough to be well trained and mostly have a meaning of their own."""
_ALIKE = 0.5
_NEIGHBORS = 8

TRAINING = TrainConfig(epochs=8, sample=1e-4)
"""More passes and stronger thinning than the defaults, because two million words are few."""
_OWN_TEXT = CorpusConfig(lowercase=True, tokenizer="words")
_DOCSTRINGS = replace(_OWN_TEXT, min_count=20)
"""Rarer words of docstrings are mostly names that one package made up."""


@dataclass(frozen=True, kw_only=True)
class DemoResult:
    """What the demonstration made."""

    source: str
    """Where the text comes from, for people."""
    seconds: dict[str, float]
    """Wall time of each stage, in order; what training itself consists of is in `report`."""
    report: TrainingReport
    vectors: KeyedVectors
    neighbors: dict[str, list[tuple[str, float]]]
    """For each query word its nearest words and their cosines."""
    output: Path
    """The vector file."""


def run_demo(
    folder: Path,
    inputs: Sequence[str] = (),
    *,
    training: TrainConfig = TRAINING,
    progress: bool | None = None,
    announce: Callable[[str], None] = lambda _: None,
) -> DemoResult:
    """Trains skip-gram vectors on the docstrings of the installed packages, or on other text, and queries them.

    Args:
        folder: where the text and `vectors.bin` are saved; made if missing.
        inputs: text files, folders or globs to train on instead.
        training: hyper-parameters.
        progress: whether to draw a progress bar; None: if standard error is a terminal.
        announce: told what begins.

    Raises:
        pyembed.corpus.CorpusError: the text cannot be used.
        OSError: an input cannot be read or the folder not be written.
    """
    from pyembed.models import Word2Vec  # imports torch

    seconds: dict[str, float] = {}

    @contextmanager
    def stage(name: str, doing: str) -> Iterator[None]:
        announce(doing)
        started = time.perf_counter()
        yield
        seconds[name] = time.perf_counter() - started

    folder.mkdir(parents=True, exist_ok=True)
    output = folder / "vectors.bin"
    require_target(output)
    corpus = _OWN_TEXT if inputs else _DOCSTRINGS
    source = ", ".join(inputs)
    if not inputs:
        with stage("gather", "gathering the docstrings of the installed packages"):
            source, text = _gather_into(folder)
        inputs = [str(text)]
    with stage("train", "training"):
        model = Word2Vec.from_configs(training, corpus)
        model.fit_files(inputs, progress=progress)
    vectors = model.wv
    with stage("save", "saving"):
        vectors.save(output)
    with stage("query", "asking for neighbors"):
        queries = [word for word in DOCSTRING_QUERIES if word in vectors and corpus is _DOCSTRINGS]
        neighbors = {word: vectors.most_similar(word, topn=_NEIGHBORS) for word in queries or content_words(vectors)}
    return DemoResult(
        source=source, seconds=seconds, report=model.report, vectors=vectors, neighbors=neighbors, output=output
    )


def _gather_into(folder: Path) -> tuple[str, Path]:
    """Writes the docstrings, a paragraph a line, and says what they are."""
    found = gather()
    text = folder / "docstrings.txt"
    with whole_file(text) as file:
        file.writelines(paragraph.encode(errors="replace") + b"\n" for paragraph in found.paragraphs)
    return f"docstrings of {len(found.packages)} installed packages, {found.files:,} files", text


def content_words(vectors: KeyedVectors, wanted: int = _QUERIES) -> list[str]:
    """Frequent words that mean something: those with the longest vectors that do not resemble each other.

    Skip-gram gives short vectors to words that stand beside everything, as articles and prepositions do.
    """
    frequent = vectors.index_to_key[_FREQUENT] or vectors.index_to_key
    candidates = [word for word in frequent if word.isalpha() and len(word) > 3] or frequent
    longest_first = np.argsort(-norms_of(vectors[candidates]), kind="stable").tolist()
    chosen: list[str] = []
    for word in (candidates[index] for index in longest_first):
        if all(vectors.similarity(word, other) < _ALIKE for other in chosen):
            chosen.append(word)
    return chosen[:wanted]
