"""How updates round rows of 16 bits: float16 to the nearest, bfloat16 stochastically, with the bits of the spec."""

from __future__ import annotations

import pytest
import torch
from row_cases import SGD, random_case, trained
from simt import CPU_KERNELS, CUDA_KERNELS, Kernels

from pyembed import ops
from pyembed.reference import RowGradients


@pytest.fixture(params=[*CPU_KERNELS, *CUDA_KERNELS], scope="session")
def kernels(request: pytest.FixtureRequest) -> Kernels:
    return request.param.ready()


@pytest.mark.parametrize("lr", [1.0, 0.3, 3e-4, 40.0])
def test_every_float16_is_widened_exactly_and_rounded_to_the_nearest(lr: float, kernels: Kernels) -> None:
    """Subnormal numbers, ties and what becomes infinite among them."""
    every = torch.arange(-(2**15), 2**15, dtype=torch.int16).view(torch.float16)
    grad = every[every.isfinite()][None].to(kernels.device)
    weight = torch.zeros_like(grad)
    given = RowGradients(torch.tensor([0], device=kernels.device), grad)
    ops.update_rows_sgd_(weight, given, lr, backend=kernels.backend)
    assert torch.equal(weight, (grad.float() * -lr).half())


def test_updates_below_the_distance_of_neighbours_add_up(kernels: Kernels) -> None:
    """Rounding to the nearest would leave the row as it was for ever."""
    weight = torch.ones(2, 64, dtype=torch.bfloat16, device=kernels.device)
    given = RowGradients(torch.tensor([1], device=kernels.device), torch.ones_like(weight[:1]))
    for step in range(1, 201):
        ops.update_rows_sgd_(weight, given, 2e-4, step=step, backend=kernels.backend)
    assert (weight[0] == 1).all()
    assert float(weight[1].float().mean()) == pytest.approx(1 - 200 * 2e-4, abs=0.005)


def test_what_is_not_a_number_stays_none_and_infinity_stays_infinite(kernels: Kernels) -> None:
    """A GPU's own NaN has all bits set: the sum with a random number must not wrap it into a zero."""
    patterns = torch.tensor([0x7FFFFFFF, -1, 0x7FC00000, 0x7F800001], dtype=torch.int32, device=kernels.device)
    weight = torch.ones(5, 64, dtype=torch.bfloat16, device=kernels.device)
    factors = torch.cat([patterns.view(torch.float32), torch.tensor([torch.inf], device=kernels.device)])
    rows = torch.arange(5, device=kernels.device)
    given = RowGradients(rows, torch.ones_like(weight), rows, factors)
    ops.update_rows_sgd_(weight, given, 0.1, backend=kernels.backend)
    assert weight[:4].isnan().all()
    assert (weight[4] == -torch.inf).all()


@pytest.mark.parametrize("dimensions", [33, 36])
def test_all_kernels_round_with_the_same_bits(dimensions: int, kernels: Kernels) -> None:
    case = random_case(50, (50,), dimensions, dtype=torch.bfloat16, device=kernels.device)
    given = case.given._replace(ids=torch.arange(50, device=kernels.device))
    results = [
        trained(SGD, case.weight, [given], backend, seed=seed)[0]
        for backend, seed in ((kernels.backend, 5), ("torch", 5), (kernels.backend, 6))
    ]
    assert (results[0] != results[1]).float().mean() < 0.01  # where float32 differs in its last bit
    assert (results[0] != results[2]).float().mean() > 0.1
