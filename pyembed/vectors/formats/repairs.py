"""What becomes of damage in a vector file: an error, or, by name, a repair that is told of."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from pyembed.vectors.arrays import Float32Array, Int64Array
from pyembed.vectors.formats.table import VectorFileError, VectorTable, require_distinct

Errors = Literal["strict", "replace", "skip"]
"""strict: damage raises VectorFileError. replace: what is not UTF-8 in a word becomes U+FFFD. skip: a damaged row is
left out. Where either makes or meets a word for the second time, the first row stays. Damage to the frame of a file,
such as an early end, is always an error."""
ERRORS: tuple[Errors, ...] = ("strict", "replace", "skip")


class VectorFileWarning(UserWarning):
    """A damaged vector file was read as well as it could be, because that was asked for."""


class Repairs:
    """The damage met in one file, under one of the policies."""

    def __init__(self, path: Path, errors: Errors) -> None:
        """Raises ValueError where the policy is none."""
        if errors not in ERRORS:
            raise ValueError(f"errors: expected one of {', '.join(ERRORS)}, found {errors!r}")
        self.path = path
        self.errors = errors
        self._replaced = 0
        self._left_out = 0
        self._first_left_out = ""

    def leave_out(self, message: str, rows: int = 1) -> None:
        """Counts rows to be left out; `message` says where and why the first is damaged.

        Raises:
            VectorFileError: the policy is not to skip.
        """
        if self.errors != "skip":
            raise VectorFileError(f"{self.path}: {message}")
        self._first_left_out = self._first_left_out or message
        self._left_out += rows

    def count_replaced(self, words: int) -> None:
        """Counts words in which something became U+FFFD."""
        self._replaced += words

    def decode(self, word: bytes, place: str, start: int | None = None) -> str | None:
        """A word as text; None: its row is to be left out.

        Args:
            word: in UTF-8, or damaged.
            place: of the row, for the message.
            start: the word's first byte in the file, for the message, where it is known.

        Raises:
            VectorFileError: the policy is strict and the word damaged.
        """
        try:
            return word.decode()
        except UnicodeDecodeError as error:
            if self.errors == "replace":
                self._replaced += 1
                return word.decode(errors="replace")
            where = place if start is None else f"at byte {start + error.start}, {place}"
            self.leave_out(f"expected a word in UTF-8 {where}, found {word[:100]!r}")
            return None

    def table(
        self,
        words: Sequence[str | None],
        vectors: Float32Array,
        counts: Int64Array | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> VectorTable:
        """What remains: rows that have a word, each word once. Warns of what was repaired.

        Raises:
            VectorFileError: the policy is strict and a word occurs twice.
        """
        kept_words = [word for word in words if word is not None]
        if self.errors == "strict":
            require_distinct(kept_words, self.path)
        rows: dict[str, int] = {}
        if len(kept_words) < len(words) or len(set(kept_words)) < len(words):
            for row, word in enumerate(words):
                if word is not None and rows.setdefault(word, row) != row:
                    self._first_left_out = self._first_left_out or f"row {row}: {word!r} stands in row {rows[word]} too"
                    self._left_out += 1
            kept_words, kept = list(rows), np.fromiter(rows.values(), dtype=np.int64)
            vectors, counts = vectors[kept], None if counts is None else counts[kept]
        self._warn()
        return VectorTable(words=kept_words, vectors=vectors, counts=counts, metadata=metadata or {})

    def _warn(self) -> None:
        if self._replaced:
            message = f"{self.path}: {self._replaced} words were not UTF-8; what was not is now U+FFFD"
            warnings.warn(message, VectorFileWarning, stacklevel=5)
        if self._left_out:
            message = f"{self.path}: {self._left_out} rows were left out, the first: {self._first_left_out}"
            warnings.warn(message, VectorFileWarning, stacklevel=5)
