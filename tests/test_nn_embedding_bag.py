"""Promises of torch.nn.EmbeddingBag, each kept by ours or improved on."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from twins import each_bag, is_ours, to_dense

from pyembed import nn as pnn

IDS = torch.tensor([1, 2, 2, 4, 0, 1, 1])
OFFSETS = torch.tensor([0, 3, 3, 5])
BAGS = [[1, 2, 2], [], [4, 0], [1, 1]]
MODES = ["sum", "mean", "max"]
each_mode = pytest.mark.parametrize("mode", MODES)


def reduced(rows: Tensor, mode: str) -> Tensor:
    """The slow twin: one bag, [n, D]."""
    if len(rows) == 0:
        return rows.new_zeros(rows.shape[1])
    return {"sum": rows.sum(0), "mean": rows.mean(0), "max": rows.max(0).values}[mode]


# --- construction -----------------------------------------------------------------------------------------------------


@each_bag
def test_bags_have_the_attributes_of_their_arguments(EmbeddingBag: Any):
    module = EmbeddingBag(5, 3, 1.5, 1.0, True, "sum", False, None, True, -2)
    attributes = [getattr(module, name) for name in torch.nn.EmbeddingBag.__constants__]
    assert attributes == [5, 3, 1.5, 1.0, True, "sum", False, True, 3]
    assert EmbeddingBag(5, 3).mode == "mean"
    assert not module.weight[3].any()
    assert [name for name, _ in module.named_parameters()] == ["weight"]
    with pytest.raises(AssertionError, match="padding_idx must be within num_embeddings"):
        EmbeddingBag(5, 3, padding_idx=5)


@each_bag
def test_bags_from_pretrained_share_memory_and_freeze(EmbeddingBag: Any):
    table = torch.randn(4, 2)
    module = EmbeddingBag.from_pretrained(table, mode="max", include_last_offset=True, padding_idx=1)
    assert type(module) is EmbeddingBag
    assert module.weight.data_ptr() == table.data_ptr()
    assert (module.weight.requires_grad, module.mode, module.include_last_offset) == (False, "max", True)
    assert EmbeddingBag.from_pretrained(table, freeze=False).weight.requires_grad


@each_bag
def test_the_repr_of_bags(EmbeddingBag: Any):
    assert repr(EmbeddingBag(4, 2)) == "EmbeddingBag(4, 2, mode='mean')"
    assert repr(EmbeddingBag(4, 2, 1.5, mode="sum", padding_idx=1)) == (
        "EmbeddingBag(4, 2, max_norm=1.5, mode='sum', padding_idx=1)"
    )


@each_bag
def test_the_state_dict_of_bags_is_the_table(EmbeddingBag: Any):
    module = EmbeddingBag(4, 2)
    assert list(module.state_dict()) == ["weight"]
    for other in (torch.nn.EmbeddingBag(4, 2), pnn.EmbeddingBag(4, 2)):
        other.load_state_dict(module.state_dict())
        assert torch.equal(other.weight, module.weight)


# --- reductions -------------------------------------------------------------------------------------------------------


@each_bag
@each_mode
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("id_dtype", [torch.int64, torch.int32])
def test_each_bag_is_reduced(EmbeddingBag: Any, mode: str, dtype: torch.dtype, id_dtype: torch.dtype):
    module = EmbeddingBag(5, 3, mode=mode, dtype=dtype)
    expected = torch.stack([reduced(module.weight[bag], mode) for bag in BAGS])
    assert_close(module(IDS.to(id_dtype), OFFSETS.to(id_dtype)), expected)
    flat = IDS[:6].view(2, 3).to(id_dtype)
    assert_close(module(flat), torch.stack([reduced(module.weight[bag], mode) for bag in flat.long()]))


@each_bag
@each_mode
def test_empty_bags_and_bags_of_padding_are_zero(EmbeddingBag: Any, mode: str):
    module = EmbeddingBag(5, 3, mode=mode, padding_idx=2)
    with torch.no_grad():
        module.weight.fill_(7)
    assert module(torch.tensor([2, 2, 1, 2]), torch.tensor([0, 0, 2]))[:, 0].tolist() == [0, 0, 7]
    assert not module(torch.tensor([], dtype=torch.long), torch.tensor([0, 0])).any()


@each_bag
@each_mode
def test_padding_is_left_out_of_the_reduction(EmbeddingBag: Any, mode: str):
    module = EmbeddingBag(5, 3, mode=mode, padding_idx=2)
    kept = [[id for id in bag if id != 2] for bag in BAGS]
    assert_close(module(IDS, OFFSETS), torch.stack([reduced(module.weight[bag], mode) for bag in kept]))
    module(IDS, OFFSETS).sum().backward()
    assert not module.weight.grad[2].any()


@each_bag
@each_mode
def test_include_last_offset_takes_one_more(EmbeddingBag: Any, mode: str):
    module = EmbeddingBag(5, 3, mode=mode, include_last_offset=True)
    offsets = torch.cat([OFFSETS, torch.tensor([len(IDS)])])
    assert_close(module(IDS, offsets), torch.stack([reduced(module.weight[bag], mode) for bag in BAGS]))


@each_bag
def test_max_norm_shortens_the_rows_of_bags_in_place(EmbeddingBag: Any):
    module = EmbeddingBag(5, 3, max_norm=0.1, mode="sum")
    module(torch.tensor([[1, 4]]))
    assert_close(module.weight.norm(dim=1)[[1, 4]], torch.full((2,), 0.1))
    assert (module.weight.norm(dim=1)[[0, 2, 3]] > 0.1).all()


@each_bag
def test_per_sample_weights_weigh_a_sum_and_have_a_gradient(EmbeddingBag: Any):
    module = EmbeddingBag(5, 3, mode="sum", dtype=torch.float64)
    weights = torch.rand(7, dtype=torch.float64, requires_grad=True)
    found = module(IDS, OFFSETS, weights)
    assert_close(found[2], weights[3] * module.weight[4] + weights[4] * module.weight[0])
    found.sum().backward()
    assert_close(weights.grad, module.weight[IDS].sum(1))
    assert_close(module.weight.grad[:, 0], torch.zeros(5, dtype=torch.float64).index_add_(0, IDS, weights.detach()))


@each_bag
@pytest.mark.parametrize("flat", [True, False], ids=["offsets", "matrix"])
def test_per_sample_weights_weigh_a_mean(EmbeddingBag: Any, flat: bool):
    """torch refuses. Better: the sum of weight times row, divided by the number of entries."""
    module = EmbeddingBag(5, 3, mode="mean", padding_idx=2, dtype=torch.float64)
    ids, offsets = (IDS, OFFSETS) if flat else (IDS[:6].view(2, 3), None)
    weights = torch.rand(ids.shape, dtype=torch.float64, requires_grad=True)
    if not is_ours(EmbeddingBag):
        with pytest.raises(NotImplementedError, match="only supported for mode='sum'"):
            module(ids, offsets, weights)
        return
    assert_close(module(ids, offsets, torch.ones_like(weights)), module(ids, offsets))
    found = module(ids, offsets, weights)
    assert_close(found[0], weights.flatten()[0] * module.weight[1])
    found.sum().backward()
    first = module.weight[1].sum()
    assert_close(weights.grad.flatten()[:3], torch.stack([first, 0 * first, 0 * first]))
    with pytest.raises(ValueError, match="same shape as the input"):
        module(ids, offsets, weights[:1])


@each_bag
def test_per_sample_weights_with_max_are_refused(EmbeddingBag: Any):
    with pytest.raises(NotImplementedError, match="is only supported for mode='sum'"):
        EmbeddingBag(5, 3, mode="max")(IDS, OFFSETS, torch.ones(7))


# --- gradients --------------------------------------------------------------------------------------------------------


@each_bag
@each_mode
def test_the_gradient_of_bags_goes_to_their_rows(EmbeddingBag: Any, mode: str):
    module = EmbeddingBag(5, 3, mode=mode, dtype=torch.float64)
    arriving = torch.rand(4, 3, dtype=torch.float64)
    module(IDS, OFFSETS).backward(arriving)
    twin = module.weight.detach().clone().requires_grad_()
    torch.stack([reduced(twin[bag], mode) for bag in BAGS]).backward(arriving)
    if mode == "max":  # the slow twin shares among equals
        assert_close(module.weight.grad.sum(0), arriving[[0, 2, 3]].sum(0))
    assert_close(module.weight.grad, twin.grad)


@each_bag
@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_sparse_gradients_of_bags(EmbeddingBag: Any, mode: str):
    dense, sparse = (EmbeddingBag(5, 3, mode=mode, sparse=sparse) for sparse in (False, True))
    for module in (dense, sparse):
        module(IDS, OFFSETS).sum().backward()
    assert sparse.weight.grad.is_sparse
    assert_close(to_dense(sparse.weight.grad), dense.weight.grad)


@each_bag
@pytest.mark.parametrize("option", ["sparse", "scale_grad_by_freq"])
def test_max_goes_with_every_option(EmbeddingBag: Any, option: str):
    """torch refuses. Better: it works, and takes memory for a row of each entry."""
    module = EmbeddingBag(5, 3, mode="max", **{option: True})
    if not is_ours(EmbeddingBag):
        with pytest.raises(ValueError, match="max mode does not support"):
            module(IDS, OFFSETS)
        return
    module(IDS, OFFSETS).sum().backward()
    plain = EmbeddingBag(5, 3, mode="max", _weight=module.weight.detach())
    plain(IDS, OFFSETS).sum().backward()
    counts = torch.bincount(IDS, minlength=5).clamp(min=1)[:, None] if option == "scale_grad_by_freq" else 1
    assert module.weight.grad.is_sparse == (option == "sparse")
    assert_close(to_dense(module.weight.grad), plain.weight.grad / counts)


@each_bag
@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_scale_grad_by_freq_of_bags(EmbeddingBag: Any, mode: str):
    """Better: right where ids repeat; torch's CPU kernel takes the frequency of another row then."""
    scaled, plain = (EmbeddingBag(5, 3, mode=mode, scale_grad_by_freq=scaled) for scaled in (True, False))
    for module in (scaled, plain):
        module(IDS, OFFSETS).sum().backward()
    expected = plain.weight.grad / torch.bincount(IDS, minlength=5).clamp(min=1)[:, None]
    rows = slice(None) if is_ours(EmbeddingBag) else slice(2)
    assert_close(scaled.weight.grad[rows], expected[rows])


@each_bag
@each_mode
@pytest.mark.parametrize("padding_idx", [None, 2])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_bags_have_second_derivatives(EmbeddingBag: Any, mode: str, padding_idx: int | None, weighted: bool):
    """Better: torch has none."""
    module = EmbeddingBag(5, 3, mode=mode, padding_idx=padding_idx, dtype=torch.float64)
    ids, offsets = (IDS[:6].view(2, 3), None) if weighted else (IDS, OFFSETS)
    given = [module.weight.detach().requires_grad_()]
    if weighted and mode == ("sum" if not is_ours(EmbeddingBag) else mode) and mode != "max":
        given.append(torch.rand(ids.shape, dtype=torch.float64, requires_grad=True))

    def output(weight: Tensor, *weights: Tensor) -> Tensor:
        return torch.func.functional_call(module, {"weight": weight}, (ids, offsets, *weights))

    assert torch.autograd.gradcheck(output, given)
    if is_ours(EmbeddingBag):
        assert torch.autograd.gradgradcheck(output, given)
    else:
        with pytest.raises(RuntimeError, match=r"not implemented"):
            torch.autograd.gradgradcheck(output, given)
