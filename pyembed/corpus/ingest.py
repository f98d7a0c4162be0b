"""From sources to a Corpus: one pass of the counting engine, the choice of words, one pass to encode."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from pyembed.config import CorpusConfig
from pyembed.corpus.counting import Counted, Progress, counted_files, counted_sentences, naming_the_file
from pyembed.corpus.sources import expand_inputs
from pyembed.corpus.token_cache import TokenCache
from pyembed.corpus.token_file import Description, finish_token_file, map_token_file, writable_arrays
from pyembed.corpus.token_ids import TokenIds
from pyembed.corpus.vocabulary import Vocabulary
from pyembed.corpus.words import WordChoice
from pyembed.files import temporary_folder, whole_file
from pyembed.memory import anonymous_memory

IN_MEMORY = 1 << 28
"""Bytes of ids that stay in memory; what is larger lies in a temporary file."""


@dataclass(frozen=True)
class IngestReport:
    """What was found. Tokens are counted as split at white space, before any other option applies."""

    raw_tokens: int
    given_sentences: int
    """As they were given, those without a token too."""
    sentences: int
    """With at least one word of the vocabulary: S."""
    kept_tokens: int
    """Words of the vocabulary: T."""
    types: int
    """Distinct raw tokens."""
    replaced_tokens: int
    """Those that were not valid UTF-8."""
    bytes: int
    """Of text, decompressed."""
    seconds: float
    from_cache: bool


@dataclass(frozen=True)
class Corpus:
    """A corpus ready for training."""

    vocabulary: Vocabulary
    token_ids: TokenIds
    report: IngestReport


def ingest_files(
    inputs: Sequence[str | os.PathLike[str]],
    config: CorpusConfig,
    *,
    vocabulary: Vocabulary | WordChoice | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Corpus:
    """Reads files, one sentence a line; beyond `IN_MEMORY` memory grows only with the number of distinct tokens.

    Args:
        inputs: files (also .gz, .bz2, .zst), folders, globs, or "-" for standard input; see `sources.expand_inputs`.
        config: how text becomes words.
        vocabulary: encode with this one, or with one that this function chooses from all words, instead of choosing by
            min_count and max_final_vocab.
        cache_dir: keep the encoded corpus in this folder and reuse it while inputs and options stay the same; with a
            function, of which that cannot be known, it is not read. Without it the ids live in memory, or where they
            are many in a temporary file that vanishes with the Corpus.
        threads: workers beside the reading thread; None: one for every core this process may use.
        progress: see `Progress`.

    Raises:
        CorpusError: the text is not valid UTF-8, holds no token, damaged compressed data, or no word is left.
        OSError: a file is missing or cannot be read, or the encoded corpus cannot be written.
    """
    started = time.perf_counter()
    sources = expand_inputs(inputs)
    cache = None if callable(vocabulary) else TokenCache.open(cache_dir, sources, config, vocabulary)
    if cache is not None and (found := cache.load()) is not None:
        token_ids, kept = found
        report = IngestReport(**{**kept.report, "seconds": time.perf_counter() - started, "from_cache": True})
        return Corpus(vocabulary if isinstance(vocabulary, Vocabulary) else kept.vocabulary, token_ids, report)
    with counted_files(sources, config, threads=threads, progress=progress) as counted:
        return _encoded(counted, config, vocabulary, cache, started)


def ingest_sentences(
    sentences: Iterable[Sequence[str] | str],
    config: CorpusConfig,
    *,
    vocabulary: Vocabulary | WordChoice | None = None,
    threads: int | None = None,
) -> Corpus:
    """Reads an iterable once, so a generator will do: lists of tokens, or strings that are split at white space.

    Tokens of lists are taken as they are, spaces and all: config.tokenizer does not apply, config.lowercase does.
    Empty tokens are skipped. The files of a LineSentence or PathLineSentences are read as `ingest_files` reads, without
    Python's lists in between.

    Raises:
        TypeError: not such an iterable; the message names sentence and token, both counted from 0.
        CorpusError: a lone surrogate where encoding_errors is "strict", no token at all, or no word is left; files as
            in `ingest_files`.
        OSError: the encoded corpus cannot be written.
    """
    started = time.perf_counter()
    with counted_sentences(sentences, config, threads=threads) as counted:
        return _encoded(counted, config, vocabulary, None, started)


def _encoded(
    counted: Counted,
    config: CorpusConfig,
    vocabulary: Vocabulary | WordChoice | None,
    cache: TokenCache | None,
    started: float,
) -> Corpus:
    vocabulary, word_map = counted.choose(config, vocabulary)
    types = counted.types
    tokens = word_map.count_words(types.counts)
    most_sentences = counted.engine.sentence_ends()
    in_memory = cache is None and 4 * tokens + 8 * most_sentences <= IN_MEMORY
    folder = temporary_folder() if cache is None else cache.path
    with nullcontext() if in_memory else _token_file(cache) as file, naming_the_file(folder):
        if file is None:
            ids, starts = _room_for_ids(tokens), np.empty(most_sentences + 1, np.int64)
        else:
            ids, starts = writable_arrays(file, tokens, most_sentences)
        written, sentences = counted.engine.encode(
            word_map.words, word_map.list_starts, word_map.list_words, ids, starts
        )
        if written != tokens:
            raise AssertionError(f"expected to encode {tokens} words, encoded {written}")
        report = IngestReport(
            raw_tokens=counted.raw_tokens,
            given_sentences=counted.sentences,
            sentences=sentences,
            kept_tokens=tokens,
            types=len(types.counts),
            replaced_tokens=int(types.counts[types.invalid].sum()),
            bytes=counted.size,
            seconds=time.perf_counter() - started,
            from_cache=False,
        )
        if file is None:
            return Corpus(vocabulary, TokenIds.from_encoded(ids, starts[: sentences + 1]), report)
        if cache is not None:
            finish_token_file(file, tokens, sentences, Description(vocabulary, cache.made_from, asdict(report)))
        return Corpus(vocabulary, map_token_file(file, tokens, sentences), report)


def _token_file(cache: TokenCache | None) -> AbstractContextManager[BinaryIO]:
    return tempfile.TemporaryFile(dir=temporary_folder()) if cache is None else whole_file(cache.path)


def _room_for_ids(tokens: int) -> NDArray[np.int32]:
    """[tokens]; np.empty would ask for large pages, but ids are written and read from one end to the other."""
    return np.frombuffer(anonymous_memory(max(1, 4 * tokens), large_pages=False), np.int32, tokens)
