"""Promises of sampling: the compiled functions and numba's give the same bits."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyembed import compiled_text
from pyembed.corpus import numba_sampling, sampling

SEEDS = st.integers(0, 2**63 - 1).map(np.uint64)


@pytest.fixture(scope="module")
def compiled() -> ModuleType:
    if compiled_text.native is None:
        pytest.skip(f"the compiled functions are missing: {compiled_text.NATIVE_ERROR}")
    return compiled_text.native


@given(SEEDS, st.integers(0, 2**32 - 1), st.integers(0, 2**40), st.integers(0, 5000), st.data())
def test_the_same_tokens_are_kept(compiled: ModuleType, seed, epoch, first, count, data) -> None:
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    ids = random.integers(0, 50, count).astype(np.int32)
    starts = first + np.flatnonzero(random.random(count) < 0.1)
    thresholds = random.integers(0, 2**32, 50).astype(np.uint32)
    arguments = (ids, first, starts, thresholds, seed, np.uint64(epoch))
    for one, other in zip(compiled.keep_tokens(*arguments), numba_sampling.keep_tokens(*arguments), strict=True):
        assert one.dtype == other.dtype
        assert one.tolist() == other.tolist()


@given(SEEDS, st.integers(0, 2**33), st.integers(1, 30), st.integers(1, 300))
def test_initial_vectors_are_the_same(compiled: ModuleType, seed, first_row, rows, dimensions) -> None:
    found, expected = np.empty((2, rows, dimensions), np.float32)
    compiled.fill_uniform(found, first_row, seed)
    numba_sampling.fill_uniform(expected, first_row, seed)
    assert found.tobytes() == expected.tobytes()


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=300))
def test_columns_of_the_alias_method_are_the_same(compiled: ModuleType, counts) -> None:
    scaled = np.array(counts) * (len(counts) / sum(counts))
    for one, other in zip(compiled.alias_columns(scaled), numba_sampling.alias_columns(scaled), strict=True):
        assert one.dtype == other.dtype
        assert one.tolist() == other.tolist()


def test_an_id_without_a_threshold_is_refused(compiled: ModuleType) -> None:
    for bad in (-1, 3):
        with pytest.raises(IndexError, match="ids below"):
            compiled.keep_tokens(np.array([0, bad], np.int32), 0, np.zeros(0, np.int64), np.ones(3, np.uint32), 1, 0)


def test_numba_is_not_waited_for_where_functions_are_compiled(compiled: ModuleType) -> None:
    assert sampling.keep_tokens is compiled.keep_tokens
