"""Counting and joining phrases without a compiler: the interface of `phrase_engine` in plain Python, one thread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


class _Runs:
    """The trie of runs of connector words."""

    def __init__(self) -> None:
        self.nodes: dict[tuple[int, int], int] = {}
        self.parents, self.words = [-1], [-1]

    def add(self, run: int, word: int) -> int:
        node = self.nodes.setdefault((run, word), len(self.parents))
        if node == len(self.parents):
            self.parents.append(run)
            self.words.append(word)
        return node

    def find(self, run: int, word: int) -> int:
        return self.nodes.get((run, word), -1)


class PhraseCounts:
    """See `phrase_engine.PhraseCounts`."""

    def __init__(self) -> None:
        self._runs = _Runs()
        self._counts: Counter[tuple[int, int, int]] = Counter()  # of first, last, run

    def count(
        self,
        ids: NDArray[np.int32],
        starts: NDArray[np.int64],
        words: NDArray[np.int32],
        word_counts: NDArray[np.int64],
        threads: int,  # noqa: ARG002 - one
        bound: int,
        /,
    ) -> int:
        new: Counter[tuple[int, int, int]] = Counter()
        for sentence in _sentences(words[ids], starts):
            first, run = -1, 0
            for word in sentence:
                if word < 0:
                    run = self._runs.add(run, -1 - word) if first >= 0 else 0
                    continue
                if first >= 0:
                    new[first, word, run] += 1
                first, run = word, 0
        cut = _smallest_cut([*new.values()], bound)
        self._counts.update(_above(cut, new))
        others = word_counts[word_counts > 0].tolist()
        cut = max(cut, _smallest_cut([*self._counts.values(), *others], bound))
        self._counts = _above(cut, self._counts)
        return cut

    def set_counts(
        self,
        first: NDArray[np.int32],
        last: NDArray[np.int32],
        run: NDArray[np.int32],
        counts: NDArray[np.int64],
        /,
    ) -> None:
        candidates = zip(first.tolist(), last.tolist(), run.tolist(), strict=True)
        self._counts.update(dict(zip(candidates, counts.tolist(), strict=True)))

    def add_run(self, run: int, word: int, /) -> int:
        return self._runs.add(run, word)

    def find_run(self, run: int, word: int, /) -> int:
        return self._runs.find(run, word)

    def runs(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        return np.array(self._runs.parents, np.int32), np.array(self._runs.words, np.int32)

    def size(self) -> int:
        return len(self._counts)

    def count_of(self, first: int, last: int, run: int, /) -> int:
        return self._counts.get((first, last, run), 0)

    def candidates(
        self, at_least: int, /
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
        found = sorted((*candidate, count) for candidate, count in self._counts.items() if count >= at_least)
        table = np.array(found, np.int64).reshape(-1, 4)
        first, last, run = table[:, :3].T.astype(np.int32)
        return first, last, run, table[:, 3]


class PhraseMerger:
    """See `phrase_engine.open_merger`."""

    def __init__(
        self,
        is_connector: NDArray[np.uint8],
        first: NDArray[np.int32],
        last: NDArray[np.int32],
        run_starts: NDArray[np.int64],
        run_words: NDArray[np.int32],
        joined: NDArray[np.int32],
    ) -> None:
        self._is_connector = is_connector.astype(bool).tolist()
        runs = [tuple(run_words[start:stop].tolist()) for start, stop in pairwise(run_starts.tolist())]
        keys = zip(first.tolist(), runs, last.tolist(), strict=True)
        self._joined = dict(zip(keys, joined.tolist(), strict=True))
        self._size = max([len(is_connector), *(joined + 1).tolist()])

    def _join(self, ids: list[int]) -> Iterator[tuple[int, int]]:
        """What a sentence becomes, and where the first word of each stood."""
        start = None
        for i, id_ in enumerate(ids):
            if self._is_connector[id_]:
                if start is None:
                    yield id_, i
                continue
            if start is not None:
                joined = self._joined.get((ids[start], tuple(ids[start + 1 : i]), id_))
                if joined is not None:
                    yield joined, start
                    start = None
                    continue
                yield from ((ids[k], k) for k in range(start, i))
            start = i
        if start is not None:
            yield from ((ids[k], k) for k in range(start, len(ids)))

    def count(
        self, ids: NDArray[np.int32], starts: NDArray[np.int64], _threads: int, /
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        counts, first_positions = np.zeros(self._size, np.int64), np.full(self._size, -1, np.int64)
        for start, sentence in zip(starts.tolist(), _sentences(ids, starts), strict=False):
            for id_, position in self._join(sentence):
                if not counts[id_]:
                    first_positions[id_] = start + position
                counts[id_] += 1
        return counts, first_positions

    def encode(
        self,
        ids: NDArray[np.int32],
        starts: NDArray[np.int64],
        words: NDArray[np.int32],
        _threads: int,
        joined_ids: NDArray[np.int32],
        joined_starts: NDArray[np.int64],
        /,
    ) -> tuple[int, int]:
        tokens = sentences = 0
        joined_starts[0] = 0
        for sentence in _sentences(ids, starts):
            kept = [word for id_, _ in self._join(sentence) if (word := int(words[id_])) >= 0]
            if kept:
                joined_ids[tokens : tokens + len(kept)] = kept
                tokens, sentences = tokens + len(kept), sentences + 1
                joined_starts[sentences] = tokens
        return tokens, sentences


def lines(ids: NDArray[np.int32], starts: NDArray[np.int64], text: bytes, ends: NDArray[np.int64]) -> bytes:
    """See `phrase_engine.text_lines`."""
    words = [text[start:stop] for start, stop in pairwise([0, *ends.tolist()])]
    return b"".join(b" ".join([words[id_] for id_ in sentence]) + b"\n" for sentence in _sentences(ids, starts))


def _smallest_cut(counts: list[int], bound: int) -> int:
    return sorted(counts, reverse=True)[bound] if len(counts) > bound else 0


def _above(cut: int, counts: Counter[tuple[int, int, int]]) -> Counter[tuple[int, int, int]]:
    return Counter({candidate: count for candidate, count in counts.items() if count > cut})


def _sentences(ids: NDArray[np.int32], starts: NDArray[np.int64]) -> Iterator[list[int]]:
    for start, stop in pairwise(starts.tolist()):
        yield ids[start:stop].tolist()
