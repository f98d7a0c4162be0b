"""Slices of a block: short runs of its centers as blocks of their own, for what must be done every few windows."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from pyembed.reference import TokenBlock

SLICE_CENTERS = 8192
"""Centers in a slice, for each thread: what a thread takes at a time, a few milliseconds of work."""


def slices_of(
    block: TokenBlock, rates: tuple[float, float], window: int, threads: int, together: int
) -> Iterator[tuple[TokenBlock, tuple[float, float]]]:
    """Successive slices of a block with `window` tokens of context on each side, and their part of the learning rates.

    Every center keeps its position, its contexts and its rate, and stays with those that it trains together with, which
    are `together` of successive positions.
    """
    first, last = rates
    centers = block.center_end - block.center_begin
    at_once = -(-SLICE_CENTERS * max(threads, 1) // together) * together
    first_whole = block.center_begin - (block.first_position + block.center_begin) % together
    for start in range(first_whole, block.center_end, at_once):
        begin, end = max(start, block.center_begin), min(start + at_once, block.center_end)
        at_begin, at_end = (first + (last - first) * ((edge - block.center_begin) / centers) for edge in (begin, end))
        yield _slice(block, begin, end, window), (at_begin, at_end)


def _slice(block: TokenBlock, begin: int, end: int, window: int) -> TokenBlock:
    left, right = max(0, begin - window), min(len(block.ids), end + window)
    starts = block.sentence_starts
    low, high = torch.searchsorted(starts, torch.tensor([left, right], device=starts.device)).tolist()
    inner = starts[low:high] - left  # sentences that start in the slice
    edges = starts.new_tensor([0, right - left])
    return TokenBlock(
        ids=block.ids[left:right],
        sentence_starts=torch.cat([edges[:1], inner, edges[1:]]),
        first_position=block.first_position + left,
        center_begin=begin - left,
        center_end=end - left,
    )
