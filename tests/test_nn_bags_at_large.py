"""Promises of torch.nn.EmbeddingBag: what it refuses, and random configurations."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from twins import Outcome, each_bag, is_ours, pair

IDS = torch.tensor([1, 2, 2, 4, 0, 1, 1])
OFFSETS = torch.tensor([0, 3, 3, 5])
MODES = ["sum", "mean", "max"]
each_mode = pytest.mark.parametrize("mode", MODES)


# --- errors -----------------------------------------------------------------------------------------------------------


@each_bag
@each_mode
@pytest.mark.parametrize("bad", [5, -1])
def test_a_bad_id_in_a_bag_is_a_runtime_error(EmbeddingBag: Any, mode: str, bad: int):
    """Better: it is an IndexError, too, and the message names position, value and range."""
    with pytest.raises(RuntimeError) as raised:
        EmbeddingBag(5, 3, mode=mode)(torch.tensor([[0, 1], [bad, 0]]))
    if is_ours(EmbeddingBag):
        assert isinstance(raised.value, IndexError)
        assert str(raised.value).startswith("index out of range in self: input[1, 0]: expected an id of 0 to 4,")
        assert f"found {bad};" in str(raised.value)


@each_bag
def test_shapes_that_do_not_fit_are_refused(EmbeddingBag: Any):
    module = EmbeddingBag(5, 3, mode="sum")
    for arguments in (
        (IDS,),
        (IDS, OFFSETS[None]),
        (IDS[None], OFFSETS),
        (IDS[None, None],),
        (IDS, OFFSETS, torch.ones(6)),
    ):
        with pytest.raises(ValueError, match=r"has to be|same shape"):
            module(*arguments)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="same type"):
            module(IDS, OFFSETS, torch.ones(7, dtype=torch.float64))
        if is_ours(EmbeddingBag):
            module.freeze_rows([1])  # bags are reduced by other means then


@each_bag
@pytest.mark.parametrize("offsets", [[1, 2], [0, 9]], ids=str)
def test_offsets_outside_the_input_are_refused(EmbeddingBag: Any, offsets: list[int]):
    module = EmbeddingBag(5, 3)
    with pytest.raises(RuntimeError, match="offsets"):
        module(IDS, torch.tensor(offsets))
    if is_ours(EmbeddingBag):
        module.freeze_rows([1])
        with pytest.raises(RuntimeError, match=f"found {offsets[0]} first and {offsets[1]} last"):
            module(IDS, torch.tensor(offsets))


# --- all of it --------------------------------------------------------------------------------------------------------


@settings(max_examples=400)
@given(
    st.fixed_dictionaries(
        {
            "padding_idx": st.none() | st.integers(-5, 4),
            "max_norm": st.none() | st.floats(0.3, 3),
            "mode": st.sampled_from(MODES),
            "sparse": st.booleans(),
            "include_last_offset": st.booleans(),
            "dtype": st.sampled_from([torch.float64, torch.float32]),
        }
    ),
    st.lists(st.integers(0, 3), min_size=1, max_size=5),
    st.booleans(),
    st.integers(0, 9),
    st.sampled_from([5, 5, 5, 6]),
)
def test_random_configurations_of_bags_equal_torch(
    options: dict[str, Any], sizes: list[int], weighted: bool, seed: int, ids_below: int
):
    """Where torch refuses nothing, and where both refuse."""
    options["sparse"] &= options["mode"] != "max"
    torch.manual_seed(seed)
    theirs, ours = pair("EmbeddingBag", 5, 3, **options)
    ends = torch.tensor([0, *sizes]).cumsum(0)
    offsets = ends if options["include_last_offset"] else ends[:-1]
    weighted = weighted and options["mode"] == "sum"
    weights = torch.rand(sum(sizes), dtype=options["dtype"], requires_grad=True) if weighted else None
    arguments = (torch.randint(ids_below, (sum(sizes),)), offsets, weights)
    Outcome(theirs, *arguments).assert_equals(Outcome(ours, *arguments))


@settings(max_examples=200)
@given(
    st.sampled_from(MODES),
    st.none() | st.just(1),
    st.lists(st.integers(0, 3), min_size=1, max_size=5),
    st.booleans(),
    st.integers(0, 9),
)
def test_step_by_step_equals_the_kernel(
    mode: str, padding_idx: int | None, sizes: list[int], weighted: bool, seed: int
):
    """What stands in for torch's kernel under create_graph, transforms and frozen rows."""
    torch.manual_seed(seed)
    theirs, ours = pair("EmbeddingBag", 6, 3, mode=mode, padding_idx=padding_idx, dtype=torch.float64)
    ids, offsets = torch.randint(5, (sum(sizes),)), torch.tensor([0, *sizes]).cumsum(0)[:-1]
    ours.freeze_rows([5])
    weights = torch.rand(len(ids), dtype=torch.float64, requires_grad=True) if weighted and mode == "sum" else None
    Outcome(theirs, ids, offsets, weights).assert_equals(Outcome(ours, ids, offsets, weights))
