"""Promises of the ops on rows of an embedding: lookups, and optimisers that change the touched rows alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from simt import CUDA_KERNELS, Kernels
from torch import Tensor
from torch.testing import assert_close

from pyembed import ops
from pyembed.reference import arithmetic_dtype

LR = 0.1
DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
RTOL = {torch.float64: 1e-11, torch.float32: 1e-5, torch.float16: 2**-10, torch.bfloat16: 2**-7}
"""Of the types of tables; those of 16 bits may differ by a unit in the last place."""


@pytest.fixture(params=[pytest.param(Kernels("torch", "cpu"), id="torch"), *CUDA_KERNELS], scope="session")
def kernels(request: pytest.FixtureRequest) -> Kernels:
    return request.param.ready()


class Optimizer(NamedTuple):
    """An update, the state that it needs, and torch's optimiser of the same rule."""

    name: str
    update_: Callable[..., None]
    state_dims: tuple[int, ...]
    dense: Callable[..., torch.optim.Optimizer] | None

    def state(self, weight: Tensor) -> list[Tensor]:
        state = [weight.new_zeros(weight.shape[:dims], dtype=arithmetic_dtype(weight)) for dims in self.state_dims]
        return [*state, weight.new_zeros(len(weight), dtype=torch.int32)] if self.name == "adamw" else state


SGD = Optimizer("sgd", ops.update_rows_sgd_, (), torch.optim.SGD)
ADAGRAD = Optimizer("adagrad", ops.update_rows_adagrad_, (2,), torch.optim.Adagrad)
ROWWISE = Optimizer("rowwise_adagrad", ops.update_rows_rowwise_adagrad_, (1,), None)
ADAMW = Optimizer("adamw", ops.update_rows_adamw_, (2, 2), torch.optim.AdamW)
OPTIMIZERS = [SGD, ADAGRAD, ROWWISE, ADAMW]
each_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: optimizer.name)
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype).removeprefix("torch."))


class Case(NamedTuple):
    weight: Tensor
    ids: Tensor
    grad: Tensor


def random_case(
    rows: int,
    shape: tuple[int, ...],
    dimensions: int,
    *,
    dtype: torch.dtype = torch.float64,
    device: str,
    seed: int = 0,
) -> Case:
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(rows, shape, generator=generator)
    tensors = (torch.randn(*size, dimensions, generator=generator).to(dtype) for size in ((rows,), shape))
    weight, grad = (tensor.to(device) for tensor in tensors)
    return Case(weight, ids.to(device), grad)


def dense_gradient(case: Case) -> Tensor:
    return torch.zeros_like(case.weight).index_add_(0, case.ids.flatten(), case.grad.flatten(0, -2))


# --- lookups ----------------------------------------------------------------------------------------------------------


@each_dtype
@pytest.mark.parametrize("shape", [(), (7,), (3, 0, 2), (2, 3, 4)], ids=str)
def test_a_lookup_is_indexing(shape: tuple[int, ...], dtype: torch.dtype, kernels: Kernels) -> None:
    for dimensions in (1, 2, 3, 8, 100, 150):
        case = random_case(9, shape, dimensions, dtype=dtype, device=kernels.device)
        for ids in (case.ids, case.ids.int()):
            for table in (case.weight, case.weight[:, 1:], case.weight.T.contiguous().T):
                if table.shape[1]:
                    found = ops.lookup(table, ids, backend=kernels.backend)
                    assert torch.equal(found, table[case.ids])
                    assert found.is_contiguous()


def test_the_gradient_of_a_lookup_is_dense_and_right(kernels: Kernels) -> None:
    case = random_case(5, (4, 3), 2, device=kernels.device)
    weight = case.weight.requires_grad_()
    assert torch.autograd.gradcheck(lambda table: ops.lookup(table, case.ids, backend=kernels.backend), [weight])
    (ops.lookup(weight, case.ids, backend=kernels.backend) * case.grad).sum().backward()
    assert weight.grad is not None
    assert_close(weight.grad, dense_gradient(case._replace(weight=weight.detach())))


