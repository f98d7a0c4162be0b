"""The counting engine: its interface, and the one place where the compiled or the Python one is picked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pyembed.compiled_text import native
from pyembed.corpus import python_engine


class Encoder(Protocol):
    """What a first pass has left behind: it turns the corpus into ids."""

    def sentence_ends(self) -> int:
        """How many ends of sentences there were: S is at most that."""

    def encode(
        self,
        words: NDArray[np.int32],
        list_starts: NDArray[np.int64],
        list_words: NDArray[np.int32],
        ids: NDArray[np.int32],
        starts: NDArray[np.int64],
        /,
    ) -> tuple[int, int]:
        """Writes word ids to ids[:T] and sentence starts to starts[:S + 1], and returns (T, S).

        `words[type]` is a word id, or -1 for no word, or -2 - k for the words
        `list_words[list_starts[k]:list_starts[k + 1]]`. Sentences without a word vanish.
        """


class Engine(Encoder, Protocol):
    """One pass over blocks of bytes that counts types (distinct tokens) and notes every token's type.

    Blocks may be cut anywhere. Tokens end at ASCII white space or NUL and sentences at a newline; in record mode tokens
    end at byte 0xFF and sentences at 0xFE, which UTF-8 never uses. Nothing depends on the number of threads.
    """

    def feed(self, block: bytes, /) -> bool:
        """Takes a block. False: a token that is not valid UTF-8 was found; call `finish`, then `fault`."""

    def feed_file(self, descriptor: int, name: str, offset: int, size: int, /) -> bool:
        """Takes bytes [offset, offset + size) of a file of lines, which may be read later and closed at once.

        A source is fed either by blocks or, from its beginning on, by pieces of a file. Returns as `feed`; an error of
        reading, which tells the file's name, may be raised by `finish`.
        """

    def end_of_file(self) -> bool:
        """Ends the sentence and the source: no token spans two sources."""

    def finish(self) -> None:
        """Ends the pass."""

    def close(self) -> None:
        """Stops the threads; needed before the scratch file may be closed. May be called twice."""

    def fault(self) -> tuple[int, int, int, int] | None:
        """The first bad byte: source (from 0), its line (from 1), its byte (from 0), the byte's value."""

    def types(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
        """counts [n], first_positions [n] in the stream, numbers of the invalid types."""

    def texts(self, types: NDArray[np.int64], /) -> list[str]:
        """The types of these numbers as text, U+FFFD for what is not UTF-8."""


open_engine: Callable[..., Engine] = python_engine.Ingest if native is None else native.Ingest
"""Opens an engine: (scratch file descriptor, *, memory, threads, records, strict). Notes take `memory` bytes before
they go to the scratch file."""


@dataclass(frozen=True)
class Types:
    """The distinct tokens of a corpus, n of them, in no particular order."""

    counts: NDArray[np.int64]
    """[n], how often each occurs."""
    first_positions: NDArray[np.int64]
    """[n], ascending in the order of first appearance."""
    invalid: NDArray[np.int32]
    """The numbers of those that are not valid UTF-8."""
    texts: Callable[[NDArray[np.int64]], list[str]]
    """The text of types, by their numbers; U+FFFD for what is not UTF-8."""

    @classmethod
    def of(cls, engine: Engine) -> Types:
        """Those that an engine has found when it is finished."""
        return cls(*engine.types(), engine.texts)
