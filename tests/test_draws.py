"""Promise P1: every executor draws the same bits, whatever the position, the backend and the way a range is cut."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import naive
import numpy as np
import pytest
import torch
from blocks import (
    LENGTHS,
    SHARINGS,
    alias_columns,
    block_of,
    blocks,
    draws_of,
    each_sharing,
    naive_centers,
    random_block,
)
from hypothesis import given
from hypothesis import strategies as st

from pyembed import ops, reference
from pyembed.config import Backend
from pyembed.corpus import numba_sampling, subsample
from pyembed.corpus.random_words import fill_random_words
from pyembed.reference import Draws, TokenBlock

pytestmark = pytest.mark.simt

DATA = Path(__file__).parent / "data"
SEEDS = st.integers(0, 2**63 - 1)
EPOCHS = st.integers(0, 2**32 - 1)
POSITIONS = st.one_of(st.integers(0, 40), st.integers(2**32 - 40, 2**32 + 40), st.integers(0, 2**62))


def rows(file: str, base: int) -> list[list[int]]:
    """The numbers of a data file; those of the last four columns are hexadecimal."""
    lines = [line.split() for line in (DATA / file).read_text().splitlines() if not line.startswith("#")]
    return [[int(word, base) for word in line[:-4]] + [int(word, 16) for word in line[-4:]] for line in lines]


KNOWN_ANSWERS = rows("philox.txt", 16)
GOLDEN = rows("draws.txt", 10)


def numba_words(seed: int, epoch: int, stream: int, index: int, count: int = 1) -> list[list[int]]:
    words = np.empty((count, 4), np.uint32)
    fill_random_words(np.uint64(seed), np.uint64(epoch), np.uint64(stream), np.uint64(index), words)
    return words.tolist()


@pytest.mark.parametrize("row", KNOWN_ANSWERS)
def test_philox_gives_the_published_answers(row: list[int]) -> None:
    counter, key, expected = row[:4], row[4:6], row[6:]
    assert naive.philox(counter, key) == expected
    a, b, c, d = (torch.tensor([word]) for word in counter)
    assert [int(word) for word in reference.philox((a, b, c, d), (key[0], key[1]))] == expected


def test_numba_gives_the_published_answer_of_zero() -> None:
    """The counters of the other published answers are none that a stream of draws has."""
    assert numba_words(0, 0, 0, 0) == [KNOWN_ANSWERS[0][6:]]


@pytest.mark.parametrize("row", GOLDEN)
def test_draws_are_what_they_always_were(row: list[int]) -> None:
    seed, epoch, stream, index, slot, *expected = row
    assert naive.random_words(seed, epoch, stream, index, slot) == expected
    assert reference.random_words(seed, epoch, stream, torch.tensor(index), slot).tolist() == expected
    if slot == 0:
        assert numba_words(seed, epoch, stream, index) == [expected]


def test_streams_have_the_same_numbers_everywhere() -> None:
    assert (naive.KEEP, naive.RADIUS, naive.NEGATIVE, naive.INITIAL) == (
        reference.KEEP,
        reference.RADIUS,
        reference.NEGATIVE,
        reference.INITIAL,
    )
    assert (numba_sampling.KEEP_STREAM, numba_sampling.INITIAL_STREAM) == (reference.KEEP, reference.INITIAL)


@given(SEEDS, EPOCHS, st.sampled_from([reference.KEEP, reference.INITIAL]), st.integers(0, 2**60), st.integers(0, 9))
def test_numba_fills_a_run_of_words_as_the_spec(seed: int, epoch: int, stream: int, index: int, count: int) -> None:
    expected = reference.random_words(seed, epoch, stream, torch.arange(index, index + count))
    assert numba_words(seed, epoch, stream, index, count) == expected.tolist()


@given(SEEDS, EPOCHS, POSITIONS, st.lists(st.integers(0, 3), max_size=20))
def test_all_executors_keep_the_same_tokens(seed: int, epoch: int, first: int, ids: list[int]) -> None:
    thresholds = [0, 2**30, 2**31, 2**32 - 1]
    expected = [naive.keeps(first + i, thresholds[word], seed, epoch) for i, word in enumerate(ids)]
    positions = torch.arange(first, first + len(ids))
    spec = reference.keep_token(torch.tensor(ids, dtype=torch.int32), positions, torch.tensor(thresholds), seed, epoch)
    assert spec.tolist() == expected

    kept, before = subsample.keep_tokens(
        np.array(ids, np.int32),
        first,
        np.arange(first, first + len(ids)),  # every token a sentence: the count before each tells which are kept
        np.array(thresholds, np.uint32),
        np.uint64(seed),
        np.uint64(epoch),
    )
    assert np.diff([*before.tolist(), len(kept)]).astype(bool).tolist() == expected
    assert kept.tolist() == [word for word, keep in zip(ids, expected, strict=True) if keep]


@pytest.mark.parametrize("position", [0, 5, 2**32 + 2])
def test_a_token_is_kept_up_to_its_threshold_and_not_beyond(position: int) -> None:
    word = naive.random_word(3, 2, naive.KEEP, position)
    for threshold, kept in ((word - 1, 0), (word, 1), (word + 1, 1)):
        ids, positions = np.zeros(1, np.int32), torch.tensor([position])
        spec = reference.keep_token(torch.from_numpy(ids), positions, torch.tensor([threshold]), 3, 2)
        thresholds = np.array([threshold], np.uint32)
        found, _ = subsample.keep_tokens(ids, position, np.empty(0, np.int64), thresholds, np.uint64(3), np.uint64(2))
        assert len(found) == int(spec.sum()) == kept


def test_a_column_is_its_own_word_below_its_threshold_and_not_at_it(backend: Backend) -> None:
    """Two words, each the other's alias; thresholds at the very word that the draw at position 6 compares."""
    column_word, accept_word, *_ = naive.random_words(1, 0, naive.NEGATIVE, 6)
    column = column_word * 2 // 2**32
    for threshold, expected in ((accept_word, 1 - column), (accept_word + 1, column)):
        table = torch.from_numpy(np.array([[threshold, 1], [threshold, 0]], np.uint32).view(np.int32))
        draws = Draws(table, window=1, negative=1, seed=1, epoch=0)
        _, outputs = ops.draw_windows(block_of([[0]], first_position=6), draws, backend=backend)
        assert outputs[0, 1] == expected


