"""The counting engine without a compiler: the interface of `engine.Engine` in plain Python and numpy, one thread."""

from __future__ import annotations

import os
import re
from array import array
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WHITE_SPACE_TO_BLANK = bytes.maketrans(b"\t\v\f\r\0", b"     ")
_NOTES_A_READ = 1 << 18


class _InvalidType(Exception):
    """A type that is not valid UTF-8 met in strict mode."""


class _TypeIds(dict[bytes, int]):
    """The number of every type in the order of first appearance; a new one is checked and gets the next."""

    def __init__(self, strict: bool) -> None:
        self.strict = strict
        self.invalid: list[int] = []

    def __missing__(self, token: bytes) -> int:
        number = len(self)
        try:
            token.decode()
        except UnicodeDecodeError:
            if self.strict:
                raise _InvalidType from None
            self.invalid.append(number)
        self[token] = number
        return number


class Ingest:
    """See `engine.Engine`."""

    def __init__(
        self,
        scratch: int,
        *,
        memory: int,  # noqa: ARG002 - none: all notes go to the scratch file
        threads: int,  # noqa: ARG002 - one
        records: bool,
        strict: bool,
    ) -> None:
        self._scratch = scratch
        self._records = records
        self._token_end, self._sentence_end = (b"\xff", b"\xfe") if records else (b" ", b"\n")
        self._types = _TypeIds(strict)
        self._counts = array("q")
        self._notes = 0
        self._sentence_ends = 0
        self._carry = b""
        self._source, self._line, self._offset = 0, 1, 0  # of the first byte of the carry
        self._fault: tuple[int, int, int, int] | None = None

    def feed(self, block: bytes, /) -> bool:
        if self._fault is not None:
            return False
        text = self._carry + block
        clean = text if self._records else text.translate(_WHITE_SPACE_TO_BLANK)
        cut = max(clean.rfind(self._token_end), clean.rfind(self._sentence_end)) + 1
        self._carry = text[cut:]
        if cut == 0:
            return True
        clean = clean[:cut]
        if self._offset == 0 and not self._records and clean.startswith(b"\xef\xbb\xbf"):
            clean = b"   " + clean[3:]
        try:
            self._take_notes(clean)
        except _InvalidType:
            self._fault = self._locate_fault(clean)
            return False
        self._line += clean.count(self._sentence_end)
        self._offset += cut
        return True

    def feed_file(self, descriptor: int, name: str, offset: int, size: int, /) -> bool:
        try:
            block = os.pread(descriptor, size, offset)
        except OSError as error:
            raise OSError(error.errno, error.strerror, name) from error
        return self.feed(block)

    def _take_notes(self, text: bytes) -> None:
        notes = array("i")
        number_of = self._types.__getitem__
        *sentences, rest = text.split(self._sentence_end)
        for sentence in sentences:
            notes.extend(map(number_of, self._tokens(sentence)))
            notes.append(-1)
        notes.extend(map(number_of, self._tokens(rest)))
        self._counts.extend([0] * (len(self._types) - len(self._counts)))
        numbers = np.frombuffer(notes, dtype=np.int32)
        seen, counts = np.unique(numbers[numbers >= 0], return_counts=True)
        np.frombuffer(self._counts, dtype=np.int64)[seen] += counts
        _write_at(self._scratch, numbers, 4 * self._notes)
        self._sentence_ends += len(sentences)
        self._notes += len(notes)

    def _tokens(self, sentence: bytes) -> list[bytes]:
        if self._records:
            return [token for token in sentence.split(b"\xff") if token]
        return sentence.split()

    def _locate_fault(self, text: bytes) -> tuple[int, int, int, int]:
        for token in re.finditer(rb"[^\xfe\xff]+" if self._records else rb"[^ \n]+", text):
            try:
                token.group().decode()
            except UnicodeDecodeError as error:
                at = token.start() + error.start
                return self._source, self._line + text.count(self._sentence_end, 0, at), self._offset + at, text[at]
        raise AssertionError("unreachable: the text holds an invalid token")

    def end_of_file(self) -> bool:
        wanted = self.feed(self._sentence_end)
        self._source, self._line, self._offset = self._source + 1, 1, 0
        return wanted

    def finish(self) -> None:
        self._carry = b""

    def close(self) -> None:
        """Nothing to stop."""

    def fault(self) -> tuple[int, int, int, int] | None:
        return self._fault

    def types(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
        counts = np.array(self._counts, dtype=np.int64)
        return counts, np.arange(len(counts)), np.array(self._types.invalid, dtype=np.int32)

    def texts(self, types: NDArray[np.int64], /) -> list[str]:
        tokens = list(self._types)
        return [tokens[type_].decode("utf-8", "replace") for type_ in types.tolist()]

    def sentence_ends(self) -> int:
        return self._sentence_ends

    def encode(
        self,
        words: NDArray[np.int32],
        list_starts: NDArray[np.int64],
        list_words: NDArray[np.int32],
        ids: NDArray[np.int32],
        starts: NDArray[np.int64],
        /,
    ) -> tuple[int, int]:
        # One layout for all: type t becomes flat[firsts[t]:firsts[t] + lengths[t]]; the last entry is a sentence's end.
        is_list = words < -1
        flat = np.concatenate([words, list_words])
        lengths = np.append((words >= 0).astype(np.int64), 0)
        firsts = np.append(np.arange(len(words)), 0)
        lengths[:-1][is_list] = np.diff(list_starts)[-2 - words[is_list]]
        firsts[:-1][is_list] = len(words) + list_starts[-2 - words[is_list]]

        tokens = sentences = last_end = 0
        starts[0] = 0
        for first in range(0, self._notes, _NOTES_A_READ):
            size = 4 * min(_NOTES_A_READ, self._notes - first)
            notes = np.frombuffer(_read_at(self._scratch, size, 4 * first), dtype=np.int32)
            before = np.cumsum(lengths[notes]) - lengths[notes]
            total = int(lengths[notes].sum())
            ids[tokens : tokens + total] = flat[np.repeat(firsts[notes] - before, lengths[notes]) + np.arange(total)]
            ends = np.unique(tokens + before[notes < 0])
            ends = ends[ends > last_end]
            starts[1 + sentences : 1 + sentences + len(ends)] = ends
            tokens += total
            sentences += len(ends)
            last_end = int(ends[-1]) if len(ends) else last_end
        return tokens, sentences


def _write_at(descriptor: int, values: NDArray[Any], offset: int) -> None:
    data = memoryview(values.tobytes())
    while data:
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written


def _read_at(descriptor: int, size: int, offset: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = os.pread(descriptor, size - len(data), offset + len(data))
        if not piece:
            raise OSError("the scratch file is shorter than what was written to it")
        data += piece
    return data
