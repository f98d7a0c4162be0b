"""Files of sentences as iterables of lists of words, named as gensim's: LineSentence and PathLineSentences."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from pyembed.corpus.errors import CorpusError, invalid_utf8
from pyembed.corpus.sources import BLOCK_SIZE, Source, file_source

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_OTHERWISE = "leave its lines whole for Word2Vec(..., encoding_errors='replace') to read"
"""Than converting what is not UTF-8. Lists of words can only be made of what is."""
_NUL_TO_BLANK = bytes.maketrans(b"\0", b" ")


class Text(Protocol):
    """What lines are read from: a file by name, one that is open, or the beginning of either."""

    @property
    def name(self) -> str:
        """For messages."""

    def blocks(self, advance: Callable[[int], None], /) -> Iterator[bytes]:
        """The content in blocks cut anywhere, decompressed; `advance` is told how many bytes were read."""


class LineSentence:
    """The sentences of a file, one a line, as lists of the words between ASCII white space.

    It can be gone through again and again. Word2Vec and ingest_sentences read the file themselves, on all cores, where
    max_sentence_length is None.

    Args:
        source: a path, also of a .gz, .bz2 or .zst file; or an open file, text or binary, which is read from its
            beginning, or where it cannot go back, from where it stands, and so once.
        max_sentence_length: cut lines into sentences of so many words; None: lines stay whole.
        limit: read only so many lines; None: all.

    Raises:
        ValueError: max_sentence_length below 1 or limit below 0.
        CorpusError: while it is gone through: invalid UTF-8 or damaged compressed data.
        OSError: while it is gone through: the file is missing or cannot be read.
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | IO[Any],
        max_sentence_length: int | None = None,
        limit: int | None = None,
    ) -> None:
        if max_sentence_length is not None and max_sentence_length < 1:
            raise ValueError(f"max_sentence_length: expected at least 1, or None, found {max_sentence_length}")
        if limit is not None and limit < 0:
            raise ValueError(f"limit: expected at least 0, or None, found {limit}")
        self.source = source
        self.max_sentence_length = max_sentence_length
        self.limit = limit

    def __iter__(self) -> Iterator[list[str]]:
        for text in self.texts():
            for words in _sentences(text):
                step = self.max_sentence_length or len(words) or 1
                yield from (words[start : start + step] for start in range(0, len(words), step))

    def texts(self) -> Sequence[Text]:
        """What is read, one after another."""
        return [self._text(self.source)]

    def _text(self, source: str | os.PathLike[str] | IO[Any]) -> Text:
        text = file_source(Path(source)) if isinstance(source, (str, os.PathLike)) else _OpenFile(source)
        return text if self.limit is None else _FirstLines(text, self.limit)


class PathLineSentences(LineSentence):
    """The sentences of a folder's files, each as LineSentence reads it, in the order of their names.

    Args:
        source: a folder, whose own folders and names that begin with a dot are left out; or one file.
        max_sentence_length: as LineSentence.
        limit: read only so many lines of each file.

    Attributes:
        input_files: the paths of the files.

    Raises:
        FileNotFoundError: there is no such folder or file, or the folder holds no file.
        ValueError, CorpusError, OSError: as LineSentence.
    """

    def __init__(
        self, source: str | os.PathLike[str], max_sentence_length: int | None = None, limit: int | None = None
    ) -> None:
        super().__init__(source, max_sentence_length, limit)
        path = Path(source)
        self.input_files = [str(path)] if path.is_file() else _files_in(path)

    def texts(self) -> Sequence[Text]:
        return [self._text(file) for file in self.input_files]


def whole_lines(sentences: Iterable[Any]) -> Sequence[Text] | None:
    """The texts whose lines are the sentences, word for word; None for sentences that are made in another way."""
    # A subclass with an __iter__ of its own says what its sentences are.
    if isinstance(sentences, LineSentence) and type(sentences).__iter__ is LineSentence.__iter__:
        return sentences.texts() if sentences.max_sentence_length is None else None
    return None


@dataclass(frozen=True)
class _OpenFile:
    """A file that somebody else opened, in text or in binary mode."""

    file: IO[Any]

    @property
    def name(self) -> str:
        return str(getattr(self.file, "name", "an open file"))

    def blocks(self, advance: Callable[[int], None], /) -> Iterator[bytes]:
        if self.file.seekable():
            self.file.seek(0)
        while block := self.file.read(BLOCK_SIZE):
            # A lone surrogate passes as the invalid UTF-8 that it is, for whoever reads on to find.
            content = block.encode("utf-8", "surrogatepass") if isinstance(block, str) else block
            advance(len(content))
            yield content


@dataclass(frozen=True)
class _FirstLines:
    """The beginning of a text."""

    text: Source | _OpenFile
    lines: int

    @property
    def name(self) -> str:
        return self.text.name

    def blocks(self, advance: Callable[[int], None], /) -> Iterator[bytes]:
        left = self.lines
        if not left:
            return
        for block in self.text.blocks(advance):
            *lines, rest = block.split(b"\n", left)
            if len(lines) == left:
                yield block[: len(block) - len(rest)]
                return
            left -= len(lines)
            yield block


def _files_in(folder: Path) -> list[str]:
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    if not names:
        raise FileNotFoundError(f"the folder {str(folder)!r} holds no file (names that begin with a dot do not count)")
    return [str(folder / name) for name in names]


def _sentences(text: Text) -> Iterator[list[str]]:
    """The words of each line, by the rules of the counting engine."""
    byte = 0
    for number, line in enumerate(_lines(text), start=1):
        marked = number == 1 and line.startswith(_BYTE_ORDER_MARK)
        content = line[len(_BYTE_ORDER_MARK) :] if marked else line
        try:
            # Words are split as bytes, at ASCII white space alone, and decoded together, which is twice as fast.
            words = b" ".join(content.translate(_NUL_TO_BLANK).split()).decode()
            yield words.split(" ") if words else []
        except UnicodeDecodeError:
            bad = _first_bad_byte(line)
            raise CorpusError(invalid_utf8(text.name, number, byte + bad, line[bad], _OTHERWISE)) from None
        byte += len(line) + 1


def _lines(text: Text) -> Iterator[bytes]:
    parts: list[bytes] = []  # of a line that no newline has ended yet
    for block in text.blocks(lambda _: None):
        first, *others = block.split(b"\n")
        parts.append(first)
        if others:
            yield b"".join(parts)
            yield from others[:-1]
            parts = others[-1:]
    yield b"".join(parts)


def _first_bad_byte(line: bytes) -> int:
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return error.start
    raise AssertionError("unreachable: the line holds an invalid word")
