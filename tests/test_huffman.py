"""Promises of Huffman's tree: its paths are those of the spec, and no code of these counts is shorter."""

from __future__ import annotations

import heapq
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pyembed import reference
from pyembed.corpus.huffman import HuffmanPaths, huffman_paths

COUNTS = st.lists(st.integers(0, 12), min_size=1, max_size=40)


def paths_of(paths: HuffmanPaths) -> list[list[tuple[int, int]]]:
    steps = list(zip(paths.nodes.tolist(), paths.bits.tolist(), strict=True))
    return [steps[start:stop] for start, stop in pairwise(paths.starts.tolist())]


def least_total(counts: list[int]) -> int:
    """The length of the shortest code of all tokens: the sum of the counts of all inner nodes."""
    waiting, total = list(counts), 0
    heapq.heapify(waiting)
    while len(waiting) > 1:
        both = heapq.heappop(waiting) + heapq.heappop(waiting)
        heapq.heappush(waiting, both)
        total += both
    return total


@given(COUNTS)
def test_paths_are_those_of_the_spec(counts: list[int]) -> None:
    found, spec = huffman_paths(np.array(counts)), reference.huffman_tree(torch.tensor(counts))
    for array, tensor in zip(found, (spec.path_starts, spec.path_nodes, spec.path_bits), strict=True):
        assert torch.equal(torch.from_numpy(array), tensor)


@given(COUNTS)
def test_paths_lead_from_the_root_to_each_word_alone(counts: list[int]) -> None:
    paths = paths_of(huffman_paths(np.array(counts)))
    children: dict[tuple[int, int], Any] = {}
    for word, path in enumerate(paths):
        assert not path or path[0][0] == len(counts) - 2
        for step, after in pairwise([*path, ("word", word)]):
            assert children.setdefault(step, after if after[0] == "word" else after[0]) == (
                after if after[0] == "word" else after[0]
            )
    assert len(children) == 2 * (len(counts) - 1)  # two to every node


@given(COUNTS)
def test_no_code_of_these_counts_is_shorter(counts: list[int]) -> None:
    paths = paths_of(huffman_paths(np.array(counts)))
    assert sum(count * len(path) for count, path in zip(counts, paths, strict=True)) == least_total(counts)


def test_one_word_and_two() -> None:
    assert paths_of(huffman_paths(np.array([7]))) == [[]]
    assert paths_of(huffman_paths(np.array([7, 3]))) == [[(0, 1)], [(0, 0)]]
    assert paths_of(huffman_paths(np.array([3, 3]))) == [[(0, 1)], [(0, 0)]]


def test_equal_counts_make_a_balanced_tree() -> None:
    for counts in ([5] * 16, [0] * 16):
        assert {len(path) for path in paths_of(huffman_paths(np.array(counts)))} == {4}


def test_a_code_is_as_long_as_gensims() -> None:
    gensim = pytest.importorskip("gensim.models", reason="gensim is not installed")
    counts = np.random.default_rng(0).pareto(1, 500).astype(int) + 1  # with ties
    model = gensim.Word2Vec(hs=1, negative=0, vector_size=4, min_count=1)
    model.build_vocab_from_freq({f"w{i}": int(count) for i, count in enumerate(counts)})
    lengths = np.diff(huffman_paths(counts).starts)
    theirs = sum(int(counts[int(key[1:])]) * len(model.wv.get_vecattr(key, "code")) for key in model.wv.index_to_key)
    assert (lengths * counts).sum() == theirs
