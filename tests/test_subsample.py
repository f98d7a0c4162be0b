"""Promises of subsampling: one stream of kept tokens, however it is cut into blocks and whoever prepares them."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, cast

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pyembed.corpus import TokenIds, subsample
from pyembed.corpus.subsample import KeptBlock, Subsampler

THRESHOLDS = [0, 2**29, 2**31, 3 * 2**30, 2**32 - 1]
SENTENCES = st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=14), min_size=1, max_size=12)


def token_ids_of(sentences: Iterable[list[int]]) -> TokenIds:
    kept = list(sentences)
    return TokenIds.from_arrays([token for sentence in kept for token in sentence], [0, *accumulate(map(len, kept))])


def subsampler_of(token_ids: TokenIds, *, window: int = 3, seed: int = 1, threads: int = 1) -> Subsampler:
    return Subsampler(token_ids, np.array(THRESHOLDS, np.uint32), window, seed, threads)


def sentences_of(block: KeptBlock) -> list[list[int]]:
    """Those of the block that hold a token; subsampling may have emptied others."""
    parts = np.split(block.ids, block.sentence_starts[1:-1])
    assert block.sentence_starts[0] == 0
    assert block.sentence_starts[-1] == len(block.ids)
    assert sum(map(len, parts)) == len(block.ids)
    return [part.tolist() for part in parts if len(part)]


def neighbours(sentences: Iterable[list[int]], window: int) -> list[tuple[list[int], int, list[int]]]:
    """Each token with what may serve as its contexts: up to `window` tokens of its sentence on either side."""
    return [
        (sentence[max(0, i - window) : i], token, sentence[i + 1 : i + 1 + window])
        for sentence in sentences
        for i, token in enumerate(sentence)
    ]


def check_against_twin(
    sentences: list[list[int]], *, block_tokens: int, window: int, seed: int, epoch: int, threads: int
) -> None:
    stream = naive.kept_stream(sentences, THRESHOLDS, seed, epoch)
    expected = neighbours(stream, window)
    subsampler = subsampler_of(token_ids_of(sentences), window=window, seed=seed, threads=threads)
    found: list[tuple[list[int], int, list[int]]] = []
    end = 0
    for block in subsampler.blocks(epoch, block_tokens):
        assert (block.begin, block.end) == (end, min(end + block_tokens, sum(map(len, sentences))))
        end = block.end
        # positions run on: the first center's follows that of the last center before
        assert block.first_position + block.center_begin == len(found)
        assert block.ids.dtype == np.int32
        assert block.sentence_starts.dtype == np.int64
        found += neighbours(sentences_of(block), window)[block.center_begin : block.center_end]
    assert end == sum(map(len, sentences))
    assert found == expected


@settings(max_examples=60)
@given(SENTENCES, st.integers(1, 200), st.integers(1, 6), st.integers(0, 2**63 - 1), st.integers(0, 2**32 - 1))
def test_blocks_of_any_size_hold_the_stream_with_complete_windows(
    sentences: list[list[int]], block_tokens: int, window: int, seed: int, epoch: int
) -> None:
    check_against_twin(
        sentences, block_tokens=block_tokens, window=window, seed=seed, epoch=epoch, threads=1 + seed % 3
    )


def test_a_sentence_longer_than_many_blocks_is_kept_whole() -> None:
    check_against_twin([[1, 2, 3, 4] * 50], block_tokens=7, window=5, seed=3, epoch=1, threads=1)


def test_a_wide_window_looks_across_many_dropped_tokens() -> None:
    """Nearly all tokens are dropped, so that a window of kept ones spans blocks."""
    sentence = [0] * 90 + [4] + [0] * 60 + [4] + [0] * 90
    check_against_twin([sentence], block_tokens=20, window=2, seed=1, epoch=0, threads=1)


def test_a_sentence_may_lose_all_its_tokens() -> None:
    check_against_twin([[4, 4], [0, 0, 0], [0], [4, 4]], block_tokens=3, window=2, seed=1, epoch=0, threads=1)


def test_threads_do_not_change_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subsample, "_TOKENS_A_THREAD", 5)
    sentences = [[(i * j) % 5 for j in range(1 + i % 9)] for i in range(1, 60)]
    for threads in (1, 2, 5):
        check_against_twin(sentences, block_tokens=90, window=3, seed=9, epoch=2, threads=threads)


def test_epochs_and_seeds_keep_different_tokens() -> None:
    token_ids = token_ids_of([[2] * 60])
    kept = [
        tuple(int(block.center_end) for block in subsampler_of(token_ids, seed=seed).blocks(epoch, 6))
        for seed, epoch in ((1, 0), (1, 1), (2, 0))
    ]
    assert len(set(kept)) == 3


def test_all_tokens_of_a_word_that_is_always_kept_stay() -> None:
    (block,) = subsampler_of(token_ids_of([[4] * 300])).blocks(0, 1000)
    assert block.ids.tolist() == [4] * 300


def test_no_tokens_make_no_block() -> None:
    empty = TokenIds(np.empty(0, np.int32), np.zeros(1, np.int64))
    assert list(subsampler_of(empty).blocks(0, 10)) == []


@dataclass
class EndlessIds:
    """`length` tokens of word `position % 5`, made when they are looked at."""

    length: int

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, span: slice) -> NDArray[np.int32]:
        return (np.arange(span.start, span.stop) % 5).astype(np.int32)


@pytest.mark.parametrize("middle", [2**31, 2**32, 2**33 + 10])
def test_positions_beyond_32_bits_are_drawn_for(middle: int) -> None:
    """The stream around a far position, without what lies before it."""
    border, end = middle - 7, middle + 40
    starts = np.array([0, border, end], np.int64)
    token_ids = TokenIds(cast("Any", EndlessIds(end)), starts)
    subsampler = subsampler_of(token_ids, window=4, seed=5)
    kept = {
        position: position % 5
        for position in range(border - 200, end)
        if naive.keeps(position, THRESHOLDS[position % 5], 5, 3)
    }

    def between(begin: int, stop: int) -> list[int]:
        return [word for position, word in kept.items() if begin <= position < stop]

    ids, borders = subsampler._kept(3, middle - 20, middle + 20)
    assert ids.tolist() == between(middle - 20, middle + 20)
    assert borders.tolist() == [len(between(middle - 20, border))]
    assert subsampler._kept_near(3, 0, border, from_the_end=True).tolist() == between(0, border)[-4:]

    with ThreadPoolExecutor(1) as pool:
        block = subsampler._block(pool, 3, middle - 3, middle + 20, 2**32 + 1)
    assert block.ids[block.center_begin : block.center_end].tolist() == between(middle - 3, middle + 20)
    assert block.ids.tolist()[: block.center_begin] == between(border, middle - 3)[-4:]
    assert block.first_position + block.center_begin == 2**32 + 1


class BrokenIds(EndlessIds):
    def __getitem__(self, span: slice) -> NDArray[np.int32]:
        if span.stop > 50:
            raise OSError("the disk is gone")
        return super().__getitem__(span)


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_in_preparation_is_raised_and_nothing_hangs(threads: int) -> None:
    token_ids = TokenIds(cast("Any", BrokenIds(100)), np.array([0, 100], np.int64))
    before = threading.active_count()
    seen: list[int] = []
    with pytest.raises(OSError, match="the disk is gone"):
        seen.extend(block.end for block in subsampler_of(token_ids, threads=threads).blocks(0, 10))
    assert seen  # the blocks before the error came
    assert threading.active_count() == before


def test_a_caller_may_stop_early() -> None:
    before = threading.active_count()
    blocks = subsampler_of(token_ids_of([[4] * 500])).blocks(0, 10)
    assert next(blocks).end == 10
    blocks.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
