"""Promises of nn.NegativeSampling as it trains: its step, its use with fused and growing tables, and that it learns."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from sampling_cases import IN_BATCH, pairs, sampling, weights
from torch.testing import assert_close

from pyembed import nn as pnn
from pyembed import optim
from pyembed.config import Backend

GRAPHS = Path(__file__).parents[2] / "shared" / "data" / "graphs"


# --- the step ---------------------------------------------------------------------------------------------------------


@IN_BATCH
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("ids", [torch.int32, torch.int64])
def test_a_step_is_that_of_sgd_on_the_loss(
    backend: Backend, in_batch: bool, reduction: str, dtype: torch.dtype, ids: torch.dtype
) -> None:
    stepped, other = (sampling(backend, in_batch=in_batch, dtype=dtype) for _ in range(2))
    optimizer = torch.optim.SGD(other.parameters(), lr=0.3)
    for seed in range(3):
        batch = pairs(30, seed, ids)
        loss = other.loss(*batch, reduction)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert stepped.step(*batch, 0.3, reduction).item() == pytest.approx(loss.item(), rel=1e-5)
    assert_close(weights(stepped), weights(other), rtol=1e-5, atol=1e-6)
    assert all(parameter.grad is None for parameter in stepped.parameters())


@IN_BATCH
def test_one_table_may_stand_on_both_sides(backend: Backend, in_batch: bool) -> None:
    shared = [pnn.Embedding.from_pretrained(torch.randn(7, 4).double() / 2, freeze=False) for _ in range(1)]
    shared.append(copy.deepcopy(shared[0]))
    stepped, other = (
        pnn.NegativeSampling.from_tables(table, table, in_batch=in_batch, backend=backend) for table in shared
    )
    optimizer = torch.optim.SGD(other.parameters(), lr=0.1)
    batch = [ids % 7 for ids in pairs()]
    other.loss(*batch).backward()
    optimizer.step()
    stepped.step(*batch, 0.1)
    assert_close(weights(stepped), weights(other))


@IN_BATCH
@pytest.mark.parametrize("exact", [True, False])
def test_rows_at_rest_stay_bit_identical(backend: Backend, in_batch: bool, exact: bool) -> None:
    module = sampling(backend, in_batch=in_batch)
    module.in_vectors.freeze_rows([0, 5])
    module.out_vectors.freeze_rows([4])
    before = weights(module)
    for seed in range(3):
        module.step(*pairs(40, seed), 0.5, exact=exact)
    after = weights(module)
    still = [(a == b).all(1).nonzero().flatten().tolist() for a, b in zip(after, before, strict=True)]
    assert still == [[0, 5], [4]]


@IN_BATCH
def test_a_table_that_requires_no_gradient_stays_as_it_is(backend: Backend, in_batch: bool) -> None:
    module = sampling(backend, in_batch=in_batch)
    module.out_vectors.weight.requires_grad_(False)
    before = weights(module)
    module.step(*pairs(), 0.5)
    after = weights(module)
    assert torch.equal(after[1], before[1])
    assert not torch.equal(after[0], before[0])


def test_inexact_steps_train_one_pair_after_another(backend: Backend) -> None:
    """Where no row stands twice, both are the same step."""
    modules = [sampling(backend, negative=1, noise=[0, 0, 0, 0, 0, 0, 1]) for _ in range(2)]
    centers = contexts = torch.tensor([2])
    losses = [module.step(centers, contexts, 0.2, exact=exact) for module, exact in zip(modules, (1, 0), strict=True)]
    assert_close(*losses)
    assert_close(*map(weights, modules))


def test_tables_are_shared_with_their_modules() -> None:
    table = torch.randn(7, 4)
    module = pnn.NegativeSampling.from_tables(torch.randn(9, 4), table)
    module.step(*pairs(), 0.1)
    assert module.out_vectors.weight.data_ptr() == table.data_ptr()


@IN_BATCH
def test_tables_can_be_fused_with_their_optimizers(backend: Backend, in_batch: bool) -> None:
    fused, other = (sampling(backend, in_batch=in_batch) for _ in range(2))
    for table in (fused.in_vectors, fused.out_vectors):
        optim.fuse(table, optim.SGD, lr=0.3)
    for seed in range(3):
        fused.loss(*pairs(30, seed)).backward()
        other.step(*pairs(30, seed), lr=0.3)
    assert_close(weights(fused), weights(other))
    assert all(parameter.grad is None for parameter in fused.parameters())


@IN_BATCH
def test_tables_can_grow(backend: Backend, in_batch: bool) -> None:
    module = sampling(backend, in_batch=in_batch)
    module.out_vectors.grow(1)
    module.set_noise([5, 1, 1, 2, 8, 3, 1, 2])
    centers, contexts = torch.tensor([0, 1]), torch.tensor([7, 2])
    losses = [module.step(centers, contexts, 0.1).item() for _ in range(30)]
    assert losses[-1] < losses[0]


@IN_BATCH
def test_compiled_it_gives_the_same_loss(in_batch: bool) -> None:
    module, other = (sampling(in_batch=in_batch) for _ in range(2))
    compiled = torch.compile(module, backend="aot_eager")
    for seed in range(2):
        losses = [each(*pairs(seed=seed)) for each in (compiled, other)]
        for loss in losses:
            loss.backward()
        assert_close(*losses)
    for ours, expected in zip(module.parameters(), other.parameters(), strict=True):
        assert_close(ours.grad, expected.grad)


# --- it learns --------------------------------------------------------------------------------------------------------


def karate() -> Iterator[tuple[int, int]]:
    """Both directions of every edge, as the file has them."""
    for line in (GRAPHS / "karate.adjlist").read_text().splitlines():
        node, *neighbors = (int(word) - 1 for word in line.split())
        yield from ((node, neighbor) for neighbor in neighbors)


@pytest.mark.skipif(not GRAPHS.is_dir(), reason="no ../shared/data/graphs beside the repository")
@pytest.mark.parametrize("how", ["drawn", "in_batch", "adam"])
def test_a_graph_is_learned(how: str) -> None:
    """Members of the karate club who later split are nearer to those on their own side."""
    edges = torch.tensor(list(karate()))
    assert len(edges) == 156
    torch.manual_seed(0)
    noise = torch.bincount(edges[:, 1], minlength=34)
    module = pnn.NegativeSampling(34, 8, noise=noise, in_batch=how == "in_batch")
    optimizer = torch.optim.Adam(module.parameters(), lr=0.05)
    losses = []
    for _ in range(100):
        if how == "adam":
            loss = module.loss(*edges.T)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        else:
            loss = module.step(*edges.T, lr=8.0 if how == "drawn" else 4.0)
        losses.append(loss.item())
    assert np.mean(losses[-5:]) < 0.8 * losses[0]
    vectors = torch.nn.functional.normalize(module.in_vectors.weight.detach(), dim=1)
    instructor = [0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 16, 17, 19, 21]
    president = [33, 32, 8, 14, 15, 18, 20, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31]
    similarity = vectors @ vectors.T
    right = sum(
        similarity[node, own].sum() / (len(own) - 1) > similarity[node, other].mean()
        for own, other in ((instructor, president), (president, instructor))
        for node in own
    )
    assert right >= 28, f"{right} of {len(instructor) + len(president)}"
