"""Two processes share a model by DistributedDataParallel (gloo): their tables remain one."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as processes
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from torch.testing import assert_close

from pyembed import nn as pnn
from pyembed import optim

V, D, STEPS, WORLD = 12, 4, 4, 2
SECONDS = 60


class Model(torch.nn.Module):
    def __init__(self, *tables: torch.nn.Module) -> None:
        super().__init__()
        self.tables = torch.nn.ModuleList(tables)
        self.layer = torch.nn.Linear(D, 2)

    def forward(self, *inputs: Tensor) -> Tensor:
        """The first tables are looked up in the order that the batch says."""
        ids, *rest = inputs
        order = list(self.tables) if len(ids) % 2 else list(reversed(self.tables))
        rows = [table(ids, *rest) for table in order]
        return sum((self.layer(found).square().sum() for found in rows), start=torch.zeros(()))


def batch_of(rank: int, step: int) -> Tensor:
    """Of another length on each process and at each step; now and then of none."""
    generator = torch.Generator().manual_seed(10 * step + rank)
    return torch.randint(V, ((3 * step + 4 * rank) % 6,), generator=generator)


def embeddings(count: int = 1, **options: Any) -> Model:
    torch.manual_seed(0)
    return Model(*(pnn.Embedding(V, D, **options) for _ in range(count)))


def bags() -> Model:
    torch.manual_seed(0)
    return Model(pnn.EmbeddingBag(V, D, mode="mean"))


class Setting:
    """A model, how its tables are trained, and what a process has after a few steps."""

    def __init__(self, make: Callable[[], Model], kind: type[Any] | None, accumulate: int = 1, **options: Any) -> None:
        self.make, self.kind, self.accumulate, self.options = make, kind, accumulate, options

    def run(self, ranks: list[int], wrap: Callable[[Model], torch.nn.Module]) -> list[Tensor]:
        """ranks: whose batches this process trains on, at once."""
        model = self.make()
        fused = []
        if self.kind is not None:
            options = {"lr": 0.1, "accumulate": self.accumulate, **self.options}
            fused = [optim.fuse(table, self.kind, **options) for table in model.tables]
        run = wrap(model)
        free = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizers = [optim.SGD(free, lr=0.01), *fused]
        for step in range(STEPS):
            last = step % self.accumulate == self.accumulate - 1
            with nullcontext() if last or not isinstance(run, DistributedDataParallel) else run.no_sync():
                losses = []
                for rank in ranks:
                    ids = batch_of(rank, step)
                    bag_starts = [torch.tensor([0, len(ids) // 2])] if self.make is bags else []
                    losses.append(run(ids, *bag_starts))
                torch.stack(losses).mean().backward()
            if last:
                for optimizer in optimizers:
                    optimizer.step()
                    optimizer.zero_grad()
        return [parameter.detach() for parameter in model.parameters()]


SETTINGS = {
    "plain, dense": Setting(embeddings, None),
    "plain, sparse": Setting(lambda: embeddings(sparse=True), None),
    "SGD": Setting(embeddings, optim.SGD, momentum=0.9, nesterov=True),
    "Adagrad": Setting(embeddings, optim.Adagrad),
    "RowwiseAdagrad": Setting(embeddings, optim.RowwiseAdagrad, clip_norm=0.5),
    "AdamW": Setting(lambda: embeddings(padding_idx=3, scale_grad_by_freq=True), optim.AdamW),
    "bags": Setting(bags, optim.AdamW),
    "two tables, in an order of their own": Setting(lambda: embeddings(2), optim.SGD),
    "two passes a step": Setting(embeddings, optim.AdamW, accumulate=2),
    "bfloat16": Setting(lambda: embeddings().bfloat16(), optim.AdamW),
    "float16": Setting(lambda: embeddings().half(), optim.SGD),
}
ALONE = Setting(embeddings, optim.SGD, process_group=None)


def work(rank: int, folder: str) -> None:
    """What one of the processes does: every setting, one after the other."""
    torch.set_num_threads(1)
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", store, rank=rank, world_size=WORLD, timeout=timedelta(seconds=SECONDS / 2))

    def wrap(model: Model) -> torch.nn.Module:
        """To begin with, all processes get the parameters of the first; fused tables are among them."""
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += rank
        return DistributedDataParallel(model)

    results = {name: setting.run([rank], wrap) for name, setting in SETTINGS.items()}
    results["alone"] = ALONE.run([rank], lambda model: model)
    torch.save(results, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, list[Tensor]]]:
    """What each process has: for each setting its parameters."""
    folder = tmp_path_factory.mktemp("processes")
    context = processes.spawn(work, args=(str(folder),), nprocs=WORLD, join=False)
    deadline = time.monotonic() + SECONDS
    try:
        while not context.join(timeout=1):  # raises what a process raised
            assert time.monotonic() < deadline, f"the processes were not through after {SECONDS} s"
    finally:
        for process in context.processes:
            process.kill()
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(WORLD)]


@pytest.mark.parametrize("name", SETTINGS)
def test_processes_keep_the_same_tables_as_one_with_both_batches(
    name: str, results: list[dict[str, list[Tensor]]]
) -> None:
    first, second = (result[name] for result in results)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    joint = SETTINGS[name].run(list(range(WORLD)), lambda model: model)
    tolerance = {"rtol": 0.1, "atol": 0.02} if joint[0].dtype.itemsize == 2 else {}
    for ours, expected in zip(first, joint, strict=True):
        assert_close(ours, expected, **tolerance)
    assert not torch.equal(first[0], SETTINGS[name].make().tables[0].weight)


def test_without_a_group_each_process_keeps_its_own_table(results: list[dict[str, list[Tensor]]]) -> None:
    for rank, result in enumerate(results):
        expected = ALONE.run([rank], lambda model: model)
        assert_close(result["alone"][0], expected[0])
    assert not torch.allclose(results[0]["alone"][0], results[1]["alone"][0])
