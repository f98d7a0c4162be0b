"""Promises of torch.nn.Embedding, each kept by ours: construction, lookups, gradients, errors."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close
from twins import IDS, Outcome, each_embedding, is_ours, pair, to_dense

from pyembed import nn as pnn

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype).removeprefix("torch."))


# --- construction -----------------------------------------------------------------------------------------------------


def test_the_arguments_are_those_of_torch():
    for name in ("Embedding", "EmbeddingBag"):
        theirs, ours = getattr(torch.nn, name), getattr(pnn, name)
        assert issubclass(ours, theirs)
        assert inspect.signature(ours) == inspect.signature(theirs)
        for method in ("from_pretrained", "forward"):
            signatures = [inspect.signature(getattr(module, method)) for module in (theirs, ours)]
            assert [list(signature.parameters) for signature in signatures[:1]] == [list(signatures[1].parameters)]
            defaults = [[given.default for given in signature.parameters.values()] for signature in signatures]
            assert defaults[0] == defaults[1]


@each_embedding
def test_the_attributes_are_the_arguments(Embedding: Any):
    module = Embedding(5, 3, 2, 1.5, 1.0, True, False)
    attributes = [getattr(module, name) for name in torch.nn.Embedding.__constants__]
    assert attributes == [5, 3, 2, 1.5, 1.0, True, False]
    assert isinstance(module.weight, torch.nn.Parameter)
    assert [name for name, _ in module.named_parameters()] == ["weight"]
    assert not list(module.named_buffers())


@each_embedding
def test_the_table_is_drawn_from_a_normal_distribution(Embedding: Any):
    torch.manual_seed(3)
    module = Embedding(50, 40)
    torch.manual_seed(3)
    assert torch.equal(module.weight, torch.empty(50, 40).normal_())


@each_embedding
def test_reset_parameters_draws_anew_and_zeroes_the_padding_row(Embedding: Any):
    module = Embedding(5, 3, padding_idx=1)
    assert not module.weight[1].any()
    with torch.no_grad():
        module.weight.fill_(7)
    module.reset_parameters()
    assert not module.weight[1].any()
    assert (module.weight[0] != 7).all()


@each_embedding
def test_padding_idx_counts_from_either_end_and_stays_within(Embedding: Any):
    assert Embedding(5, 3, padding_idx=-2).padding_idx == 3
    for outside in (5, -6):
        with pytest.raises(AssertionError, match="num_embeddings"):
            Embedding(5, 3, padding_idx=outside)


@each_embedding
def test_a_given_table_is_used_as_it_is(Embedding: Any):
    table = torch.randn(4, 2)
    module = Embedding(4, 2, _weight=table, _freeze=True)
    assert module.weight.data_ptr() == table.data_ptr()
    assert not module.weight.requires_grad
    with pytest.raises(AssertionError, match="Shape of weight"):
        Embedding(5, 2, _weight=table)


@each_embedding
def test_from_pretrained_shares_memory_and_freezes(Embedding: Any):
    table = torch.randn(4, 2)
    module = Embedding.from_pretrained(table, padding_idx=1)
    assert type(module) is Embedding
    assert module.weight.data_ptr() == table.data_ptr()
    assert not module.weight.requires_grad
    assert module.weight[1].any(), "the given padding row stays"
    free = Embedding.from_pretrained(table, freeze=False, max_norm=2.0, norm_type=1.0, sparse=True)
    assert (free.weight.requires_grad, free.max_norm, free.norm_type, free.sparse) == (True, 2.0, 1.0, True)
    with pytest.raises(AssertionError, match="2-dimensional"):
        Embedding.from_pretrained(torch.zeros(3))


@each_embedding
def test_device_and_dtype_are_taken(Embedding: Any):
    module = Embedding(4, 2, device="meta", dtype=torch.float16)
    assert (module.weight.device.type, module.weight.dtype) == ("meta", torch.float16)
    assert module(torch.zeros(3, dtype=torch.long, device="meta")).shape == (3, 2)
    assert module.to_empty(device="cpu").weight.device.type == "cpu"


@each_embedding
def test_the_repr_says_what_is_unusual(Embedding: Any):
    assert repr(Embedding(4, 2)) == "Embedding(4, 2)"
    options = repr(Embedding(4, 2, 1, 1.5, 1.0, True, True))
    assert options == (
        "Embedding(4, 2, padding_idx=1, max_norm=1.5, norm_type=1.0, scale_grad_by_freq=True, sparse=True)"
    )


@each_embedding
def test_the_state_dict_is_the_table(Embedding: Any):
    module = Embedding(4, 2)
    assert list(module.state_dict()) == ["weight"]
    for other in (torch.nn.Embedding(4, 2), pnn.Embedding(4, 2)):
        other.load_state_dict(module.state_dict())
        assert torch.equal(other.weight, module.weight)
    with pytest.raises(RuntimeError, match="size mismatch"):
        Embedding(5, 2).load_state_dict(module.state_dict())


# --- lookups ----------------------------------------------------------------------------------------------------------


@each_embedding
@each_dtype
@pytest.mark.parametrize("id_dtype", [torch.int64, torch.int32])
def test_a_lookup_is_indexing(Embedding: Any, dtype: torch.dtype, id_dtype: torch.dtype):
    module = Embedding(5, 3, dtype=dtype)
    for ids in (IDS, IDS[0, 0], IDS[:, :0], IDS.T, IDS[:, ::2], IDS.expand(2, 2, 2, 3)):
        assert torch.equal(module(ids.to(id_dtype)), module.weight[ids])


@each_embedding
def test_tables_without_rows_or_columns_are_allowed(Embedding: Any):
    assert Embedding(0, 3)(torch.zeros(2, 0, dtype=torch.long)).shape == (2, 0, 3)
    assert Embedding(3, 0)(torch.tensor([1, 2])).shape == (2, 0)


@each_embedding
def test_ids_of_other_types_are_refused(Embedding: Any):
    module = Embedding(5, 3)
    for dtype in (torch.int16, torch.uint8, torch.int8, torch.bool, torch.float32):
        with pytest.raises(RuntimeError, match="Long, Int"):
            module(torch.ones(2).to(dtype))
    with pytest.raises(TypeError):
        module([1, 2])


@each_embedding
@pytest.mark.parametrize("place", [(), (1,), (1, 2)], ids=str)
@pytest.mark.parametrize("bad", [5, -1])
def test_a_bad_id_is_an_index_error(Embedding: Any, place: tuple[int, ...], bad: int):
    """Better: the message names its position, its value and the range."""
    ids = torch.zeros([3] * len(place), dtype=torch.int32)
    ids[place] = bad
    with pytest.raises(IndexError, match=r"^index out of range in self") as raised:
        Embedding(5, 3)(ids)
    if is_ours(Embedding):
        where = f"input{list(place)}" if place else "input"
        expected = (
            f"index out of range in self: {where}: expected an id of 0 to 4, as the table has 5 rows, found {bad};"
        )
        assert str(raised.value).startswith(expected)


@each_embedding
@pytest.mark.parametrize("norm_type", [2.0, 1.0, float("inf")])
def test_max_norm_shortens_the_rows_looked_up_in_place(Embedding: Any, norm_type: float):
    module = Embedding(6, 3, padding_idx=2, max_norm=0.5, norm_type=norm_type)
    with torch.no_grad():
        module.weight.fill_(3)
        found = module(torch.tensor([[1, 2], [1, 4]]))
    assert_close(found.norm(norm_type, dim=-1), torch.full((2, 2), 0.5))
    assert_close(module.weight.norm(norm_type, dim=1)[[1, 2, 4]], torch.full((3,), 0.5))
    assert (module.weight[[0, 3, 5]] == 3).all()


@each_embedding
def test_max_norm_after_another_use_of_the_table_is_refused_in_the_backward_pass(Embedding: Any):
    module = Embedding(3, 2, max_norm=0.1)
    output = (module.weight**2).sum() + module(torch.tensor([1])).sum()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.backward()


@each_embedding
def test_nested_ids_give_nested_rows(Embedding: Any):
    module = Embedding(5, 3)
    ids = torch.nested.nested_tensor([torch.tensor([1, 2]), torch.tensor([4])], layout=torch.jagged)
    found = module(ids)
    assert [rows.shape for rows in found.unbind()] == [(2, 3), (1, 3)]
    found.values().sum().backward()
    assert module.weight.grad[:, 0].tolist() == [0, 1, 1, 0, 1]


# --- gradients --------------------------------------------------------------------------------------------------------


@each_embedding
@each_dtype
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_the_gradient_is_the_sum_over_the_lookups_of_a_row(Embedding: Any, dtype: torch.dtype, sparse: bool):
    module = Embedding(5, 3, sparse=sparse, dtype=dtype)
    arriving = torch.arange(18).view(2, 3, 3).to(dtype)
    module(IDS).backward(arriving)
    expected = torch.zeros(5, 3, dtype=dtype).index_add_(0, IDS.flatten(), arriving.view(-1, 3))
    assert module.weight.grad.is_sparse == sparse
    assert torch.equal(to_dense(module.weight.grad), expected)


@each_embedding
def test_a_sparse_gradient_has_an_entry_for_each_lookup(Embedding: Any):
    module = Embedding(5, 3, sparse=True)
    for _ in range(3):
        module(torch.tensor([1, 1])).sum().backward()
    assert not module.weight.grad.is_coalesced()
    assert module.weight.grad._nnz() == 6


@each_embedding
def test_the_padding_row_gets_no_gradient(Embedding: Any):
    dense, sparse = Embedding(5, 3, padding_idx=1), Embedding(5, 3, padding_idx=1, sparse=True)
    for module in (dense, sparse):
        module(IDS).sum().backward()
    assert dense.weight.grad[:, 0].tolist() == [1, 0, 1, 0, 1]
    assert sparse.weight.grad._indices().tolist() == [[2, 4, 0]]


@each_embedding
def test_scale_grad_by_freq_divides_by_the_number_of_lookups(Embedding: Any):
    module = Embedding(5, 3, scale_grad_by_freq=True)
    module(IDS).sum().backward()
    assert_close(module.weight.grad[:, 0], torch.tensor([1.0, 1, 1, 0, 1]))
    with pytest.raises(RuntimeError, match="scale_grad_by_freq not supported with sparse"):
        Embedding(5, 3, scale_grad_by_freq=True, sparse=True)(IDS).sum().backward()


@each_embedding
def test_a_frozen_table_makes_no_graph(Embedding: Any):
    assert not Embedding.from_pretrained(torch.ones(3, 2))(torch.tensor([1])).requires_grad
    with torch.no_grad():
        assert not Embedding(3, 2)(torch.tensor([1])).requires_grad


@each_embedding
@pytest.mark.parametrize("options", [{}, {"padding_idx": 1}, {"scale_grad_by_freq": True}, {"sparse": True}], ids=str)
def test_first_and_second_derivatives_are_right(Embedding: Any, options: dict[str, Any]):
    module = Embedding(5, 3, dtype=torch.float64, **options)

    def looked_up(weight: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(module, {"weight": weight}, (IDS,))

    weight = module.weight.detach().requires_grad_()
    if not options:  # which make the gradient another one than that of the function
        assert torch.autograd.gradcheck(looked_up, [weight], check_batched_grad=True, check_forward_ad=True)
        assert torch.autograd.gradgradcheck(looked_up, [weight])
    (first,) = torch.autograd.grad(looked_up(weight).pow(3).sum(), weight, create_graph=True)
    (second,) = torch.autograd.grad(to_dense(first).sum(), weight)
    counts = torch.bincount(IDS.flatten(), minlength=5).double()[:, None]
    counts = counts.clamp(max=1) if "scale_grad_by_freq" in options else counts
    counts[options.get("padding_idx", 0)] *= "padding_idx" not in options
    assert_close(to_dense(first), 3 * counts * weight**2)
    assert_close(to_dense(second), 6 * counts * weight * (counts if "scale_grad_by_freq" in options else 1))


# --- all of it --------------------------------------------------------------------------------------------------------

tables = st.fixed_dictionaries(
    {
        "padding_idx": st.none() | st.integers(-4, 4),
        "max_norm": st.none() | st.floats(0.3, 3),
        "norm_type": st.sampled_from([2.0, 1.0]),
        "scale_grad_by_freq": st.booleans(),
        "sparse": st.booleans(),
        "dtype": st.sampled_from(DTYPES),
    }
)
id_shapes = st.lists(st.integers(0, 3), max_size=3)


@settings(max_examples=1000)
@given(tables, st.integers(0, 4), id_shapes, st.sampled_from([torch.int64, torch.int32]), st.integers(0, 9), st.data())
def test_random_configurations_equal_torch(
    options: dict[str, Any], D: int, shape: list[int], dtype: torch.dtype, seed: int, data: st.DataObject
):
    torch.manual_seed(seed)
    theirs, ours = pair("Embedding", 5, D, **options)
    rows = data.draw(st.sampled_from([5, 5, 5, 6]), label="ids below")
    ids = torch.randint(rows, shape).to(dtype)
    Outcome(theirs, ids).assert_equals(Outcome(ours, ids))