# --- the rules of torch.optim -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", [SGD, ADAGRAD], ids=lambda optimizer: optimizer.name)
@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_touched_rows_follow_the_optimizer_of_torch(
    optimizer: Optimizer, weight_decay: float, kernels: Kernels
) -> None:
    """Without weight decay that is the whole table; with it, a row which no step touches stays."""
    assert optimizer.dense is not None
    first = random_case(9, (5,), 7, device=kernels.device)
    rows = 4 if weight_decay else 9
    weight, state = first.weight, optimizer.state(first.weight)
    dense = weight[:rows].clone().requires_grad_()
    untouched = weight[rows:].clone()
    torch_optimizer = optimizer.dense([dense], lr=LR, weight_decay=weight_decay)
    for step in range(1, 6):
        case = random_case(rows, (3, 20 if weight_decay else 2), 7, device=kernels.device, seed=step)
        dense.grad = dense_gradient(case)
        torch_optimizer.step()
        optimizer.update_(weight, *state, case.ids, case.grad, LR, weight_decay=weight_decay, backend=kernels.backend)
    assert_close(weight[:rows], dense.detach(), rtol=1e-10, atol=1e-10)
    assert torch.equal(weight[rows:], untouched)


@pytest.mark.parametrize(("beta1", "shape"), [(0.9, (60,)), (0.0, (3,))], ids=["every row", "some rows, no momentum"])
def test_lazy_adamw_is_adamw_where_it_promises_to_be(beta1: float, shape: tuple[int, ...], kernels: Kernels) -> None:
    """Where all rows are touched at each step; or, without momentum, where all have caught up."""
    weight = random_case(6, (), 7, device=kernels.device).weight
    dense = weight.clone().requires_grad_()
    state = ADAMW.state(weight)
    torch_optimizer = torch.optim.AdamW([dense], lr=LR, betas=(beta1, 0.95), eps=1e-6, weight_decay=0.2)
    for step in range(1, 12):
        case = random_case(6, (60,) if step == 11 else shape, 7, device=kernels.device, seed=step)
        dense.grad = dense_gradient(case)
        torch_optimizer.step()
        options = {"weight_decay": 0.2, "step": step, "backend": kernels.backend}
        ops.update_rows_adamw_(weight, *state, case.ids, case.grad, LR, beta1, 0.95, 1e-6, **options)
    assert_close(weight, dense.detach(), rtol=1e-10, atol=1e-10)
    assert (state[2] == 11).all()


def test_rowwise_adagrad_equals_the_slow_twin(kernels: Kernels) -> None:
    case = random_case(4, (9,), 3, device=kernels.device)
    weight, sums = case.weight.tolist(), [0.5] * 4
    for row in set(case.ids.tolist()):
        places = [i for i, id in enumerate(case.ids.tolist()) if id == row]
        gradient = [sum(case.grad[i, d].item() for i in places) + 0.3 * weight[row][d] for d in range(3)]
        sums[row] += sum(g * g for g in gradient) / 3
        weight[row] = [w - LR * g / (sums[row] ** 0.5 + 1e-3) for w, g in zip(weight[row], gradient, strict=True)]
    state = torch.full((4,), 0.5, dtype=torch.float64, device=kernels.device)
    ops.update_rows_rowwise_adagrad_(
        case.weight, state, case.ids, case.grad, LR, 1e-3, weight_decay=0.3, backend=kernels.backend
    )
    assert_close(case.weight.tolist(), weight, rtol=1e-12, atol=1e-12)
    assert_close(state.tolist(), sums, rtol=1e-12, atol=1e-12)


# --- any rows, any types ----------------------------------------------------------------------------------------------


def trained(optimizer: Optimizer, weight: Tensor, cases: list[Case], backend: Any, **options: Any) -> list[Tensor]:
    """The table and the state after a step for each case."""
    table, state = weight.clone(), optimizer.state(weight)
    for step, case in enumerate(cases, start=1):
        at = {"step": 3 * step, "seed": 5, "weight_decay": 0.1, "backend": backend, **options}
        optimizer.update_(table, *state, case.ids, case.grad, LR, **at)
    return [table, *state]


