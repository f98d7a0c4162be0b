"""Blocks of the corpus that a GPU subsamples itself: all that crosses the bus is the raw ids, while a block trains."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pyembed import ops
from pyembed.corpus.subsample import Subsampler, one_ahead
from pyembed.reference import TokenBlock
from pyembed.training.blocks import CorpusBlock

BLOCK_TOKENS = 1 << 23
"""Tokens of the corpus in a block: tens of milliseconds of a GPU's work, beside which a launch is nothing."""


class DeviceBlocks:
    """Copies the next block from pinned memory and subsamples it, on a stream of its own, on a thread of its own.

    The stream of kept tokens equals that of HostBlocks bit for bit.
    """

    def __init__(self, subsampler: Subsampler, device: torch.device) -> None:
        self._subsampler = subsampler
        self._device = device
        self._token_ids = subsampler.token_ids
        self._keep_threshold = torch.from_numpy(subsampler.keep_threshold.view(np.int32)).to(device)
        self._stream = torch.cuda.Stream(device)
        self._pinned = torch.empty(min(BLOCK_TOKENS, self._token_ids.n_tokens), dtype=torch.int32).pin_memory()

    def blocks(self, epoch: int) -> Iterator[CorpusBlock]:
        for block in one_ahead(partial(self._block, epoch), self._token_ids.n_tokens, BLOCK_TOKENS):
            # Made on one stream, used on another: the memory is not to be given away before the latter is done with it.
            for tensor in (block.tokens.ids, block.tokens.sentence_starts):
                tensor.record_stream(torch.cuda.current_stream(self._device))
            yield block
            self._token_ids.release(block.begin, block.end)

    def _block(self, epoch: int, begin: int, end: int, kept_before: int) -> CorpusBlock:
        left, right = self._subsampler.around(epoch, begin, end)
        starts = self._subsampler.starts_within(begin, end)
        pinned = self._pinned[: end - begin]  # free again: what read it last was waited for
        np.copyto(pinned.numpy(), self._token_ids.ids[begin:end])
        with torch.cuda.stream(self._stream):
            raw = pinned.to(self._device, non_blocking=True)
            key = (begin, self._subsampler.seed, epoch)
            kept, borders = ops.keep_tokens(raw, self._there(starts), self._keep_threshold, *key)
            ids = torch.cat([self._there(left), kept, self._there(right)])
            # sentence borders inside the block, as counts of the tokens before them
            ends = self._there(np.array([0, len(ids)], np.int64))
            sentence_starts = torch.cat([ends[:1], borders + len(left), ends[1:]])
            self._stream.synchronize()
        tokens = TokenBlock(
            ids,
            sentence_starts,
            first_position=kept_before - len(left),
            center_begin=len(left),
            center_end=len(left) + len(kept),
        )
        return CorpusBlock(tokens, begin, end)

    def _there(self, array: npt.NDArray[Any]) -> Tensor:
        return torch.from_numpy(array.copy()).to(self._device)  # a copy, because a mapped corpus is read-only
