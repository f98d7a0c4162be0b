"""The first pass over a corpus: every source is gone through once, and then every distinct token is known."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from pyembed.config import CorpusConfig, EncodingErrors, usable_cores
from pyembed.corpus import engine as engines
from pyembed.corpus.engine import Encoder, Engine, Types
from pyembed.corpus.errors import CorpusError, invalid_utf8
from pyembed.corpus.line_sentences import whole_lines
from pyembed.corpus.sentences import sentence_blocks
from pyembed.corpus.sources import FilePiece, Source, expand_inputs
from pyembed.corpus.vocabulary import Vocabulary
from pyembed.corpus.words import WordChoice, WordMap, choose_words
from pyembed.files import temporary_folder

IN_MEMORY = 1 << 28
"""Bytes of notes that stay in memory; what is more lies in a temporary file."""

Progress = Callable[[int, int | None], None]
"""Called with the bytes read from disk so far, and how many there are (None where that is not known)."""


@dataclass(frozen=True)
class Counted:
    """A corpus after the first pass: its types are known and the engine can encode it."""

    engine: Encoder
    types: Types
    size: int
    """Bytes of text."""
    sentences: int
    """As they were given, those without a token too."""
    are_words: bool
    """The tokens are taken as they are: config.tokenizer does not apply."""

    @property
    def raw_tokens(self) -> int:
        return int(self.types.counts.sum())

    def choose(self, config: CorpusConfig, vocabulary: Vocabulary | WordChoice | None) -> tuple[Vocabulary, WordMap]:
        """The vocabulary, and what every type becomes in it; see `choose_words`."""
        return choose_words(self.types, config, vocabulary, split=not self.are_words)


@runtime_checkable
class CountsItself(Protocol):
    """Sentences that know a faster way than to be gone through."""

    def first_pass(self, encoding_errors: EncodingErrors, threads: int | None, /) -> AbstractContextManager[Counted]:
        """The same as counting the sentences that iteration gives."""


@dataclass(frozen=True)
class Census:
    """What the first pass alone finds out."""

    vocabulary: Vocabulary
    raw_tokens: int
    """Tokens of the input, once."""
    sentences: int
    """As they were given, those without a token too."""


def count_files(
    inputs: Sequence[str | os.PathLike[str]],
    config: CorpusConfig,
    *,
    choice: WordChoice | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Census:
    """The vocabulary of files, as `ingest_files` would choose it, or as `choice` does. Errors as there."""
    with counted_files(expand_inputs(inputs), config, threads=threads, progress=progress) as counted:
        return _census(counted, config, choice)


def count_sentences(
    sentences: Iterable[Sequence[str] | str],
    config: CorpusConfig,
    *,
    choice: WordChoice | None = None,
    threads: int | None = None,
) -> Census:
    """The vocabulary of an iterable, as `ingest_sentences` would choose it, or as `choice` does. Errors as there."""
    with counted_sentences(sentences, config, threads=threads) as counted:
        return _census(counted, config, choice)


@contextmanager
def counted_files(
    sources: Sequence[Source], config: CorpusConfig, *, threads: int | None, progress: Progress | None
) -> Iterator[Counted]:
    """Files after the first pass; arguments and errors as `ingest_files`."""
    sizes = [source.size for source in sources]
    total = None if None in sizes else sum(size for size in sizes if size is not None)
    done = 0

    def advance(size: int) -> None:
        nonlocal done
        done += size
        if progress is not None:
            progress(done, total)

    def explain(source: int, line: int, byte: int, value: int) -> str:
        return invalid_utf8(sources[source].name, line, byte, value)

    pieces = (source.pieces(advance) for source in sources)
    with _counted(pieces, config, records=False, are_words=False, threads=threads, explain=explain) as counted:
        yield counted


@contextmanager
def counted_sentences(
    sentences: Iterable[Sequence[str] | str], config: CorpusConfig, *, threads: int | None
) -> Iterator[Counted]:
    """An iterable after the first pass; arguments and errors as `ingest_sentences`."""
    if isinstance(sentences, CountsItself):
        with sentences.first_pass(config.encoding_errors, threads) as counted:
            yield counted
        return
    texts = whole_lines(sentences)
    if texts is None:
        are_lists, blocks = sentence_blocks(sentences)
        sources: Iterable[Iterator[bytes | FilePiece]] = [blocks]
        are_words = are_lists
    else:
        are_lists, are_words = False, True
        sources = (text.pieces(_untold) if isinstance(text, Source) else text.blocks(_untold) for text in texts)

    def explain(source: int, line: int, byte: int, value: int) -> str:
        if texts is not None:
            return invalid_utf8(texts[source].name, line, byte, value)
        return f"sentence {line - 1}: a lone surrogate is not valid Unicode; set encoding_errors to 'replace'"

    once = isinstance(sentences, Iterator)  # not by iter(), which starts some of them again
    hint = ", and an iterator can be gone through only once; give a list, or make it anew" if once else ""
    with _counted(
        sources, config, records=are_lists, are_words=are_words, threads=threads, explain=explain, hint=hint
    ) as counted:
        yield counted


@contextmanager
def naming_the_file(path: Path) -> Iterator[None]:
    """Names the file in an OSError that only knows its number, a full disk say."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, f"cannot write the encoded corpus: {error.strerror}", str(path)) from error
        raise


def _census(counted: Counted, config: CorpusConfig, choice: WordChoice | None) -> Census:
    vocabulary, _ = counted.choose(config, choice)
    return Census(vocabulary, counted.raw_tokens, counted.sentences)


@contextmanager
def _counted(
    sources: Iterable[Iterator[bytes | FilePiece]],
    config: CorpusConfig,
    *,
    records: bool,
    are_words: bool,
    threads: int | None,
    explain: Callable[[int, int, int, int], str],
    hint: str = "",
) -> Iterator[Counted]:
    """Runs the first pass. `explain` turns source, line, byte and value of the first bad byte into a message; `hint` is
    said of a corpus without a token."""
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
        size, ended = _feed(engine, sources, b"\xfe" if records else b"\n", folder)
        with naming_the_file(folder):
            engine.finish()
        if (fault := engine.fault()) is not None:
            raise CorpusError(explain(*fault))
        types = Types.of(engine)
        if not len(types.counts):
            raise CorpusError(f"the corpus is empty: it holds no token{hint}")
        yield Counted(engine, types, size, engine.sentence_ends() - ended, are_words)


def _feed(
    engine: Engine, sources: Iterable[Iterator[bytes | FilePiece]], sentence_end: bytes, folder: Path
) -> tuple[int, int]:
    """Feeds all sources, or as much as the engine wants.

    Returns the number of bytes, and that of the sources whose end does not end another sentence: the last has ended.
    """
    size = ended = 0
    for blocks in sources:
        last = b""
        for block in blocks:
            with naming_the_file(folder):
                if isinstance(block, FilePiece):
                    size, last = size + block.size, block.file_end
                    wanted = engine.feed_file(block.descriptor, block.name, block.offset, block.size)
                else:
                    size, last = size + len(block), block[-1:] or last
                    wanted = engine.feed(block)
            if not wanted:
                return size, ended
        ended += last in (b"", sentence_end)
        with naming_the_file(folder):
            engine.end_of_file()
    return size, ended


def _untold(_: int) -> None:
    """Progress that nobody asked for."""