@pytest.mark.parametrize("window", [1, 2, 5, 1000])
@pytest.mark.parametrize("negative", [1, 2, 5, 6, 12])
@pytest.mark.parametrize("first_position", [0, 3, 2**32 - 9, 2**48 + 1])
def test_radii_and_negatives_equal_the_slow_twin(
    backend: Backend, window: int, negative: int, first_position: int
) -> None:
    block = random_block(30, first_position=first_position)
    draws = draws_of(30, window=window, negative=negative, seed=2**62 + 5, epoch=2**32 - 1)
    radius, outputs = ops.draw_windows(block, draws, backend=backend)
    key = (draws.seed, draws.epoch)
    assert radius.dtype == outputs.dtype == torch.int32
    positions = range(first_position, first_position + len(block.ids))
    assert radius.tolist() == [naive.radius(position, window, *key) for position in positions]
    assert outputs.tolist() == [
        [center, *naive.negatives(position, alias_columns(draws), negative, *key)]
        for center, position in zip(block.ids.tolist(), positions, strict=True)
    ]


@each_sharing
@pytest.mark.parametrize("window", [1, 5, 80])
@pytest.mark.parametrize("first_position", [0, 3, 2**32 - 9])
def test_fixed_windows_have_the_largest_radius_and_the_negatives_of_others(
    backend: Backend, window: int, first_position: int, sharing: int
) -> None:
    block = random_block(30, LENGTHS * 4, first_position=first_position)
    draws = draws_of(30, window=window, negative=3, sharing=sharing)
    _, expected = ops.draw_windows(block, draws, backend=backend)
    radius, outputs = ops.draw_windows(block, replace(draws, shrink_windows=False), backend=backend)
    assert radius.dtype == torch.int32
    assert radius.tolist() == [window] * len(block.ids)
    assert torch.equal(outputs, expected)