@settings(max_examples=60)
@given(
    rows=st.sampled_from([1, 2, 7, 40]),
    entries=st.sampled_from([0, 1, 7, 33, 300, 1100]),
    dimensions=st.sampled_from([1, 3, 4, 31, 100, 128, 132, 300]),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 99),
)
@each_optimizer
def test_updates_equal_the_spec_in_float64_whatever_stands_twice(
    optimizer: Optimizer, rows: int, entries: int, dimensions: int, dtype: torch.dtype, seed: int, kernels: Kernels
) -> None:
    cases = [
        random_case(rows, (entries,), dimensions, dtype=dtype, device=kernels.device, seed=seed + i) for i in range(2)
    ]
    weight = cases[0].weight
    found = trained(optimizer, weight, cases, kernels.backend)
    exact = [case._replace(grad=case.grad.double()) for case in cases]
    expected = trained(optimizer, weight.double(), exact, "torch")
    single = torch.finfo(torch.float32).eps
    tolerance = {"rtol": 1e-10, "atol": 1e-10} if dtype == torch.float64 else {"rtol": 300 * single, "atol": 3e-4}
    for state, twin in zip(found[1:], expected[1:], strict=True):
        if dtype in (torch.float64, torch.float32):
            assert_close(state.double(), twin.double(), **tolerance)
    ulp = 3 * RTOL[dtype]
    assert_close(found[0].double(), expected[0], rtol=ulp, atol=max(ulp, tolerance["atol"]))


@each_optimizer
@each_dtype
def test_rows_that_are_not_touched_stay_with_their_state(
    optimizer: Optimizer, dtype: torch.dtype, kernels: Kernels
) -> None:
    case = random_case(30, (40,), 9, dtype=dtype, device=kernels.device)
    ids = case.ids % 11 * 2
    after = trained(optimizer, case.weight, [case._replace(ids=ids)], kernels.backend)
    touched = torch.zeros(30, dtype=torch.bool).index_fill_(0, ids.cpu(), True)
    for now, before in zip(after, [case.weight, *optimizer.state(case.weight)], strict=True):
        changed = (now != before).view(30, -1).any(1).cpu()
        assert torch.equal(changed, touched)


@each_optimizer
def test_a_row_that_everybody_touches_loses_nothing_and_repeats(optimizer: Optimizer, kernels: Kernels) -> None:
    """70 000 entries need several passes over partial sums."""
    case = random_case(3, (70_000,), 5, dtype=torch.float32, device=kernels.device)
    case.ids[100:-100] = 1
    found = [trained(optimizer, case.weight, [case], kernels.backend) for _ in range(2)]
    exact = case._replace(grad=case.grad.double())
    expected = trained(optimizer, case.weight.double(), [exact], "torch")
    for once, again, twin in zip(*found, expected, strict=True):
        assert torch.equal(once, again)
        assert_close(once.double(), twin.double(), rtol=1e-4, atol=1e-3)


@each_optimizer
def test_rows_may_lie_apart_and_what_is_between_stays(optimizer: Optimizer, kernels: Kernels) -> None:
    case = random_case(9, (20,), 8, dtype=torch.float32, device=kernels.device)
    wide = torch.full((9, 11), 7.0, device=kernels.device)
    view = wide[:, 1:9]
    view.copy_(case.weight)
    state = optimizer.state(case.weight)
    grad = case.grad.T.contiguous().T
    optimizer.update_(view, *state, case.ids.int(), grad, LR, step=1, backend=kernels.backend)
    expected, *_ = trained(optimizer, case.weight, [case], "torch", step=1, weight_decay=0.01 if state[2:] else 0.0)
    assert_close(view, expected, rtol=1e-5, atol=1e-6)
    assert (wide[:, 0] == 7).all()
    assert (wide[:, 9:] == 7).all()


# --- float16 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lr", [1.0, 0.3, 3e-4, 40.0])
def test_every_float16_is_widened_exactly_and_rounded_to_the_nearest(lr: float, kernels: Kernels) -> None:
    """Subnormal numbers, ties and what becomes infinite among them."""
    every = torch.arange(-(2**15), 2**15, dtype=torch.int16).view(torch.float16)
    grad = every[every.isfinite()][None].to(kernels.device)
    weight = torch.zeros_like(grad)
    ops.update_rows_sgd_(weight, torch.tensor([0], device=kernels.device), grad, lr, backend=kernels.backend)
    assert torch.equal(weight, (grad.float() * -lr).half())


# --- bfloat16 ---------------------------------------------------------------------------------------------------------


