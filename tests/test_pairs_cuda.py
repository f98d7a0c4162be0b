"""What the CUDA kernels of explicit pairs promise and the CPU's do not: test_pairs.py has the promises of both."""

from __future__ import annotations

import pytest
import torch
from blocks import RTOL, Tables, assert_tables_close, each_dtype
from hypothesis import given, settings
from hypothesis import strategies as st
from pair_cases import LR, Case, cases, distinct_case, random_case
from simt import CUDA_KERNELS, Kernels
from torch.testing import assert_close

from pyembed import ops, reference


@pytest.fixture(params=CUDA_KERNELS, scope="session")
def kernels(request: pytest.FixtureRequest) -> Kernels:
    return request.param.ready()


def step_(kernels: Kernels, case: Case, lr: float, *, exact: bool, threads: int) -> Case:
    """The case after a step where these kernels run, and back on the CPU."""
    tables = Tables(*(table.to(kernels.device, copy=True) for table in case.tables))
    ids = case.in_ids.to(kernels.device), case.out_ids.to(kernels.device)
    total = ops.pair_step_(*tables, *ids, lr, exact=exact, threads=threads, backend=kernels.backend)
    return case._replace(tables=Tables(*(table.cpu() for table in tables)), in_ids=total.cpu())


def spec_step(case: Case, *, batch: int) -> Case:
    tables = Tables(*(table.double().clone() for table in case.tables))
    total = reference.pair_step_(*tables, case.in_ids, case.out_ids, LR, batch=max(1, batch))
    return case._replace(tables=tables, in_ids=total)


def assert_steps_close(found: Case, expected: Case, rtol: float) -> None:
    assert_close(found.in_ids, expected.in_ids, rtol=rtol, atol=0)  # the totals
    assert_tables_close(found.tables, expected.tables, rtol=rtol, atol=rtol)


@settings(max_examples=60)
@given(case=cases, outputs=st.sampled_from([1, 5, 9, 33, 70]))
def test_one_warp_is_the_sequential_spec_whatever_stands_twice(case: Case, outputs: int, kernels: Kernels) -> None:
    out_ids = case.out_ids.repeat(1, outputs)[:, : max(outputs, 2)]
    case = case._replace(out_ids=(out_ids * 5 + torch.arange(out_ids.shape[1])) % len(case.tables.out_vectors))
    case = case._replace(out_ids=case.out_ids.to(case.in_ids.dtype))
    found = step_(kernels, case, LR, exact=False, threads=1)
    assert_steps_close(found, spec_step(case, batch=1), RTOL[case.tables.in_vectors.dtype])


@pytest.mark.parametrize("threads", [0, 2, 16])
@each_dtype
def test_many_warps_train_every_pair(threads: int, dtype: torch.dtype, kernels: Kernels) -> None:
    for dimensions in (10, 100, 300, 600):
        case = distinct_case(200, 6, dimensions, dtype)
        found = step_(kernels, case, LR, exact=False, threads=threads)
        assert_steps_close(found, spec_step(case, batch=200), RTOL[dtype])


@pytest.mark.parametrize("dimensions", [7, 64, 300])
def test_warps_that_share_rows_lose_no_update(dimensions: int, kernels: Kernels) -> None:
    """A lost update would be of first order in the rate; that warps see one another's is of second order."""
    case = random_case(300, 6, dimensions, rows=(5, 8))
    doubles = Tables(*(table.clone() for table in case.tables))
    errors = []
    for lr in (1e-5, 1e-6):
        expected = doubles.copy()
        reference.pair_step_(*expected, case.in_ids, case.out_ids, lr, batch=300)
        found = step_(kernels, case, lr, exact=False, threads=16)
        errors.append(max(float((a - b).abs().max()) for a, b in zip(found.tables, expected, strict=True)) / lr)
    assert errors[0] < 0.1
    assert errors[1] < errors[0] / 5


@each_dtype
def test_an_exact_step_repeats_bit_for_bit(dtype: torch.dtype, kernels: Kernels) -> None:
    case = random_case(500, 6, 20, rows=(30, 40), dtype=dtype)
    results = [step_(kernels, case, LR, exact=True, threads=threads) for threads in (1, 0)]
    for once, again in zip(results[0].tables, results[1].tables, strict=True):
        assert torch.equal(once, again)
    assert torch.equal(results[0].in_ids, results[1].in_ids)


@each_dtype
def test_rows_that_everybody_uses_are_summed_in_several_passes(dtype: torch.dtype, kernels: Kernels) -> None:
    case = random_case(3000, 4, 5, rows=(2, 3), dtype=dtype)
    case.in_ids[5:] = 1
    case.out_ids[:, 1:] = 2
    rate = LR / 3000  # else scores would be large
    expected = Tables(*(table.double().clone() for table in case.tables))
    reference.pair_step_(*expected, case.in_ids, case.out_ids, rate, batch=3000)
    found = step_(kernels, case, rate, exact=True, threads=1)
    assert_tables_close(found.tables, expected, rtol=RTOL[dtype], atol=RTOL[dtype])


@pytest.mark.parametrize("shift", [0, 1, 3])
def test_an_exact_step_takes_tables_that_overlap(shift: int, kernels: Kernels) -> None:
    case = random_case(200, 6, 12, rows=(40, 40 - shift), dtype=torch.float32)
    expected = case.tables.in_vectors.double().clone()
    reference.pair_step_(expected, expected[shift:], case.in_ids, case.out_ids, LR, batch=200)
    table = case.tables.in_vectors.to(kernels.device)
    ids = case.in_ids.to(kernels.device), case.out_ids.to(kernels.device)
    ops.pair_step_(table, table[shift:], *ids, LR, backend=kernels.backend)
    assert_close(table.cpu().double(), expected, rtol=1e-5, atol=1e-4)


def test_a_thousand_negatives(kernels: Kernels) -> None:
    case = random_case(3, 1001, 9, rows=(3, 700), dtype=torch.float32)
    for exact in (True, False):
        found = step_(kernels, case, LR, exact=exact, threads=1)
        assert_steps_close(found, spec_step(case, batch=3 if exact else 1), 1e-4)


def test_a_negative_number_of_warps_is_refused(kernels: Kernels) -> None:
    with pytest.raises(RuntimeError, match=r"threads: expected >= 0, got -1"):
        step_(kernels, random_case(2, 2, 2), LR, exact=False, threads=-1)
