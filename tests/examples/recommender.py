"""A recommender of two towers: what goes with the rest of a shopping basket.

The query tower makes a vector of the items that are in the basket, the item tower one of the item that goes with them.
A softmax over the items of the batch, corrected for how popular they are, teaches both.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

import pyembed.nn as pnn


class Batch(NamedTuple):
    """Baskets without one of their items, and those items."""

    items: Tensor
    """int64: what is in the first basket, then in the second, ..."""
    starts: Tensor
    """int64[B], where each basket begins."""
    target: Tensor
    """int64[B]."""

    @classmethod
    def of(cls, examples: list[tuple[list[int], int]]) -> Batch:
        rest, target = zip(*examples, strict=True)
        ends = torch.tensor([len(items) for items in rest]).cumsum(0)
        items = torch.tensor([item for items in rest for item in items])
        return cls(items, torch.cat([ends.new_zeros(1), ends[:-1]]), torch.tensor(target))


def read_baskets(path: Path) -> tuple[list[list[int]], list[str]]:
    """The baskets, as ids, and the items by id, most frequent first."""
    baskets = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
    items = [item for item, _ in Counter(item for basket in baskets for item in basket).most_common()]
    id_of = {item: id_ for id_, item in enumerate(items)}
    return [[id_of[item] for item in basket] for basket in baskets], items


def leave_one_out(baskets: list[list[int]]) -> list[tuple[list[int], int]]:
    """Each item once, with the rest of its basket; baskets of one item have no rest."""
    return [
        (basket[:place] + basket[place + 1 :], item)
        for basket in baskets
        if len(basket) > 1
        for place, item in enumerate(basket)
    ]


class TwoTowers(torch.nn.Module):
    def __init__(self, items: int, dimensions: int) -> None:
        super().__init__()
        self.basket = pnn.EmbeddingBag(items, dimensions, mode="mean")
        self.query = torch.nn.Linear(dimensions, dimensions)
        self.item = pnn.Embedding(items, dimensions)
        for table in (self.basket, self.item):
            torch.nn.init.normal_(table.weight, std=dimensions**-0.5)

    def queries(self, batch: Batch) -> Tensor:
        """[B, D]."""
        vectors: Tensor = self.query(self.basket(batch.items, batch.starts))
        return vectors

    def loss(self, batch: Batch, log_q: Tensor | None) -> Tensor:
        return pnn.in_batch_loss(self.queries(batch), self.item(batch.target), batch.target, log_q)

    @torch.no_grad()
    def scores(self, batch: Batch) -> Tensor:
        """Of every item: [B, items]."""
        return self.queries(batch) @ self.item.weight.T


def popularity(baskets: list[list[int]], items: int) -> Tensor:
    """float32[items]: the share of each item in all that was bought; what was never bought counts as bought once."""
    counts = torch.tensor([item for basket in baskets for item in basket]).bincount(minlength=items)
    return counts.clamp(min=1) / counts.sum()


def train(
    model: TwoTowers, baskets: list[list[int]], log_q: Tensor | None, *, epochs: int, batch: int = 512, lr: float = 2e-3
) -> list[float]:
    """log_q: the log of popularity, or None. Returns the mean loss of each epoch."""
    examples = leave_one_out(baskets)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    generator = torch.Generator().manual_seed(0)
    curve = []
    for _ in range(epochs):
        total = 0.0
        for chosen in torch.randperm(len(examples), generator=generator).split(batch):
            loss = model.loss(Batch.of([examples[place] for place in chosen.tolist()]), log_q)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(chosen)
        curve.append(total / len(examples))
    return curve


def recall(scores: Tensor, batch: Batch, best: int = 10) -> float:
    """The share of baskets whose left-out item is among the `best` that are not in the basket yet."""
    basket_of = torch.bucketize(torch.arange(len(batch.items)), batch.starts, right=True) - 1
    scores = scores.clone().index_put_((basket_of, batch.items), torch.tensor(-torch.inf))
    recommended = scores.topk(best, dim=1).indices
    return float((recommended == batch.target[:, None]).any(dim=1).float().mean())
