"""Training steps and lookups of pyembed.nn beside torch.nn's: the module, its loss's gradient, and its optimiser.

As a script, the table of the README: all ways in turn, in one process; and what a fused step takes of
memory beside its tables, in a process of its own.
"""

from __future__ import annotations

import argparse
import ctypes
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from measure import Measure
from torch import Tensor
from zipf import ZipfCorpus

import pyembed.nn as pnn
from pyembed import optim
from pyembed.config import usable_cores

LR = 1e-3
BATCHES = 20

Step = Callable[[int], None]
"""step(i): a training step on batch i."""


class Setting(NamedTuple):
    rows: int = 1_000_000
    dimensions: int = 128
    batch: int = 8192

    def table(self) -> Tensor:
        return torch.randn(self.rows, self.dimensions, generator=torch.Generator().manual_seed(0))

    def ids(self) -> Tensor:
        """int64[BATCHES, batch], as Zipf's law would have it."""
        corpus = ZipfCorpus.of(BATCHES * self.batch, self.rows)
        return torch.tensor(corpus.token_ids.ids, dtype=torch.int64).view(BATCHES, self.batch)

    def gradient(self) -> Tensor:
        """Of what was looked up."""
        return torch.randn(self.batch, self.dimensions, generator=torch.Generator().manual_seed(1))


TINY = Setting(rows=500, dimensions=16, batch=64)


def fused(optimizer: type[torch.optim.Optimizer]) -> Callable[[Setting], tuple[torch.nn.Embedding, Step]]:
    def make(setting: Setting) -> tuple[torch.nn.Embedding, Step]:
        embedding = pnn.Embedding.from_pretrained(setting.table(), freeze=False)
        optim.fuse(embedding, optimizer, lr=LR)
        ids, gradient = setting.ids(), setting.gradient()
        return embedding, lambda i: embedding(ids[i]).backward(gradient)

    return make


def separate(
    module: type[torch.nn.Embedding], optimizer: type[torch.optim.Optimizer], *, sparse: bool
) -> Callable[[Setting], tuple[torch.nn.Embedding, Step]]:
    def make(setting: Setting) -> tuple[torch.nn.Embedding, Step]:
        embedding = module.from_pretrained(setting.table(), freeze=False, sparse=sparse)
        training = optimizer(embedding.parameters(), lr=LR)
        ids, gradient = setting.ids(), setting.gradient()

        def step(i: int) -> None:
            training.zero_grad()
            embedding(ids[i]).backward(gradient)
            training.step()

        return embedding, step

    return make


STOCK = torch.nn.Embedding
WAYS = {
    "SGD": {
        "fused": fused(optim.SGD),
        "sparse=True, pyembed.optim": separate(pnn.Embedding, optim.SGD, sparse=True),
        "torch, sparse=True": separate(STOCK, torch.optim.SGD, sparse=True),
    },
    "AdamW": {
        "fused": fused(optim.AdamW),
        "sparse=True, pyembed.optim": separate(pnn.Embedding, optim.AdamW, sparse=True),
        "torch, sparse=True, SparseAdam": separate(STOCK, torch.optim.SparseAdam, sparse=True),
        "torch, dense": separate(STOCK, torch.optim.AdamW, sparse=False),
    },
    "Adagrad": {
        "fused": fused(optim.Adagrad),
        "fused, row-wise": fused(optim.RowwiseAdagrad),
        "torch, sparse=True": separate(STOCK, torch.optim.Adagrad, sparse=True),
    },
}
CASES = [(optimizer, way) for optimizer, ways in WAYS.items() for way in ways]


def lookups(setting: Setting, grad: bool) -> dict[str, Callable[[int], Tensor]]:
    """The same gather by each module."""
    table, ids = setting.table(), setting.ids()
    modules = [kind.from_pretrained(table, freeze=not grad) for kind in (pnn.Embedding, torch.nn.Embedding)]
    return _calls(modules, ids)


def bags(setting: Setting, grad: bool) -> dict[str, Callable[[int], Tensor]]:
    """Means of bags of 16 ids."""
    table, ids = setting.table(), setting.ids().view(BATCHES, -1, 16)
    kinds = pnn.EmbeddingBag, torch.nn.EmbeddingBag
    return _calls([kind.from_pretrained(table, freeze=not grad, mode="mean") for kind in kinds], ids)


def _calls(modules: list[torch.nn.Module], ids: Tensor) -> dict[str, Callable[[int], Tensor]]:
    names = "pyembed", "torch"
    return {name: lambda i, module=module: module(ids[i]) for name, module in zip(names, modules, strict=True)}


@pytest.mark.parametrize(("optimizer", "way"), CASES)
def test_training_step(optimizer: str, way: str, tiny: bool, measure: Measure) -> None:
    setting = TINY if tiny else Setting()
    torch.set_num_threads(usable_cores())
    _, step = WAYS[optimizer][way](setting)
    batches = cycle(range(BATCHES))
    measure(lambda: step(next(batches)), rounds=5 if way == "torch, dense" else 30, ids=setting.batch)


