"""Promises of the sampling tables: integers that mean exactly the probabilities that the formulas say."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pyembed import reference
from pyembed.corpus.tables import alias_table, frequent_words, keep_thresholds

COUNTS = st.lists(st.integers(1, 10**9), min_size=1, max_size=30)
EXPONENTS = st.one_of(st.sampled_from([0.0, 0.5, 0.75, 1.0]), st.floats(-2, 2))


def counts_of(*counts: int) -> np.ndarray:
    return np.array(counts, dtype=np.int64)


@given(COUNTS, st.sampled_from([1e-5, 1e-4, 1e-3, 0.1, 1.0]))
def test_thresholds_mean_the_probability_of_word2vec(counts: list[int], sample: float) -> None:
    thresholds = keep_thresholds(counts_of(*counts), sample)
    assert thresholds.dtype == np.uint32
    for count, threshold in zip(counts, thresholds.tolist(), strict=True):
        frequency = count / sum(counts)
        probability = min(1.0, ((frequency / sample) ** 0.5 + 1) * sample / frequency)
        assert (threshold + 1) / 2**32 == pytest.approx(probability, rel=1e-12, abs=2**-32)


@given(COUNTS, st.one_of(st.just(0.0), st.floats(1e-12, 1)))
def test_thresholds_follow_the_spec(counts: list[int], sample: float) -> None:
    probability = reference.keep_probability(torch.tensor(counts), sample).numpy()
    expected = np.ceil(probability * 2**32) - 1
    assert np.abs(keep_thresholds(counts_of(*counts), sample) - expected).max() <= 1


def test_a_probability_of_one_keeps_every_token() -> None:
    largest_word = 2**32 - 1
    assert keep_thresholds(counts_of(10**9, 1), 1.0)[0] == largest_word
    assert keep_thresholds(counts_of(10**6, 1), 1e-3)[1] == largest_word


def test_frequent_words_are_thinned_out_more() -> None:
    thresholds = keep_thresholds(counts_of(10**6, 10**5, 10**4, 10), 1e-3)
    assert (np.diff(thresholds.astype(np.int64)) > 0).sum() == 3


def test_sample_zero_keeps_all() -> None:
    assert keep_thresholds(counts_of(10**9, 1), 0).tolist() == [2**32 - 1] * 2


def implied(table: np.ndarray) -> list[Fraction]:
    """The probability of each word under Walker's method, without rounding."""
    columns = [(threshold, alias) for threshold, alias in table.view(np.uint32).tolist()]
    probability = [Fraction(0)] * len(columns)
    for column, (threshold, alias) in enumerate(columns):
        probability[column] += Fraction(threshold, 2**32 * len(columns))
        probability[alias] += Fraction(2**32 - threshold, 2**32 * len(columns))
    return probability


@given(COUNTS, EXPONENTS)
def test_the_alias_table_means_counts_to_the_exponent(counts: list[int], exponent: float) -> None:
    table = alias_table(counts_of(*counts), exponent)
    assert table.dtype == np.int32
    assert table.shape == (len(counts), 2)
    weights = [Fraction((count / max(counts)) ** exponent) for count in counts]
    found = implied(table)
    assert sum(found) == 1
    for probability, weight in zip(found, weights, strict=True):
        assert abs(probability - weight / sum(weights)) <= Fraction(1, 2**31)


@pytest.mark.parametrize("exponent", [-300.0, -40.0, 40.0, 300.0])
def test_extreme_exponents_leave_only_the_extreme_words(exponent: float) -> None:
    table = alias_table(counts_of(10**9, 1000, 1), exponent)
    expected = [1, 0, 0] if exponent > 0 else [0, 0, 1]
    assert [float(probability) for probability in implied(table)] == pytest.approx(expected, abs=2**-30)


@given(COUNTS, st.floats(1e-9, 1e9))
def test_weights_may_be_in_any_unit(counts: list[int], unit: float) -> None:
    weights = np.array(counts) * unit
    for probability, expected in zip(
        implied(alias_table(weights, 0.75)), implied(alias_table(counts_of(*counts), 0.75)), strict=True
    ):
        assert abs(probability - expected) <= Fraction(1, 2**31)


def test_equal_counts_are_drawn_equally() -> None:
    assert implied(alias_table(counts_of(7, 7, 7, 7), 0.75)) == pytest.approx([0.25] * 4, abs=2**-31)


def test_a_vocabulary_of_one_word_draws_that_word() -> None:
    table = alias_table(counts_of(5), 0.75)
    assert implied(table) == [1]
    drawn = reference.negative_ids(torch.arange(20), torch.from_numpy(table), 3, 1, 0)
    assert not drawn.any()


def test_a_skewed_vocabulary_is_met_to_the_bit() -> None:
    counts = 10**9 // np.arange(1, 2001) ** 2 + 1
    weights = counts / counts.max()
    assert np.abs(np.array(implied(alias_table(counts, 1.0)), dtype=float) - weights / weights.sum()).max() < 2**-31


def test_draws_follow_the_noise_distribution() -> None:
    """Chi-square, 29 degrees of freedom; 58.3 is the 99.9th percentile, and the draws are the same in every run."""
    counts = counts_of(*range(1, 31))
    drawn = reference.negative_ids(torch.arange(20_000), torch.from_numpy(alias_table(counts, 0.75)), 4, 3, 0)
    observed = np.bincount(drawn.flatten().numpy(), minlength=30)
    expected = counts**0.75 / (counts**0.75).sum() * drawn.numel()
    assert ((observed - expected) ** 2 / expected).sum() < 58.3


def test_frequent_words_are_those_with_a_large_share_of_what_is_kept() -> None:
    counts = counts_of(600, 300, 99, 1)
    everything = keep_thresholds(counts, 0)
    assert [frequent_words(counts, everything, share) for share in (0.7, 0.5, 0.2, 0.05, 1e-9)] == [0, 1, 2, 3, 4]
    thinned = keep_thresholds(counts, 1e-2)  # about 85, 62 and 41 of the first three are left
    assert frequent_words(counts, thinned, 0.35) == 1
    assert frequent_words(counts, thinned, 0.2) == 3


def test_no_frequent_word_is_missed_where_counts_do_not_descend() -> None:
    for counts, expected in (((1, 600, 99, 300), 4), ((300, 1, 600, 99), 3), ((99, 600, 1, 1), 2)):
        assert frequent_words(counts_of(*counts), keep_thresholds(counts_of(*counts), 0), 0.2) == expected


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=30), st.sampled_from([0.0, 1e-4, 1e-2]))
def test_subsampling_leaves_the_frequent_words_first(counts: list[int], sample: float) -> None:
    descending = counts_of(*sorted(counts, reverse=True))
    kept = descending * (keep_thresholds(descending, sample) + 1.0)
    assert (np.diff(kept) <= kept[0] * 1e-9).all()
