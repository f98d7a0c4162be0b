"""A step on explicit pairs against the usual loop of two sparse embeddings and SGD: pairs/s, and how much faster."""

from __future__ import annotations

import statistics
import timeit
from collections.abc import Callable

import pytest
import torch
from measure import Measure
from torch import Tensor
from torch.nn.functional import logsigmoid
from zipf import ZipfCorpus

from pyembed import ops
from pyembed.config import usable_cores

NEGATIVE, LR = 5, 1e-3


def sparse_embeddings(tables: tuple[Tensor, Tensor]) -> tuple[list[torch.nn.Embedding], torch.optim.Optimizer]:
    embeddings = [torch.nn.Embedding.from_pretrained(table, freeze=False, sparse=True) for table in tables]
    optimizer = torch.optim.SGD([embedding.weight for embedding in embeddings], lr=LR)
    return embeddings, optimizer


def usual_loop(tables: tuple[Tensor, Tensor], in_ids: Tensor, out_ids: Tensor) -> Callable[[], None]:
    """One batch: three lookups, two sums of losses, sparse gradients, a step of SGD."""
    embeddings, optimizer = sparse_embeddings(tables)
    positives, negatives = out_ids[:, 0].contiguous(), out_ids[:, 1:].contiguous()

    def step() -> None:
        optimizer.zero_grad()
        rows = embeddings[0](in_ids)[:, :, None]
        positive_scores = torch.bmm(embeddings[1](positives)[:, None, :], rows)
        negative_scores = torch.bmm(embeddings[1](negatives), rows)
        (-logsigmoid(positive_scores).sum() - logsigmoid(-negative_scores).sum()).backward()
        optimizer.step()

    return step


def one_lookup_loop(tables: tuple[Tensor, Tensor], in_ids: Tensor, out_ids: Tensor) -> Callable[[], None]:
    """The same with the positives and negatives looked up together, which saves a sparse gradient."""
    embeddings, optimizer = sparse_embeddings(tables)
    sign = torch.ones(1 + NEGATIVE)
    sign[1:] = -1

    def step() -> None:
        optimizer.zero_grad()
        scores = torch.bmm(embeddings[1](out_ids), embeddings[0](in_ids)[:, :, None])[:, :, 0]
        (-logsigmoid(sign * scores).sum()).backward()
        optimizer.step()

    return step


@pytest.mark.parametrize("exact", [True, False], ids=["exact", "hogwild"])
@pytest.mark.parametrize("vocabulary", [100_000, 1_000_000])
@pytest.mark.parametrize("dimensions", [100, 128])
@pytest.mark.parametrize("pairs", [8192, 65536])
def test_pair_step(pairs: int, dimensions: int, vocabulary: int, exact: bool, tiny: bool, measure: Measure) -> None:
    """On tables as nn.Embedding makes them; the loops run on them too."""
    rows = 500 if tiny else vocabulary
    threads = usable_cores()
    torch.set_num_threads(threads)
    ids = torch.from_numpy(ZipfCorpus.of(pairs * (2 + NEGATIVE), rows).token_ids.ids).long()
    in_ids, out_ids = ids[:pairs], ids[pairs:].view(pairs, 1 + NEGATIVE)
    tables = torch.randn(rows, dimensions) / dimensions, torch.zeros(rows, dimensions)
    measure(lambda: ops.pair_step_(*tables, in_ids, out_ids, LR, exact=exact, threads=threads), rounds=15, pairs=pairs)
    if measure.seconds is not None:
        for name, loop in (("the usual loop", usual_loop), ("the loop with one lookup", one_lookup_loop)):
            times = timeit.repeat(loop(tables, in_ids, out_ids), number=1, repeat=4)[1:]
            measure.note(**{f"times as fast as {name}": statistics.median(times) / measure.seconds})
