"""The demonstration: gathers real text, trains on it, and shows what the vectors know."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pyembed.config import CorpusConfig, TrainConfig
from pyembed.demo.docstrings import gather
from pyembed.vectors import KeyedVectors
from pyembed.vectors.formats import require_target
from pyembed.vectors.formats.whole_file import whole_file
from pyembed.vectors.nearest import norms_of

if TYPE_CHECKING:
    from pyembed.training import TrainingReport

DOCSTRING_QUERIES = ("float32", "graph", "gradient", "file")
_QUERIES = 4
_FREQUENT_WORDS = 400
_NEIGHBORS = 8

CORPUS = CorpusConfig(lowercase=True, tokenizer="words", min_count=5)
EPOCHS = 8
"""More than the default, because two million words are few."""


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
    training: TrainConfig | None = None,
    progress: bool | None = None,
    announce: Callable[[str], None] = lambda _: None,
) -> DemoResult:
    """Trains skip-gram vectors on the docstrings of the installed packages, or on other text, and queries them.

    Args:
        folder: where the text and `vectors.bin` are saved; made if missing.
        inputs: text files, folders or globs to train on instead.
        training: hyper-parameters; None: the defaults with 8 epochs.
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
    if inputs:
        source = ", ".join(inputs)
    else:
        with stage("gather", "gathering the docstrings of the installed packages"):
            source, text = _gather_into(folder)
        inputs = [str(text)]
    with stage("train", "training"):
        model = Word2Vec(training=training or TrainConfig(epochs=EPOCHS), corpus=CORPUS)
        model.fit_files(inputs, progress=progress)
    vectors = model.wv
    with stage("save", "saving"):
        vectors.save(output)
    with stage("query", "asking for neighbors"):
        queries = [word for word in DOCSTRING_QUERIES if word in vectors and source.startswith("docstrings")]
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
    """Frequent words that mean something: among the most frequent, those with the longest vectors.

    Skip-gram gives short vectors to words that stand beside everything, as articles and prepositions do.
    """
    words = vectors.index_to_key[:_FREQUENT_WORDS]
    candidates = [row for row, word in enumerate(words) if word.isalpha() and len(word) > 3] or list(range(len(words)))
    norms = norms_of(vectors.vectors[candidates])
    chosen = [candidates[index] for index in np.argsort(-norms, kind="stable")[:wanted].tolist()]
    return [words[row] for row in sorted(chosen)]