@pytest.mark.parametrize("grad", [False, True], ids=["no_grad", "grad"])
@pytest.mark.parametrize("batch", [32, 8192, 262_144])
@pytest.mark.parametrize("kind", [lookups, bags])
@pytest.mark.parametrize("module", ["pyembed", "torch"])
def test_forward(module: str, kind: Callable[..., dict], batch: int, grad: bool, tiny: bool, measure: Measure) -> None:
    setting = TINY if tiny else Setting(batch=batch)
    torch.set_num_threads(usable_cores())
    forward, batches = kind(setting, grad)[module], cycle(range(BATCHES))
    measure(lambda: forward(next(batches)), rounds=30, ids=setting.batch)


# --- the table --------------------------------------------------------------------------------------------------------


def alternately(ways: dict[str, Callable[[int], object]], turns: int, calls: int) -> dict[str, float]:
    """Median seconds of a call by way. The ways take turns of so many calls each, after two that are not counted.

    In turns, since a machine with other tenants changes by the minute; turns of several calls, since a training loop
    finds in the caches what its last step left there, and not another loop's.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(turns):
        for name, way in ways.items():
            for call in range(-2, calls):
                started = time.perf_counter()
                way(call % BATCHES)
                if call >= 0:
                    seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(times) for name, times in seconds.items()}


def print_steps(setting: Setting) -> None:
    for optimizer, makers in WAYS.items():
        steps = {way: make(setting)[1] for way, make in makers.items()}
        dense = {way: steps.pop(way) for way in ("torch, dense",) if way in steps}
        seconds = alternately(steps, turns=8, calls=BATCHES) | alternately(dense, turns=1, calls=5)
        for way, time_ in seconds.items():
            print(f"{optimizer:8} {way:32} {1e3 * time_:9.3f} ms  {time_ / seconds['fused']:7.1f} x")


def print_agreement(setting: Setting) -> None:
    """How far the tables of both ways with pyembed.optim are apart after 20 steps, and from where they began."""
    for optimizer in ("SGD", "AdamW"):
        tables = []
        for way in ("fused", "sparse=True, pyembed.optim"):
            embedding, step = WAYS[optimizer][way](setting)
            for i in range(20):
                step(i)
            tables.append(embedding.weight.detach())
        apart, moved = (tables[0] - other for other in (tables[1], setting.table()))
        print(f"{optimizer}: tables after 20 steps moved by {moved.abs().max():.3g}, differ by {apart.abs().max():.3g}")


def print_forwards() -> None:
    for kind in (lookups, bags):
        for batch, turns in ((32, 100), (8192, 20), (262_144, 2)):
            for grad in (False, True):
                seconds = alternately(kind(Setting(batch=batch), grad), turns, BATCHES)
                ours, theirs = (1e6 * seconds[name] for name in ("pyembed", "torch"))
                what = f"{kind.__name__}, {batch} ids, {'with' if grad else 'without'} grad"
                print(f"{what:40} pyembed {ours:10.1f} us  torch {theirs:10.1f} us  {ours / theirs:5.2f}")


def print_memory(optimizer: str) -> None:
    """How much more memory this process took at most, in a step that was its first of that size.

    What was looked up, its gradient, and what the update needs are in it.
    """
    setting = Setting()
    ids, gradient = setting.ids()[0].clone(), setting.gradient()
    warm_up = pnn.Embedding(100, setting.dimensions)
    optim.fuse(warm_up, getattr(optim, optimizer), lr=LR)
    warm_up(torch.arange(10)).sum().backward()
    embedding = pnn.Embedding.from_pretrained(setting.table(), freeze=False)
    training = optim.fuse(embedding, getattr(optim, optimizer), lr=LR)
    embedding(ids[:1]).sum().backward()
    for state in training.state[embedding.weight].values():
        if isinstance(state, Tensor):
            state.zero_()  # which brings all of it into memory
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _resident("VmRSS")
    embedding(ids).backward(gradient.clone())
    taken, rows = _resident("VmHWM") - before, gradient.nbytes
    print(f"{optimizer:16} a fused step took {taken / 2**20:.1f} MiB at most, {taken / rows:.2f} times its rows")


def _resident(field: str) -> int:
    """Bytes of this process in memory: now (VmRSS), or at most (VmHWM)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0]) * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="?", choices=["steps", "agreement", "forwards", "memory"], help="default: all")
    parser.add_argument("--optimizer", help="whose memory is measured, in this very process")
    arguments = parser.parse_args()
    torch.set_num_threads(usable_cores())
    if arguments.optimizer:
        print_memory(arguments.optimizer)
        return
    parts = {"steps": print_steps, "agreement": print_agreement}
    for name in [arguments.part] if arguments.part else ["steps", "agreement", "forwards", "memory"]:
        if name in parts:
            parts[name](Setting())
        elif name == "forwards":
            print_forwards()
        else:
            for optimizer in ("SGD", "AdamW", "Adagrad", "RowwiseAdagrad"):
                subprocess.run([sys.executable, __file__, "memory", "--optimizer", optimizer], check=True)


if __name__ == "__main__":
    main()
