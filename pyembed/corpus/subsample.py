"""Subsampling: from the corpus's tokens to the epoch's stream of kept tokens, block by block, on all threads.

Whether a token is kept depends on its position in the corpus alone (reference.py section 2), so the stream is the same
for any number of threads and any size of block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from pyembed.corpus.sampling import keep_tokens
from pyembed.corpus.token_ids import TokenIds

_TOKENS_A_THREAD = 1 << 16  # below this a second thread costs more than it gains


class Block(Protocol):
    """What one block tells the next."""

    @property
    def next_position(self) -> int:
        """Position in the epoch's stream of the first center after the block's."""


AnyBlock = TypeVar("AnyBlock", bound=Block)


def one_ahead(prepare: Callable[[int, int, int], AnyBlock], n_tokens: int, block_tokens: int) -> Iterator[AnyBlock]:
    """Blocks of block_tokens tokens of the corpus each, the next prepared on a thread while the caller uses one.

    prepare: takes the block's tokens of the corpus, begin and end, and how many tokens are kept before them. What it
        raises is raised here.
    """
    with ThreadPoolExecutor(1, "pyembed-next-block") as ahead:

        def submit(begin: int, kept_before: int) -> Future[AnyBlock]:
            return ahead.submit(prepare, begin, min(begin + block_tokens, n_tokens), kept_before)

        upcoming = submit(0, 0)
        for next_begin in range(block_tokens, n_tokens + block_tokens, block_tokens):
            block = upcoming.result()
            if next_begin < n_tokens:
                upcoming = submit(next_begin, block.next_position)
            yield block


@dataclass(frozen=True)
class KeptBlock:
    """A block of the stream of kept tokens: what a training step takes."""

    ids: npt.NDArray[np.int32]
    """int32[T]: the centers, and up to `window` kept tokens of their sentences before the first and after the last."""
    sentence_starts: npt.NDArray[np.int64]
    """int64[S + 1], indices into ids; sentences may be empty."""
    first_position: int
    """Position of ids[0] in the epoch's stream."""
    center_begin: int
    center_end: int
    begin: int
    """The block's tokens of the corpus are begin .. end - 1."""
    end: int

    @property
    def next_position(self) -> int:
        return self.first_position + self.center_end


@dataclass(frozen=True)
class Subsampler:
    """Yields the kept tokens of an epoch.

    keep_threshold: uint32[V], from tables.keep_thresholds. window: tokens of context that a block carries on each side.
    """

    token_ids: TokenIds
    keep_threshold: npt.NDArray[np.uint32]
    window: int
    seed: int
    threads: int = 1

    def blocks(self, epoch: int, block_tokens: int) -> Iterator[KeptBlock]:
        """The epoch's blocks of block_tokens tokens of the corpus each, as one_ahead yields them."""
        with ThreadPoolExecutor(self.threads) as pool:
            for block in one_ahead(partial(self._block, pool, epoch), self.token_ids.n_tokens, block_tokens):
                yield block
                self.token_ids.release(block.begin, block.end)

    def around(self, epoch: int, begin: int, end: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """The kept ids that windows reach before token `begin` and from token `end` on, of the sentences cut there."""
        starts = self.token_ids.sentence_starts
        first_sentence = int(np.searchsorted(starts, begin, side="right")) - 1  # holds token `begin`
        past_sentence = int(np.searchsorted(starts, end, side="left"))  # starts at `end` or after
        return (
            self._kept_near(epoch, int(starts[first_sentence]), begin, from_the_end=True),
            self._kept_near(epoch, end, int(starts[past_sentence]), from_the_end=False),
        )

    def starts_within(self, begin: int, end: int) -> npt.NDArray[np.int64]:
        """Positions of the tokens begin .. end - 1 at which a sentence starts."""
        starts = self.token_ids.sentence_starts
        low, high = np.searchsorted(starts, [begin, end], side="left")
        return starts[low:high]

    def _block(self, pool: ThreadPoolExecutor, epoch: int, begin: int, end: int, kept_before: int) -> KeptBlock:
        left, right = self.around(epoch, begin, end)
        pieces = max(1, min(self.threads, (end - begin) // _TOKENS_A_THREAD))
        edges = np.linspace(begin, end, pieces + 1).astype(np.int64)
        kept = list(pool.map(lambda piece: self._kept(epoch, int(edges[piece]), int(edges[piece + 1])), range(pieces)))

        ids = np.concatenate([left, *(piece_ids for piece_ids, _ in kept), right])
        # Sentence borders inside the block, as counts of the tokens kept before them.
        kept_so_far, borders = len(left), []
        for piece_ids, piece_borders in kept:
            borders.append(piece_borders + kept_so_far)
            kept_so_far += len(piece_ids)
        return KeptBlock(
            ids=ids,
            sentence_starts=np.concatenate([[0], *borders, [len(ids)]]).astype(np.int64),
            first_position=kept_before - len(left),
            center_begin=len(left),
            center_end=len(ids) - len(right),
            begin=begin,
            end=end,
        )

    def _kept(self, epoch: int, begin: int, end: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Kept ids of the tokens begin .. end - 1, and for each sentence that starts among them how many
        are kept before it."""
        ids, inside = self.token_ids.ids[begin:end], self.starts_within(begin, end)
        return keep_tokens(ids, begin, inside, self.keep_threshold, np.uint64(self.seed), np.uint64(epoch))

    def _kept_near(self, epoch: int, begin: int, end: int, *, from_the_end: bool) -> npt.NDArray[np.int32]:
        """The last (or first) `window` kept ids of the tokens begin .. end - 1, looked for from that end."""
        found = np.empty(0, dtype=np.int32)
        span = 4 * self.window
        while begin < end and len(found) < self.window:
            if from_the_end:
                middle = max(begin, end - span)
                found = np.concatenate([self._kept(epoch, middle, end)[0], found])
                end = middle
            else:
                middle = min(end, begin + span)
                found = np.concatenate([found, self._kept(epoch, begin, middle)[0]])
                begin = middle
            span *= 2
        return found[max(0, len(found) - self.window) :] if from_the_end else found[: self.window]
