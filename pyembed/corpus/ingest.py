"""From sources to a Corpus: one pass of the counting engine, the choice of words, one pass to encode."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pyembed.config import CorpusConfig, usable_cores
from pyembed.corpus import engine as engines
from pyembed.corpus.engine import Engine, Types
from pyembed.corpus.errors import CorpusError
from pyembed.corpus.sentences import sentence_blocks
from pyembed.corpus.sources import expand_inputs
from pyembed.corpus.token_cache import TokenCache
from pyembed.corpus.token_file import Description, finish_token_file, map_token_file, writable_arrays
from pyembed.corpus.token_ids import TokenIds
from pyembed.corpus.vocabulary import Vocabulary
from pyembed.corpus.words import choose_words
from pyembed.files import temporary_folder, whole_file

IN_MEMORY = 1 << 28
"""Bytes of notes, and of ids, that stay in memory; what is larger lies in temporary files."""

Progress = Callable[[int, int | None], None]
"""Called with the bytes read from disk so far, and how many there are (None where that is not known)."""


@dataclass(frozen=True)
class IngestReport:
    """What was found. Tokens are counted as split at white space, before any other option applies."""

    raw_tokens: int
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
    vocabulary: Vocabulary | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Corpus:
    """Reads files, one sentence a line; beyond `IN_MEMORY` memory grows only with the number of distinct tokens.

    Args:
        inputs: files (also .gz, .bz2, .zst), folders, globs, or "-" for standard input; see `sources.expand_inputs`.
        config: how text becomes words.
        vocabulary: encode with this one instead of making one; min_count and max_final_vocab do not apply then.
        cache_dir: keep the encoded corpus in this folder and reuse it while inputs and options stay the same. Without
            it the ids live in memory, or where they are many in a temporary file that vanishes with the Corpus.
        threads: workers beside the reading thread; None: one for every core this process may use.
        progress: see `Progress`.

    Raises:
        CorpusError: the text is not valid UTF-8, holds no token, damaged compressed data, or no word is left.
        OSError: a file is missing or cannot be read, or the encoded corpus cannot be written.
    """
    started = time.perf_counter()
    sources = expand_inputs(inputs)
    cache = TokenCache.open(cache_dir, sources, config, vocabulary)
    if cache is not None and (found := cache.load()) is not None:
        token_ids, kept = found
        report = IngestReport(**{**kept.report, "seconds": time.perf_counter() - started, "from_cache": True})
        return Corpus(kept.vocabulary if vocabulary is None else vocabulary, token_ids, report)

    sizes = [source.size for source in sources]
    total = None if None in sizes else sum(size for size in sizes if size is not None)
    done = 0

    def advance(size: int) -> None:
        nonlocal done
        done += size
        if progress is not None:
            progress(done, total)

    def explain(source: int, line: int, byte: int, value: int) -> str:
        return (
            f"{sources[source].name}, line {line}, byte {byte}: invalid UTF-8 (0x{value:02x}); "
            "convert the file to UTF-8 or set encoding_errors to 'replace'"
        )

    counting = _counted(
        (source.blocks(advance) for source in sources), config, records=False, threads=threads, explain=explain
    )
    with counting as counted:
        return counted.encode(config, vocabulary, cache, started)


def ingest_sentences(
    sentences: Iterable[Sequence[str] | str],
    config: CorpusConfig,
    *,
    vocabulary: Vocabulary | None = None,
    threads: int | None = None,
) -> Corpus:
    """Reads an iterable once, so a generator will do: lists of tokens, or strings that are split at white space.

    Tokens of lists are taken as they are, spaces and all: config.tokenizer does not apply, config.lowercase does.
    Empty tokens are skipped.

    Raises:
        TypeError: not such an iterable; the message names sentence and token, both counted from 0.
        CorpusError: a lone surrogate where encoding_errors is "strict", no token at all, or no word is left.
        OSError: the encoded corpus cannot be written.
    """
    started = time.perf_counter()
    are_lists, blocks = sentence_blocks(sentences)

    def explain(_source: int, line: int, _byte: int, _value: int) -> str:
        return f"sentence {line - 1}: a lone surrogate is not valid Unicode; set encoding_errors to 'replace'"

    counting = _counted([blocks], config, records=are_lists, threads=threads, explain=explain)
    with counting as counted:
        return counted.encode(config, vocabulary, None, started)


@dataclass(frozen=True)
class _Counted:
    """A corpus after the first pass: its types are known and the engine can encode it."""

    engine: Engine
    types: Types
    size: int
    """Bytes of text."""
    are_words: bool
    """The tokens are taken as they are: config.tokenizer does not apply."""

    def encode(
        self, config: CorpusConfig, vocabulary: Vocabulary | None, cache: TokenCache | None, started: float
    ) -> Corpus:
        vocabulary, word_map = choose_words(self.types, config, vocabulary, split=not self.are_words)
        tokens = word_map.count_words(self.types.counts)
        most_sentences = self.engine.sentence_ends()
        in_memory = cache is None and 4 * tokens + 8 * most_sentences <= IN_MEMORY
        folder = temporary_folder() if cache is None else cache.path
        with nullcontext() if in_memory else _token_file(cache) as file, _naming(folder):
            if file is None:
                ids, starts = np.empty(tokens, np.int32), np.empty(most_sentences + 1, np.int64)
            else:
                ids, starts = writable_arrays(file, tokens, most_sentences)
            written, sentences = self.engine.encode(
                word_map.words, word_map.list_starts, word_map.list_words, ids, starts
            )
            if written != tokens:
                raise AssertionError(f"expected to encode {tokens} words, encoded {written}")
            report = IngestReport(
                raw_tokens=int(self.types.counts.sum()),
                sentences=sentences,
                kept_tokens=tokens,
                types=len(self.types.counts),
                replaced_tokens=int(self.types.counts[self.types.invalid].sum()),
                bytes=self.size,
                seconds=time.perf_counter() - started,
                from_cache=False,
            )
            if file is None:
                return Corpus(vocabulary, TokenIds.from_encoded(ids, starts[: sentences + 1]), report)
            if cache is not None:
                finish_token_file(file, tokens, sentences, Description(vocabulary, cache.made_from, asdict(report)))
            return Corpus(vocabulary, map_token_file(file, tokens, sentences), report)


@contextmanager
def _counted(
    sources: Iterable[Iterator[bytes]],
    config: CorpusConfig,
    *,
    records: bool,
    threads: int | None,
    explain: Callable[[int, int, int, int], str],
) -> Iterator[_Counted]:
    """Runs the first pass. `explain` turns source, line, byte and value of the first bad byte into a message."""
    if threads is not None and threads < 1:
        raise ValueError(f"threads: expected a whole number >= 1, found {threads}")
    folder = temporary_folder()
    with ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryFile(dir=folder))
        engine = engines.open_engine(
            scratch.fileno(),
            memory=IN_MEMORY,
            threads=threads or usable_cores(),
            records=records,
            strict=config.encoding_errors == "strict",
        )
        stack.callback(engine.close)  # before the scratch file closes, or a worker might write to another file
        size = _feed(engine, sources, folder)
        with _naming(folder):
            engine.finish()
        if (fault := engine.fault()) is not None:
            raise CorpusError(explain(*fault))
        types = Types.of(engine)
        if not len(types.counts):
            raise CorpusError("the corpus is empty: it holds no token")
        yield _Counted(engine, types, size, records)


def _feed(engine: Engine, sources: Iterable[Iterator[bytes]], folder: Path) -> int:
    """Feeds all sources, or as much as the engine wants, and returns the number of bytes."""
    size = 0
    for blocks in sources:
        for block in blocks:
            size += len(block)
            with _naming(folder):
                if not engine.feed(block):
                    return size
        with _naming(folder):
            engine.end_of_file()
    return size


def _token_file(cache: TokenCache | None) -> AbstractContextManager[BinaryIO]:
    return tempfile.TemporaryFile(dir=temporary_folder()) if cache is None else whole_file(cache.path)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Names the file in an OSError that only knows its number, a full disk say."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, f"cannot write the encoded corpus: {error.strerror}", str(path)) from error
        raise
