"""Promises of in-batch negatives: what their loss converges to, and what counts as a negative."""

from __future__ import annotations

import itertools

import pytest
import torch
from sampling_cases import sampling
from torch import Tensor
from torch.testing import assert_close

from pyembed import nn as pnn

# --- in-batch: what it converges to -----------------------------------------------------------------------------------

JOINT = torch.tensor([[0.30, 0.05, 0.10], [0.10, 0.35, 0.10]], dtype=torch.float64)
"""P(query, item) of 2 queries and 3 items: one item is rare, and the queries differ."""


def expected_gradient(scores: Tensor, size: int, log_q: Tensor | None) -> Tensor:
    """Of the in-batch loss, over every batch of independent pairs that there is, each with its probability."""
    scores = scores.clone().requires_grad_()
    every_pair = list(itertools.product(range(2), range(3)))
    expectation = scores.new_zeros(())
    for batch in itertools.product(every_pair, repeat=size):
        queries, items = torch.tensor(batch).T
        probability = JOINT[queries, items].prod()
        # a query's vector is its scores with every item, an item's a unit vector
        expectation = expectation + probability * pnn.in_batch_loss(
            scores[queries], torch.eye(3, dtype=scores.dtype)[items], items, log_q
        )
    (gradient,) = torch.autograd.grad(expectation, scores)
    return gradient


@pytest.mark.parametrize("size", [2, 3, 4])
def test_the_popularity_correction_removes_the_bias(size: int) -> None:
    """Corrected, log P(item | query) is the optimum exactly; uncorrected, what divides it by P(item) is."""
    log_q = JOINT.sum(0).log()
    conditional = (JOINT / JOINT.sum(1, keepdim=True)).log()
    none = torch.zeros(2, 3, dtype=torch.float64)
    assert_close(expected_gradient(conditional, size, log_q), none, rtol=0, atol=1e-12)
    assert expected_gradient(conditional, size, None).abs().max() > 1e-2
    assert_close(expected_gradient(conditional - log_q, size, None), none, rtol=0, atol=1e-12)


def test_an_item_is_not_its_own_negative() -> None:
    """A batch of one item has nothing to tell apart."""
    module = sampling(in_batch=True)
    module.loss(torch.tensor([0, 1, 2]), torch.tensor([3, 3, 3])).backward()
    assert all(parameter.grad.abs().max() < 1e-15 for parameter in module.parameters())


def test_items_that_were_never_counted_are_taken_for_rare_ones() -> None:
    modules = [sampling(in_batch=True, noise=noise) for noise in ([5, 0, 2, 2, 8, 3, 2], [5, 2, 2, 2, 8, 3, 2])]
    losses = [module.loss(torch.tensor([0, 1]), torch.tensor([1, 4])) for module in modules]
    assert_close(*losses)
