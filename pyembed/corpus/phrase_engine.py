"""Counting and joining phrases: the interface, and the one place where the compiled or the Python one is picked."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from pyembed.compiled_text import native
from pyembed.corpus import python_phrases


class Candidates(NamedTuple):
    """n candidates for phrases, in the order of first word, last word and run; words and runs are numbers."""

    first: NDArray[np.int32]
    last: NDArray[np.int32]
    run: NDArray[np.int32]
    """The connector words in between: a node of the trie of runs, 0 where there is none."""
    counts: NDArray[np.int64]

    def at(self, places: NDArray[np.int64]) -> Candidates:
        """Those at these places."""
        return Candidates(self.first[places], self.last[places], self.run[places], self.counts[places])


class PhraseCounts(Protocol):
    """How often candidates occur: two words, neither a connector word, with nothing but connector words in between."""

    def count(
        self,
        ids: NDArray[np.int32],
        starts: NDArray[np.int64],
        words: NDArray[np.int32],
        word_counts: NDArray[np.int64],
        threads: int,
        bound: int,
        /,
    ) -> int:
        """Adds the candidates of the sentences ids[starts[s]:starts[s + 1]].

        `words[id]` is a word's number, or -1 - number of a connector word. Where candidates, and words whose entry in
        `word_counts` is above 0, are more than `bound` together, all whose count is at most the smallest sufficient
        number are forgotten, and that number is returned, else 0. The same holds of the candidates of these sentences
        alone, before they are added. Nothing depends on the number of threads.
        """

    def set_counts(
        self,
        first: NDArray[np.int32],
        last: NDArray[np.int32],
        run: NDArray[np.int32],
        counts: NDArray[np.int64],
        /,
    ) -> None:
        """Takes counts of candidates that `candidates` gave, those of nodes that `add_run` gave."""

    def add_run(self, run: int, word: int, /) -> int:
        """The node of a run and one connector word more."""

    def find_run(self, run: int, word: int, /) -> int:
        """The same, of runs that are there; else -1."""

    def runs(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Of every node the run without its last word, and that word; -1 and -1 of node 0."""

    def size(self) -> int:
        """How many candidates there are."""

    def count_of(self, first: int, last: int, run: int, /) -> int:
        """0 where it never occurred."""

    def candidates(
        self, at_least: int, /
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
        """Those that occur so often, as `Candidates`."""


class PhraseMerger(Protocol):
    """Joins phrases in a text of ids, from left to right; no word belongs to two. See `open_merger`."""

    def count(
        self, ids: NDArray[np.int32], starts: NDArray[np.int64], threads: int, /
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Of every id after joining, how often it is there and where it first is; -1 where it is not."""

    def encode(
        self,
        ids: NDArray[np.int32],
        starts: NDArray[np.int64],
        words: NDArray[np.int32],
        threads: int,
        joined_ids: NDArray[np.int32],
        joined_starts: NDArray[np.int64],
        /,
    ) -> tuple[int, int]:
        """Writes `words[id]` of all ids after joining, where it is not negative, to joined_ids[:T], and the starts of
        sentences that are not empty to joined_starts[:S + 1]; returns (T, S)."""


open_counts: Callable[[], PhraseCounts] = python_phrases.PhraseCounts if native is None else native.PhraseCounts
"""Counts of nothing yet."""

open_merger: Callable[..., PhraseMerger] = python_phrases.PhraseMerger if native is None else native.PhraseMerger
"""Opens a merger: (is_connector uint8[ids], first int32[n], last int32[n], run_starts int64[n + 1], run_words int32[],
joined int32[n]): the ids that phrases are made of, and those that they become, which may be ids or above."""

text_lines: Callable[[NDArray[np.int32], NDArray[np.int64], bytes, NDArray[np.int64]], bytes] = (
    python_phrases.lines if native is None else native.lines
)
"""Sentences as lines: (ids, starts, the text of all words, where each ends in it)."""
