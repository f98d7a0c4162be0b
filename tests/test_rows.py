"""Promises of the ops on rows of an embedding: lookups, and optimisers that change the touched rows alone."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from row_cases import (
    ADAGRAD,
    ADAMW,
    DTYPES,
    LR,
    MOMENTUM,
    SGD,
    Case,
    Optimizer,
    each_dtype,
    each_optimizer,
    random_case,
    trained,
    with_everything,
)
from simt import CPU_KERNELS, CUDA_KERNELS, Kernels
from torch.testing import assert_close

from pyembed import ops

RTOL = {torch.float64: 1e-11, torch.float32: 1e-5, torch.float16: 2**-10, torch.bfloat16: 2**-7}
"""Of the types of tables; those of 16 bits may differ by a unit in the last place."""


@pytest.fixture(params=[*CPU_KERNELS, *CUDA_KERNELS], scope="session")
def kernels(request: pytest.FixtureRequest) -> Kernels:
    return request.param.ready()


# --- lookups ----------------------------------------------------------------------------------------------------------


@each_dtype
@pytest.mark.parametrize("shape", [(), (7,), (3, 0, 2), (2, 3, 4)], ids=str)
def test_a_lookup_is_indexing(shape: tuple[int, ...], dtype: torch.dtype, kernels: Kernels) -> None:
    for dimensions in (1, 2, 3, 8, 100, 150):
        weight, (given_ids, *_) = random_case(9, shape, dimensions, dtype=dtype, device=kernels.device)
        for ids in (given_ids, given_ids.int()):
            for table in (weight, weight[:, 1:], weight.T.contiguous().T):
                if table.shape[1]:
                    found = ops.lookup(table, ids, backend=kernels.backend)
                    assert torch.equal(found, table[given_ids])
                    assert found.is_contiguous()


def test_the_gradient_of_a_lookup_is_dense_and_right(kernels: Kernels) -> None:
    case = random_case(5, (4, 3), 2, device=kernels.device)
    weight, ids = case.weight.clone().requires_grad_(), case.given.ids
    assert torch.autograd.gradcheck(lambda table: ops.lookup(table, ids, backend=kernels.backend), [weight])
    (ops.lookup(weight, ids, backend=kernels.backend) * case.given.grad).sum().backward()
    assert weight.grad is not None
    assert_close(weight.grad, case.dense_gradient())


# --- the rules of torch.optim -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("optimizer", "dense_optimizer"), [(SGD, torch.optim.SGD), (ADAGRAD, torch.optim.Adagrad)], ids=["sgd", "adagrad"]
)
@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_touched_rows_follow_the_optimizer_of_torch(
    optimizer: Optimizer,
    dense_optimizer: Callable[..., torch.optim.Optimizer],
    weight_decay: float,
    kernels: Kernels,
) -> None:
    """Without weight decay that is the whole table; with it, a row which no step touches stays."""
    weight = random_case(9, (5,), 7, device=kernels.device).weight
    state = optimizer.state(weight)
    rows = 4 if weight_decay else 9
    dense = weight[:rows].clone().requires_grad_()
    untouched = weight[rows:].clone()
    torch_optimizer = dense_optimizer([dense], lr=LR, weight_decay=weight_decay)
    for step in range(1, 6):
        case = random_case(rows, (3, 20 if weight_decay else 2), 7, device=kernels.device, seed=step)
        dense.grad = case.dense_gradient()
        torch_optimizer.step()
        optimizer.step_(weight, state, case.given, step, weight_decay, backend=kernels.backend)
    assert_close(weight[:rows], dense.detach(), rtol=1e-10, atol=1e-10)
    assert torch.equal(weight[rows:], untouched)


@pytest.mark.parametrize("nesterov", [False, True], ids=["plain", "nesterov"])
def test_lazy_momentum_is_momentum_where_every_row_is_touched(nesterov: bool, kernels: Kernels) -> None:
    weight = random_case(6, (), 7, device=kernels.device).weight
    dense, state = weight.clone().requires_grad_(), MOMENTUM.state(weight)
    torch_optimizer = torch.optim.SGD([dense], lr=LR, momentum=0.8, nesterov=nesterov, weight_decay=0.2)
    options = {"momentum": 0.8, "nesterov": nesterov, "backend": kernels.backend}
    for step in range(1, 8):
        case = random_case(6, (60,), 7, device=kernels.device, seed=step)
        dense.grad = case.dense_gradient()
        torch_optimizer.step()
        MOMENTUM.step_(weight, state, case.given, step, 0.2, **options)
    assert_close(weight, dense.detach(), rtol=1e-10, atol=1e-10)
    assert (state[1] == 7).all()


@pytest.mark.parametrize(("beta1", "shape"), [(0.9, (60,)), (0.0, (3,))], ids=["every row", "some rows, no momentum"])
def test_lazy_adamw_is_adamw_where_it_promises_to_be(beta1: float, shape: tuple[int, ...], kernels: Kernels) -> None:
    """Where all rows are touched at each step; or, without momentum, where all have caught up. The rate changes."""
    weight = random_case(6, (), 7, device=kernels.device).weight
    dense, state = weight.clone().requires_grad_(), ADAMW.state(weight)
    torch_optimizer = torch.optim.AdamW([dense], lr=LR, betas=(beta1, 0.95), eps=1e-6, weight_decay=0.2)
    log_decay = 0.0
    for step in range(1, 12):
        case = random_case(6, (60,) if step == 11 else shape, 7, device=kernels.device, seed=step)
        dense.grad = case.dense_gradient()
        torch_optimizer.param_groups[0]["lr"] = lr = LR * (1 + step % 4)
        torch_optimizer.step()
        log_decay += math.log1p(-lr * 0.2)
        options = {"log_decay": log_decay, "step": step, "backend": kernels.backend}
        ops.update_rows_adamw_(weight, *state, case.given, lr, beta1, 0.95, 1e-6, **options)
    assert_close(weight, dense.detach(), rtol=1e-10, atol=1e-10)
    assert (state[2] == 11).all()
    assert (state[3] == log_decay).all()


def test_rowwise_adagrad_equals_the_slow_twin(kernels: Kernels) -> None:
    case = random_case(4, (9,), 3, device=kernels.device)
    weight, sums, ids, grad = case.weight.tolist(), [0.5] * 4, case.given.ids.tolist(), case.given.grad.tolist()
    for row in set(ids):
        places = [i for i, id in enumerate(ids) if id == row]
        gradient = [sum(grad[i][d] for i in places) + 0.3 * weight[row][d] for d in range(3)]
        sums[row] += sum(g * g for g in gradient) / 3
        weight[row] = [w - LR * g / (sums[row] ** 0.5 + 1e-3) for w, g in zip(weight[row], gradient, strict=True)]
    state = torch.full((4,), 0.5, dtype=torch.float64, device=kernels.device)
    options = {"weight_decay": 0.3, "backend": kernels.backend}
    ops.update_rows_rowwise_adagrad_(case.weight, state, case.given, LR, 1e-3, **options)
    assert_close(case.weight.tolist(), weight, rtol=1e-12, atol=1e-12)
    assert_close(state.tolist(), sums, rtol=1e-12, atol=1e-12)


# --- any rows, any types, any arguments -------------------------------------------------------------------------------


def assert_close_to_float64(optimizer: Optimizer, cases: list[Case], kernels: Kernels) -> None:
    """Asserts that training on these cases does what the spec does in float64."""
    weight = cases[0].weight
    found = trained(optimizer, weight, [case.given for case in cases], kernels.backend)
    exact = [case.to_float64() for case in cases]
    expected = trained(optimizer, exact[0].weight, [case.given for case in exact], "torch")
    single = torch.finfo(torch.float32).eps
    is_double = weight.dtype == torch.float64
    tolerance = {"rtol": 1e-10, "atol": 1e-10} if is_double else {"rtol": 300 * single, "atol": 3e-4}
    for state, twin in zip(found[1:], expected[1:], strict=True):
        if weight.dtype in (torch.float64, torch.float32):
            assert_close(state.double(), twin.double(), **tolerance)
    ulp = 3 * RTOL[weight.dtype]
    assert_close(found[0].double(), expected[0], rtol=ulp, atol=max(ulp, tolerance["atol"]))


shapes = {
    "rows": st.sampled_from([1, 2, 7, 40]),
    "entries": st.sampled_from([0, 1, 7, 33, 300, 1100]),
    "dimensions": st.sampled_from([1, 3, 4, 31, 100, 128, 132, 300]),
    "dtype": st.sampled_from(DTYPES),
    "seed": st.integers(0, 99),
}


@settings(max_examples=40)
@given(**shapes)
@each_optimizer
def test_updates_equal_the_spec_in_float64_whatever_stands_twice(
    optimizer: Optimizer, rows: int, entries: int, dimensions: int, dtype: torch.dtype, seed: int, kernels: Kernels
) -> None:
    cases = [
        random_case(rows, (entries,), dimensions, dtype=dtype, device=kernels.device, seed=seed + i) for i in range(2)
    ]
    assert_close_to_float64(optimizer, cases, kernels)


@settings(max_examples=40)
@given(**shapes, bags=st.sampled_from([0, 1, 5, 60]))
@each_optimizer
def test_updates_with_every_argument_equal_the_spec_in_float64(
    optimizer: Optimizer,
    rows: int,
    entries: int,
    dimensions: int,
    dtype: torch.dtype,
    seed: int,
    bags: int,
    kernels: Kernels,
) -> None:
    sizes = {"dtype": dtype, "device": kernels.device}
    cases = [
        with_everything(random_case(rows, (entries,), dimensions, **sizes, seed=seed + i), bags, seed) for i in range(2)
    ]
    assert_close_to_float64(optimizer, cases, kernels)


@each_optimizer
def test_a_bag_stands_for_copies_of_its_row(optimizer: Optimizer, kernels: Kernels) -> None:
    case = with_everything(random_case(9, (30,), 5, device=kernels.device), 4, 0)
    given = case.given
    assert given.bags is not None
    assert given.factors is not None
    copies = given._replace(grad=given.factors[:, None] * given.grad[given.bags], bags=None, factors=None)
    narrow = given._replace(ids=given.ids.int(), bags=given.bags.int())
    expected = trained(optimizer, case.weight, [copies], "torch")
    for batch in (given, narrow):
        for found, twin in zip(trained(optimizer, case.weight, [batch], kernels.backend), expected, strict=True):
            assert_close(found, twin, rtol=1e-12, atol=1e-12)


@each_optimizer
@each_dtype
def test_frozen_rows_stay_bit_for_bit_with_their_state(
    optimizer: Optimizer, dtype: torch.dtype, kernels: Kernels
) -> None:
    case = with_everything(random_case(20, (90,), 9, dtype=dtype, device=kernels.device), 0, 1)
    frozen = case.given.frozen
    assert frozen is not None
    after = trained(optimizer, case.weight, [case.given] * 2, kernels.backend)
    for now, before in zip(after, [case.weight, *optimizer.state(case.weight)], strict=True):
        assert torch.equal(now[frozen], before[frozen])
        assert (now[~frozen] != before[~frozen]).any()


@pytest.mark.parametrize("clip_norm", [0.5, 2.0, 100.0])
def test_the_sum_of_a_rows_gradients_is_clipped_to_its_norm(clip_norm: float, kernels: Kernels) -> None:
    case = random_case(6, (20,), 150, device=kernels.device)
    before = case.weight.clone()
    given = case.given._replace(scale=0.25, clip_norm=clip_norm)
    ops.update_rows_sgd_(case.weight, given, 1.0, backend=kernels.backend)
    for row, total in enumerate(0.25 * case.dense_gradient()):
        clipped = total * min(1.0, clip_norm / float(total.norm()))
        assert_close(before[row] - case.weight[row], clipped, rtol=1e-10, atol=1e-12)


@each_optimizer
@each_dtype
def test_rows_that_are_not_touched_stay_with_their_state(
    optimizer: Optimizer, dtype: torch.dtype, kernels: Kernels
) -> None:
    case = random_case(30, (40,), 9, dtype=dtype, device=kernels.device)
    ids = case.given.ids % 11 * 2
    after = trained(optimizer, case.weight, [case.given._replace(ids=ids)], kernels.backend)
    touched = torch.zeros(30, dtype=torch.bool).index_fill_(0, ids.cpu(), True)
    for now, before in zip(after, [case.weight, *optimizer.state(case.weight)], strict=True):
        changed = (now != before).view(30, -1).any(1).cpu()
        assert torch.equal(changed, touched)


@each_optimizer
def test_a_row_that_everybody_touches_loses_nothing_and_repeats(optimizer: Optimizer, kernels: Kernels) -> None:
    """70 000 entries need several passes over partial sums."""
    case = random_case(3, (70_000,), 5, dtype=torch.float32, device=kernels.device)
    case.given.ids[100:-100] = 1
    found = [trained(optimizer, case.weight, [case.given], kernels.backend) for _ in range(2)]
    exact = case.to_float64()
    expected = trained(optimizer, exact.weight, [exact.given], "torch")
    for once, again, twin in zip(*found, expected, strict=True):
        assert torch.equal(once, again)
        assert_close(once.double(), twin.double(), rtol=1e-4, atol=1e-3)


@each_optimizer
@each_dtype
def test_bits_do_not_depend_on_threads(optimizer: Optimizer, dtype: torch.dtype, kernels: Kernels) -> None:
    """A row that stands in most of the batch is summed in pieces, by all of them."""
    case = with_everything(random_case(300, (6000,), 24, dtype=dtype, device=kernels.device), 0, 0)
    case.given.ids[1000:] = case.given.ids[1000:] % 3 + 40
    wanted = random_case(300, (5, 6000), 24, dtype=dtype, device=kernels.device).given.ids
    found = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3, 9):
            torch.set_num_threads(threads)
            table, *state = trained(optimizer, case.weight, [case.given] * 2, kernels.backend)
            found.append([ops.lookup(table, wanted, backend=kernels.backend), table, *state])
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, other) for each in found for one, other in zip(each, found[0], strict=True))


@each_optimizer
def test_rows_may_lie_apart_and_what_is_between_stays(optimizer: Optimizer, kernels: Kernels) -> None:
    weight, given = random_case(9, (20,), 8, dtype=torch.float32, device=kernels.device)
    wide = torch.full((9, 11), 7.0, device=kernels.device)
    view = wide[:, 1:9]
    view.copy_(weight)
    apart = given._replace(ids=given.ids.int(), grad=given.grad.T.contiguous().T)
    optimizer.step_(view, optimizer.state(weight), apart, 3, 0.1, backend=kernels.backend)
    expected, *_ = trained(optimizer, weight, [given], "torch")
    assert_close(view, expected, rtol=1e-5, atol=1e-6)
    assert (wide[:, 0] == 7).all()
    assert (wide[:, 9:] == 7).all()