@given(
    SEEDS,
    EPOCHS,
    st.integers(0, 2**62),
    st.integers(1, 1000),
    st.integers(1, 9),
    st.sampled_from([1, 2, 64]),
    st.booleans(),
)
def test_native_and_torch_draw_the_same_for_any_key(
    seed: int, epoch: int, first_position: int, window: int, negative: int, sharing: int, shrink_windows: bool
) -> None:
    if not ops.status().native:
        pytest.skip("the compiled kernels are missing")
    block = replace(random_block(30), first_position=first_position, center_begin=4)
    key = {"seed": seed, "epoch": epoch, "sharing": sharing, "shrink_windows": shrink_windows}
    draws = draws_of(30, window=window, negative=negative, **key)
    native, spec = (ops.draw_windows(block, draws, backend=backend) for backend in ("native", "torch"))
    assert all(torch.equal(a, b) for a, b in zip(native, spec, strict=True))


@given(st.lists(st.integers(0, sum(LENGTHS)), max_size=5), POSITIONS, st.sampled_from(SHARINGS), st.booleans())
def test_any_split_of_a_range_draws_the_same(
    backend: Backend, cuts: list[int], first_position: int, sharing: int, shrink_windows: bool
) -> None:
    whole = random_block(30, first_position=first_position)
    draws = draws_of(30, sharing=sharing, shrink_windows=shrink_windows)
    edges = [0, *sorted(cuts), len(whole.ids)]
    parts = [
        ops.draw_windows(replace(whole, center_begin=begin, center_end=end), draws, backend=backend)
        for begin, end in itertools.pairwise(edges)
    ]
    expected = ops.draw_windows(whole, draws, backend=backend)
    for found, one in zip(zip(*parts, strict=True), expected, strict=True):
        assert torch.equal(torch.cat(found), one)


@given(blocks(), st.integers(1, 6), st.integers(1, 4), SEEDS, st.sampled_from(SHARINGS), st.booleans())
def test_windows_of_the_spec_equal_the_slow_twin(
    block: TokenBlock, window: int, negative: int, seed: int, sharing: int, shrink_windows: bool
) -> None:
    options = {"seed": seed, "sharing": sharing, "shrink_windows": shrink_windows}
    draws = draws_of(12, window=window, negative=negative, **options)
    spec = reference.windows(block, draws, block.center_begin, block.center_end)
    found: list[list[naive.Window]] = [[] for _ in range(block.center_begin, block.center_end)]
    for contexts, present, outputs, used, _, center in zip(*spec, strict=True):
        window_found = naive.Window(contexts[present].tolist(), int(outputs[0]), outputs[1:][used[1:] > 0].tolist())
        found[int(center) - block.center_begin].append(window_found)
    assert found == naive_centers(block, draws)
    assert spec.output_weights[:, 0].all()


def chi_square(observed: torch.Tensor, probability: torch.Tensor) -> float:
    expected = probability * observed.sum()
    return float(((observed - expected) ** 2 / expected).sum())


def test_radii_are_uniform_and_negatives_follow_the_noise_distribution(backend: Backend) -> None:
    """Chi-square of 100,000 draws of known seeds; 30 is beyond the 99.9th percentile of 9 degrees of freedom (27.9)."""
    counts = torch.arange(1, 11)
    draws = Draws(draws_of(10).alias_table, window=10, negative=1, seed=5, epoch=0)
    block = block_of([[0] * 100_000])
    radius, outputs = ops.draw_windows(block, draws, backend=backend)
    assert chi_square(radius.bincount(minlength=11)[1:], torch.full((10,), 0.1)) < 30
    noise = counts.double() ** 0.75
    assert chi_square(outputs[:, 1].bincount(minlength=10), noise / noise.sum()) < 30
