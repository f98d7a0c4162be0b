"""The slow, obvious twin of windows that train together: section 12 of pyembed/reference.py, written from its words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import naive
from naive import GradientOf, Table, Window


@dataclass
class Batch:
    first: int
    """How many centers of the block come before it."""
    drawn: list[int]
    """Twice as many words as it trains with."""
    centers: list[int] = field(default_factory=list)
    contexts: list[list[int]] = field(default_factory=list)
    """Of each center."""

    def windows(self, negative_weight: float) -> list[Window]:
        negatives: list[int] = []
        for word in self.drawn:
            if len(negatives) < len(self.drawn) // 2 and word not in self.centers and word not in negatives:
                negatives.append(word)
        together = zip(self.contexts, self.centers, strict=True)
        weight = negative_weight * (len(self.drawn) // 2) / max(len(negatives), 1)
        return [Window(contexts, center, negatives, weight) for contexts, center in together]


def batches_of(
    sentences: Sequence[Sequence[int]],
    first_position: int,
    centers: range,
    alias_table: Sequence[tuple[int, int]],
    window: int,
    negative: int,
    seed: int,
    epoch: int,
    sharing: int,
    shrink_windows: bool,
) -> list[Batch]:
    """centers: places of the tokens that are centers, counted over all sentences from 0."""
    found: dict[int, Batch] = {}
    token = 0
    for sentence in sentences:
        for place, center in enumerate(sentence):
            if token in centers:
                position = first_position + token
                number = position // sharing
                if number not in found:
                    drawn = naive.negatives(number * sharing, alias_table, 2 * negative, seed, epoch)
                    found[number] = Batch(token - centers.start, drawn)
                reach = naive.radius(position, window, seed, epoch, shrink_windows)
                near = [word for i, word in enumerate(sentence) if i != place and abs(i - place) <= reach]
                found[number].centers.append(center)
                found[number].contexts.append(near)
            token += 1
    return list(found.values())


def step(
    gradient_of: GradientOf,
    in_vectors: Table,
    out_vectors: Table,
    batches: Sequence[Batch],
    negative_weight: float,
    lr: tuple[float, float],
) -> tuple[float, int]:
    """As naive.step, but that no window sees what another one of its batch changed."""
    loss, pairs = 0.0, 0
    count = sum(len(batch.centers) for batch in batches)
    for batch in batches:
        rate = lr[0] + (lr[1] - lr[0]) * batch.first / count
        gradients = [gradient_of(in_vectors, out_vectors, window) for window in batch.windows(negative_weight)]
        for gradient in gradients:
            naive.subtract(in_vectors, out_vectors, gradient, rate)
            loss, pairs = loss + gradient.loss, pairs + gradient.pairs
    return loss, pairs
