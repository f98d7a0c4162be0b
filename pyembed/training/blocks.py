"""Blocks of the corpus as the training loop takes them, and the source that prepares them on the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch

from pyembed.corpus.subsample import Subsampler
from pyembed.reference import TokenBlock

BLOCK_TOKENS = 1 << 20
"""Tokens of the corpus in a block: a few megabytes, and enough work for many threads."""


@dataclass(frozen=True)
class CorpusBlock:
    """Successive tokens of the corpus: those that are kept, on the device that trains them."""

    tokens: TokenBlock
    begin: int
    """The block's tokens of the corpus are begin .. end - 1."""
    end: int

    @property
    def next_position(self) -> int:
        return self.tokens.first_position + self.tokens.center_end


class BlockSource(Protocol):
    """Who subsamples the corpus, and where, is its affair: every source gives the same stream of kept tokens."""

    def blocks(self, epoch: int) -> Iterator[CorpusBlock]:
        """The epoch's blocks in order. A block may be used until the next is asked for."""


@dataclass(frozen=True)
class HostBlocks:
    """Subsamples on the CPU, on all of its threads."""

    subsampler: Subsampler
    device: torch.device

    def blocks(self, epoch: int) -> Iterator[CorpusBlock]:
        for kept in self.subsampler.blocks(epoch, BLOCK_TOKENS):
            ids, starts = (torch.from_numpy(array).to(self.device) for array in (kept.ids, kept.sentence_starts))
            tokens = TokenBlock(ids, starts, kept.first_position, kept.center_begin, kept.center_end)
            yield CorpusBlock(tokens, kept.begin, kept.end)