def test_updates_below_the_distance_of_neighbours_add_up(kernels: Kernels) -> None:
    """Rounding to the nearest would leave the row as it was for ever."""
    weight = torch.ones(2, 64, dtype=torch.bfloat16, device=kernels.device)
    ids = torch.tensor([1], device=kernels.device)
    for step in range(1, 201):
        ops.update_rows_sgd_(weight, ids, torch.ones_like(weight[:1]), 2e-4, step=step, backend=kernels.backend)
    assert (weight[0] == 1).all()
    assert float(weight[1].float().mean()) == pytest.approx(1 - 200 * 2e-4, abs=0.005)


@pytest.mark.parametrize("dimensions", [33, 36])
def test_all_kernels_round_with_the_same_bits(dimensions: int, kernels: Kernels) -> None:
    case = random_case(50, (50,), dimensions, dtype=torch.bfloat16, device=kernels.device)
    case = case._replace(ids=torch.arange(50, device=kernels.device))
    results = [
        trained(SGD, case.weight, [case], backend, seed=seed)[0]
        for backend, seed in ((kernels.backend, 5), ("torch", 5), (kernels.backend, 6))
    ]
    assert (results[0] != results[1]).float().mean() < 0.01  # where float32 differs in its last bit
    assert (results[0] != results[2]).float().mean() > 0.1


# --- arguments that are refused ---------------------------------------------------------------------------------------

GOOD = random_case(6, (2, 3), 4, device="cpu")
BAD: list[tuple[str, dict[str, Tensor | int | float]]] = [
    (r"ids: expected 0 to V - 1 = 5, got 6 at index \[1, 2\]", {"ids": torch.tensor([[0, 1, 5], [2, 0, 6]])}),
    (r"ids: .*int32", {"ids": GOOD.ids.short()}),
    (r"grad: expected \[2, 3, 4\]", {"grad": GOOD.grad[0]}),
    (r"grad: .*dtype", {"grad": GOOD.grad.float()}),
    (r"weight: expected float64", {"weight": GOOD.weight.long()}),
    (r"weight: expected shape", {"weight": GOOD.weight[0]}),
    (r"step: .* got 0", {"step": 0}),
    (r"seed: .* got -1", {"seed": -1}),
    (r"exp_avg: expected .*\[6, 4\]", {"exp_avg": torch.zeros(5, 4).double()}),
    (r"last_step: expected .*int32", {"last_step": torch.zeros(6)}),
    (r"beta1", {"beta1": 1.0}),
    (r"lr \* weight_decay", {"weight_decay": 11.0}),
]


@pytest.mark.parametrize(("message", "change"), BAD, ids=[message for message, _ in BAD])
def test_bad_arguments_are_refused_by_name_before_anything_changes(
    message: str, change: dict[str, Any], kernels: Kernels
) -> None:
    names = ("exp_avg", "exp_avg_sq", "last_step")
    state = dict(zip(names, ADAMW.state(GOOD.weight), strict=True))
    given = {**GOOD._asdict(), **state, "lr": LR, "step": 1, **change}
    moved = {name: value.to(kernels.device) if isinstance(value, Tensor) else value for name, value in given.items()}
    before = moved["weight"].clone()
    with pytest.raises(RuntimeError, match=message):
        ops.update_rows_adamw_(**moved, backend=kernels.backend)
    assert torch.equal(moved["weight"], before)
    assert all((moved[name] == 0).all() for name in names)


def test_a_lookup_refuses_the_first_bad_id(kernels: Kernels) -> None:
    weight = GOOD.weight.to(kernels.device)
    lookup = partial(ops.lookup, weight, backend=kernels.backend)
    with pytest.raises(RuntimeError, match=r"ids: expected 0 to V - 1 = 5, got -1 at index 2"):
        lookup(torch.tensor([0, 5, -1, 9], device=kernels.device))
    with pytest.raises(RuntimeError, match=r"ids: .* got 4294967296 at index \[0, 1\]"):
        lookup(torch.tensor([[0, 2**32]], device=kernels.device))
    with pytest.raises(RuntimeError, match=r"ids: .* got 6 at index \[\]"):
        lookup(torch.tensor(6, dtype=torch.int32, device=kernels.device))


@each_optimizer
def test_an_update_of_a_leaf_that_wants_gradients_is_refused(optimizer: Optimizer) -> None:
    state = optimizer.state(GOOD.weight)
    with pytest.raises(RuntimeError, match=r"torch\.no_grad"):
        optimizer.update_(GOOD.weight.clone().requires_grad_(), *state, GOOD.ids, GOOD.grad, LR, step=1)
