"""Arguments of the ops on rows of an embedding that are refused, each by name, before anything changes."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from typing import Any

import pytest
import torch
from row_cases import ADAMW, LR, MOMENTUM, Optimizer, each_optimizer, random_case, trained
from simt import CPU_KERNELS, CUDA_KERNELS, Kernels
from torch import Tensor
from torch.testing import assert_close

from pyembed import ops
from pyembed.reference import RowGradients

WEIGHT, GIVEN = random_case(6, (2, 3), 4)
BAGS = {
    "ids": GIVEN.ids.flatten(),
    "grad": torch.ones(2, 4).double(),
    "bags": torch.tensor([0, 0, 0, 1, 1, 1]),
    "factors": torch.ones(6).double(),
}
BAD: list[tuple[str, dict[str, Any]]] = [
    (r"ids: expected 0 to V - 1 = 5, got 6 at index \[1, 2\]", {"ids": torch.tensor([[0, 1, 5], [2, 0, 6]])}),
    (r"ids: .*int32", {"ids": GIVEN.ids.short()}),
    (r"grad: expected \[2, 3, 4\]", {"grad": GIVEN.grad[0]}),
    (r"grad: .*dtype", {"grad": GIVEN.grad.float()}),
    (r"grad: expected shape \[bags, 4\], got \[2, 3\]", {**BAGS, "grad": torch.ones(2, 3).double()}),
    (r"bags: expected 0 to V - 1 = 1, got 2 at index 5", {**BAGS, "bags": torch.tensor([0, 0, 0, 1, 1, 2])}),
    (r"bags: expected shape and dtype of ids", {**BAGS, "bags": torch.tensor([0, 1])}),
    (r"bags: expected shape and dtype of ids", {**BAGS, "bags": torch.zeros(6, dtype=torch.int32)}),
    (r"bags: .* which is int\[n\] then", {**BAGS, "ids": GIVEN.ids}),
    (r"factors: expected .*float64 of ids' shape", {"factors": torch.ones(2, 3)}),
    (r"factors: expected .*float64 of ids' shape", {**BAGS, "factors": torch.ones(2, 3).double()}),
    (r"frozen: expected bool\[6\]", {"frozen": torch.zeros(5, dtype=torch.bool)}),
    (r"frozen: expected bool\[6\]", {"frozen": torch.zeros(6, dtype=torch.uint8)}),
    (r"clip_norm: expected above 0, got 0", {"clip_norm": 0.0}),
    (r"clip_norm: expected above 0, got nan", {"clip_norm": float("nan")}),
    (r"weight: expected float64", {"weight": WEIGHT.long()}),
    (r"weight: expected shape", {"weight": WEIGHT[0]}),
    (r"step: .* got 0", {"step": 0}),
    (r"seed: .* got -1", {"seed": -1}),
    (r"exp_avg: expected .*\[6, 4\]", {"exp_avg": torch.zeros(5, 4).double()}),
    (r"exp_avg_sq: expected .*float64", {"exp_avg_sq": torch.zeros(6, 4)}),
    (r"last_step: expected .*int32", {"last_step": torch.zeros(6)}),
    (r"last_log_decay: expected .*float64", {"last_log_decay": torch.zeros(6)}),
    (r"beta1: .* below 1", {"beta1": 1.0}),
    (r"beta2: .* below 1", {"beta2": -0.1}),
    (r"log_decay: expected at most 0, got 0\.5", {"log_decay": 0.5}),
]


@pytest.fixture(params=[*CPU_KERNELS, *CUDA_KERNELS], scope="session")
def kernels(request: pytest.FixtureRequest) -> Kernels:
    return request.param.ready()


@pytest.mark.parametrize(("message", "change"), BAD, ids=[message for message, _ in BAD])
def test_bad_arguments_are_refused_by_name_before_anything_changes(
    message: str, change: dict[str, Any], kernels: Kernels
) -> None:
    names = ("exp_avg", "exp_avg_sq", "last_step", "last_log_decay")
    state = dict(zip(names, ADAMW.state(WEIGHT), strict=True))
    values = {"weight": WEIGHT, **state, **GIVEN._asdict(), "lr": LR, "step": 1, **change}
    moved = {name: value.to(kernels.device) if isinstance(value, Tensor) else value for name, value in values.items()}
    given = RowGradients(*(moved.pop(name) for name in RowGradients._fields))
    before = moved["weight"].clone()
    with pytest.raises(RuntimeError, match=message):
        ops.update_rows_adamw_(**moved, given=given, backend=kernels.backend)
    assert torch.equal(moved["weight"], before)
    assert all((moved[name] == 0).all() for name in names)


@pytest.mark.parametrize(
    ("message", "change"),
    [
        (r"momentum: expected at least 0 and below 1, got 1", {"momentum": 1.0}),
        (r"momentum_buffer: expected .*\[6, 4\]", {"momentum_buffer": torch.zeros(6, 5).double()}),
        (r"last_step: expected .*int32", {"last_step": torch.zeros(6).double()}),
    ],
)
def test_bad_momentum_is_refused_by_name(message: str, change: dict[str, Any], kernels: Kernels) -> None:
    case = random_case(6, (2, 3), 4, device=kernels.device)
    state = dict(zip(("momentum_buffer", "last_step"), MOMENTUM.state(case.weight), strict=True))
    moved = {name: value.to(kernels.device) if isinstance(value, Tensor) else value for name, value in change.items()}
    before = case.weight.clone()
    with pytest.raises(RuntimeError, match=message):
        ops.update_rows_momentum_(
            **{"weight": case.weight, **state, "given": case.given, "lr": LR, "step": 1, **moved},
            backend=kernels.backend,
        )
    assert torch.equal(case.weight, before)


def test_a_lookup_refuses_the_first_bad_id(kernels: Kernels) -> None:
    lookup = partial(ops.lookup, WEIGHT.to(kernels.device), backend=kernels.backend)
    with pytest.raises(RuntimeError, match=r"ids: expected 0 to V - 1 = 5, got -1 at index 2"):
        lookup(torch.tensor([0, 5, -1, 9], device=kernels.device))
    with pytest.raises(RuntimeError, match=r"ids: .* got 4294967296 at index \[0, 1\]"):
        lookup(torch.tensor([[0, 2**32]], device=kernels.device))
    with pytest.raises(RuntimeError, match=r"ids: .* got 6 at index \[\]"):
        lookup(torch.tensor(6, dtype=torch.int32, device=kernels.device))


@each_optimizer
def test_a_gradient_may_lie_in_the_table_itself(optimizer: Optimizer, kernels: Kernels) -> None:
    """Its rows are those from before the step, whatever row is changed first."""
    weight = random_case(40, (), 8, device=kernels.device).weight
    given = RowGradients(torch.arange(39, -1, -1, device=kernels.device), weight)
    expected, *_ = trained(optimizer, weight, [given], "torch")
    optimizer.step_(weight, optimizer.state(weight), given, 3, 0.1, backend=kernels.backend)
    assert_close(weight, expected, rtol=1e-10, atol=1e-10)


def test_more_bags_than_an_int32_counts_are_refused(kernels: Kernels) -> None:
    if kernels.backend == "torch":
        pytest.skip("PyTorch's kernels take them")
    weight, last = torch.zeros(4, 1, device=kernels.device), torch.tensor([2**31 - 1], device=kernels.device)
    given = RowGradients(last % 4, weight[:1].expand(2**31, 1), last)
    with pytest.raises(RuntimeError, match=r"grad: expected less than 2\^31 bags"):
        ops.update_rows_sgd_(weight, given, 1.0, backend=kernels.backend)


@pytest.mark.parametrize(
    "weight",
    [torch.ones(1, 5).T, torch.ones(5).as_strided((1, 5), (1, 1)), torch.ones(5).as_strided((1, 5), (0, 1))],
    ids=["one column", "one row", "one row, no stride"],
)
def test_what_torch_calls_contiguous_is_dense(weight: Tensor, kernels: Kernels) -> None:
    """The stride of a dimension of one element says nothing, and contiguous() leaves it."""
    table = torch.empty_like(weight, device=kernels.device).as_strided(weight.shape, weight.stride()).fill_(1.0)
    assert table.is_contiguous()
    given = RowGradients(torch.tensor([0], device=kernels.device), torch.ones_like(table[:1]))
    ops.update_rows_sgd_(table, given, 0.5, backend=kernels.backend)
    assert (table[0] == 0.5).all()
    assert (table[1:] == 1).all()


_AFTER_FAILURE = """
import resource
import torch
from pyembed import ops
from pyembed.reference import RowGradients

weight, grad = torch.zeros(4, 2), torch.ones(1, 2)

def step(entries):
    ids = torch.zeros(1, dtype=torch.int32).expand(entries)
    ops.update_rows_sgd_(weight, RowGradients(ids, grad, ids), 0.5, backend="native")

step(1_000_000)
weight.zero_()
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + 400 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    step(20_000_000)
except MemoryError:
    step(1000)
    print(weight[0].tolist())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits its own address space")
def test_an_update_without_memory_raises_and_the_next_one_works() -> None:
    if not ops.is_native("update_rows_sgd_"):
        pytest.skip(f"the compiled kernels are missing: {ops.status().reason}")
    run = subprocess.run([sys.executable, "-c", _AFTER_FAILURE], capture_output=True, text=True, check=False)
    assert (run.stdout, run.returncode) == ("[-500.0, -500.0]\n", 0), run.stderr


@each_optimizer
def test_an_update_of_a_leaf_that_wants_gradients_is_refused(optimizer: Optimizer) -> None:
    with pytest.raises(RuntimeError, match=r"torch\.no_grad"):
        optimizer.step_(WEIGHT.clone().requires_grad_(), optimizer.state(WEIGHT), GIVEN, 1, 0.0)
