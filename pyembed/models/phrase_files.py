"""Phrases in a file: settings, and counts or scores; safetensors inside, whatever its name.

Metadata: `pyembed_phrases`, the version of this layout; `settings`, a JSON object. Words, counted, as in
vectors/formats/model_words.py. Then either, of Phrases, the n candidates: `first`, `last` and `run`, int32[n], numbers
of words and of runs of connector words, and `candidate_counts`, int64[n]; and the runs, `run_parents` and `run_words`,
int32[runs], each the number of a run and of the word it has more. Or, of FrozenPhrases, the n phrases: `phrase_words`,
int32, numbers of words, one phrase behind the other; `phrase_ends`, int64[n], where each ends; `scores`, float64[n].
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyembed.corpus.phrase_engine import Candidates
from pyembed.corpus.phrase_table import PhraseTable
from pyembed.corpus.phrase_vocabulary import PhraseVocabulary
from pyembed.vectors.formats.model_words import read_counted_words, word_tensors
from pyembed.vectors.formats.pickles import refuse_pickle
from pyembed.vectors.formats.safetensors_file import SafetensorsFile, json_text, write_file
from pyembed.vectors.formats.table import VectorFileError

_KEY, _VERSION = "pyembed_phrases", "1"
_SETTINGS: dict[str, Any] = {
    "min_count": (int, float),
    "threshold": (int, float),
    "scoring": (str, type(None)),
    "delimiter": str,
    "connector_words": list,
}
_COUNTERS: dict[str, Any] = {"max_vocab_size": int, "corpus_word_count": int}
PathLike = str | os.PathLike[str]
Settings = dict[str, Any]


def write_counts(path: PathLike, vocabulary: PhraseVocabulary, settings: Settings) -> None:
    """Writes counts and settings, whole or not at all.

    Raises:
        VectorFileError: a delimiter or a connector word that UTF-8 cannot hold.
        OSError: the file cannot be written.
    """
    candidates = Candidates(*vocabulary.counts.candidates(1))
    parents, run_words = vocabulary.counts.runs()
    arrays: dict[str, NDArray[Any]] = {
        "first": candidates.first,
        "last": candidates.last,
        "run": candidates.run,
        "candidate_counts": candidates.counts,
        "run_parents": parents,
        "run_words": run_words,
    }
    _write(path, vocabulary.words, vocabulary.word_counts, arrays, settings)


def read_counts(path: PathLike) -> tuple[PhraseVocabulary, Settings]:
    """Reads what `write_counts` wrote.

    Raises:
        VectorFileError: another kind of file, or a damaged one.
        OSError: the file cannot be read.
    """
    file, words, word_counts, settings = _read(path, "candidate_counts", "Phrases")
    vocabulary = PhraseVocabulary(settings["delimiter"], frozenset(settings["connector_words"]))
    vocabulary.add_words(words)
    vocabulary.word_counts = word_counts
    parents, run_words = file.numbers("run_parents", "I32"), file.numbers("run_words", "I32")
    _require(file, "run_words", run_words[1:], len(words), parents.shape == run_words.shape)
    _require(file, "run_parents", parents[1:], len(parents))
    for node in range(1, len(parents)):
        parent = int(parents[node])
        is_new = parent < node and vocabulary.counts.add_run(parent, int(run_words[node])) == node
        _require(file, "run_parents", parents[node:node], len(parents), is_new)
    first, last, run = (file.numbers(name, "I32") for name in ("first", "last", "run"))
    counts = file.numbers("candidate_counts", "I64")
    fits = first.shape == last.shape == run.shape == counts.shape
    _require(file, "first", first, len(words), fits)
    _require(file, "last", last, len(words))
    _require(file, "run", run, len(parents), bool((counts > 0).all()))
    vocabulary.counts.set_counts(first, last, run, counts)
    return vocabulary, settings


def write_table(path: PathLike, table: PhraseTable, settings: Settings) -> None:
    """Writes phrases, their scores and settings. Errors as `write_counts`."""
    numbers: dict[str, int] = {}
    flat = [numbers.setdefault(word, len(numbers)) for word in chain.from_iterable(table.scores)]
    arrays: dict[str, NDArray[Any]] = {
        "phrase_words": np.array(flat, np.int32),
        "phrase_ends": np.cumsum([len(phrase) for phrase in table.scores], dtype=np.int64),
        "scores": np.array(list(table.scores.values()), np.float64),
    }
    _write(path, list(numbers), np.zeros(len(numbers), np.int64), arrays, settings)


def read_table(path: PathLike) -> tuple[PhraseTable, Settings]:
    """Reads what `write_table` wrote. Errors as `read_counts`."""
    file, words, _, settings = _read(path, "scores", "FrozenPhrases")
    flat, ends = file.numbers("phrase_words", "I32"), file.numbers("phrase_ends", "I64")
    scores = file.numbers("scores", "F64")
    bounds = np.concatenate([[0], ends])
    fits = scores.shape == ends.shape and bounds[-1] == len(flat) and bool((np.diff(bounds) >= 2).all())
    _require(file, "phrase_words", flat, len(words), fits)
    texts = [words[number] for number in flat.tolist()]
    phrases = [tuple(texts[start:end]) for start, end in pairwise(bounds.tolist())]
    table = PhraseTable(
        dict(zip(phrases, scores.tolist(), strict=True)), settings["delimiter"], frozenset(settings["connector_words"])
    )
    return table, settings


def _write(
    path: PathLike,
    words: list[str],
    counts: NDArray[np.int64],
    arrays: Mapping[str, NDArray[Any]],
    settings: Settings,
) -> None:
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in settings.items()}
    write_file(Path(path), {**word_tensors(words, counts), **arrays}, {_KEY: _VERSION, "settings": json_text(plain)})


def _read(path: PathLike, tensor: str, kind: str) -> tuple[SafetensorsFile, list[str], NDArray[np.int64], Settings]:
    """The file, its words, their counts, and the settings; `tensor` is what tells its kind."""
    path = Path(path)
    refuse_pickle(path)
    file = SafetensorsFile(path)
    version = file.metadata.get(_KEY)
    if version != _VERSION:
        found = "none" if version is None else f"version {version!r}"
        raise VectorFileError(f"{path}: expected phrases of version {_VERSION}, as save writes them, found {found}")
    if tensor not in file.tensors:
        other = "FrozenPhrases" if kind == "Phrases" else "Phrases"
        raise VectorFileError(f"{path}: expected {kind}, found {other}; {other}.load reads them")
    try:
        settings = json.loads(file.metadata["settings"])
        types = _SETTINGS if kind == "FrozenPhrases" else _SETTINGS | _COUNTERS
        damaged = [name for name in types.keys() | settings.keys() if not isinstance(settings[name], types[name])]
        if damaged or not all(isinstance(word, str) for word in settings["connector_words"]):
            raise ValueError(f"{damaged or ['connector_words']} of another type")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise VectorFileError(f"{path}: settings: expected a JSON object, found a damaged one: {error!r}") from error
    words, counts = read_counted_words(file)
    if len(set(words)) != len(words):
        raise VectorFileError(f"{path}: words: expected each once, found {len(words) - len(set(words))} twice")
    return file, words, counts, settings


def _require(file: SafetensorsFile, name: str, numbers: NDArray[Any], size: int, fits: bool = True) -> None:
    """Numbers must be below `size`, and arrays that belong together must fit."""
    if not fits or numbers.ndim != 1 or (len(numbers) and not 0 <= int(numbers.min()) <= int(numbers.max()) < size):
        raise VectorFileError(f"{file.path}: {name}: expected numbers from 0 to {size - 1}, found a damaged file")
