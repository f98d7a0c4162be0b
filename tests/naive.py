"""Slow, obvious twins of the algorithm: one token, one pair, one number after another, in plain Python.

Written from the words of pyembed/reference.py, not from its code; the section numbers are its.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

KEEP, RADIUS, NEGATIVE, INITIAL = 0, 1, 2, 3

Table = list[list[float]]
"""[V][D]"""


# 1. Random bits


def philox(counter: Sequence[int], key: Sequence[int]) -> list[int]:
    """Ten rounds of philox4x32: four words of counter and two of key become four words."""
    a, b, c, d = counter
    key_0, key_1 = key
    for _ in range(10):
        product_0 = 0xD2511F53 * a
        product_1 = 0xCD9E8D57 * c
        a, b, c, d = (
            (product_1 // 2**32) ^ b ^ key_0,
            product_1 % 2**32,
            (product_0 // 2**32) ^ d ^ key_1,
            product_0 % 2**32,
        )
        key_0 = (key_0 + 0x9E3779B9) % 2**32
        key_1 = (key_1 + 0xBB67AE85) % 2**32
    return [a, b, c, d]


def random_words(seed: int, epoch: int, stream: int, index: int, slot: int = 0) -> list[int]:
    counter = [index % 2**32, index // 2**32, epoch, stream * 2**24 + slot]
    return philox(counter, [seed % 2**32, seed // 2**32])


def random_word(seed: int, epoch: int, stream: int, position: int) -> int:
    return random_words(seed, epoch, stream, position // 4)[position % 4]


# 2. Draws


def keeps(position: int, threshold: int, seed: int, epoch: int) -> bool:
    return random_word(seed, epoch, KEEP, position) <= threshold


def radius(position: int, window: int, seed: int, epoch: int, shrink_windows: bool = True) -> int:
    if not shrink_windows:
        return window
    return 1 + random_word(seed, epoch, RADIUS, position) * window // 2**32


def negatives(
    position: int, alias_table: Sequence[tuple[int, int]], negative: int, seed: int, epoch: int, first_slot: int = 0
) -> list[int]:
    """alias_table: a threshold and an alias for each column."""
    drawn = []
    for j in range(negative):
        words = random_words(seed, epoch, NEGATIVE, position, first_slot + j // 2)
        which, accept = (words[0], words[1]) if j % 2 == 0 else (words[2], words[3])
        column = which * len(alias_table) // 2**32
        threshold, alias = alias_table[column]
        drawn.append(column if accept < threshold else alias)
    return drawn


def kept_stream(
    sentences: Sequence[Sequence[int]], thresholds: Sequence[int], seed: int, epoch: int
) -> list[list[int]]:
    """The sentences without the tokens that subsampling drops; some may be empty."""
    position, stream = 0, []
    for sentence in sentences:
        kept = []
        for token in sentence:
            if keeps(position, thresholds[token], seed, epoch):
                kept.append(token)
            position += 1
        stream.append(kept)
    return stream


# 3. Windows


@dataclass(frozen=True)
class Window:
    contexts: list[int]
    """Ids, in the order of the tokens."""
    center: int
    negatives: list[int]
    """Those that are not the center."""
    negative_weight: float = 1.0

    def outputs(self) -> list[tuple[int, int, float]]:
        """Word, label and weight of each."""
        return [(self.center, 1, 1.0), *((word, 0, self.negative_weight) for word in self.negatives)]


def windows_of(
    sentence: Sequence[int],
    place: int,
    position: int,
    alias_table: Sequence[tuple[int, int]],
    window: int,
    negative: int,
    seed: int,
    epoch: int,
    sharing: int,
    shrink_windows: bool,
) -> list[Window]:
    """The window of sentence[place], the token at `position` of the epoch's stream, or (sharing 0) its pairs."""
    reach = radius(position, window, seed, epoch, shrink_windows)
    contexts = [token for i, token in enumerate(sentence) if i != place and abs(i - place) <= reach]
    center = sentence[place]

    def negatives_from(position: int, first_slot: int) -> list[int]:
        drawn = negatives(position, alias_table, negative, seed, epoch, first_slot)
        return [word for word in drawn if word != center]

    if sharing == 0:
        slots_of_a_pair = math.ceil(negative / 2)
        return [
            Window([context], center, negatives_from(position, number * slots_of_a_pair))
            for number, context in enumerate(contexts)
        ]
    return [Window(contexts, center, negatives_from(position // sharing * sharing, 0))]


# 4. Loss of a pair


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def pair_loss(score: float, label: int) -> float:
    return -math.log(sigmoid(score)) if label == 1 else -math.log(sigmoid(-score))


def dot(a: Sequence[float], b: Sequence[float]) -> float:
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


@dataclass
class Gradient:
    """Of a window's loss. Rows that the window does not touch are missing."""

    loss: float = 0.0
    pairs: int = 0
    in_rows: dict[int, list[float]] = field(default_factory=dict)
    out_rows: dict[int, list[float]] = field(default_factory=dict)


def add(rows: dict[int, list[float]], row: int, factor: float, vector: Sequence[float]) -> None:
    old = rows.get(row, [0.0] * len(vector))
    rows[row] = [o + factor * v for o, v in zip(old, vector, strict=True)]


GradientOf = Callable[[Table, Table, Window], Gradient]


# 5. Skip-gram


def skipgram_gradient(in_vectors: Table, out_vectors: Table, window: Window) -> Gradient:
    gradient = Gradient()
    for context in window.contexts:
        gradient.pairs += 1
        for output, label, weight in window.outputs():
            score = dot(in_vectors[context], out_vectors[output])
            error = weight * (sigmoid(score) - label)
            gradient.loss += weight * pair_loss(score, label)
            add(gradient.in_rows, context, error, out_vectors[output])
            add(gradient.out_rows, output, error, in_vectors[context])
    return gradient


# 6. CBOW


def cbow_gradient(in_vectors: Table, out_vectors: Table, window: Window, *, mean: bool, exact: bool) -> Gradient:
    """exact: a context of a mean receives its share of the gradient, else all of it."""
    gradient = Gradient()
    count = len(window.contexts)
    if count == 0:
        return gradient
    gradient.pairs = 1
    columns = zip(*(in_vectors[context] for context in window.contexts), strict=True)
    hidden = [sum(column) / (count if mean else 1) for column in columns]
    share = 1 / count if mean and exact else 1.0
    for output, label, weight in window.outputs():
        score = dot(hidden, out_vectors[output])
        error = weight * (sigmoid(score) - label)
        gradient.loss += weight * pair_loss(score, label)
        add(gradient.out_rows, output, error, hidden)
        for context in window.contexts:
            add(gradient.in_rows, context, error * share, out_vectors[output])
    return gradient


# 7. A step over windows, one after the other


def step(
    gradient_of: GradientOf,
    in_vectors: Table,
    out_vectors: Table,
    centers: Sequence[Sequence[Window]],
    lr: tuple[float, float],
) -> tuple[float, int]:
    """Trains the tables in place on the windows of each center, the learning rate on a line from lr[0] towards lr[1].

    Returns loss and pairs.
    """
    loss, pairs = 0.0, 0
    for i, windows in enumerate(centers):
        rate = lr[0] + (lr[1] - lr[0]) * i / len(centers)
        for window in windows:
            gradient = gradient_of(in_vectors, out_vectors, window)
            subtract(in_vectors, out_vectors, gradient, rate)
            loss, pairs = loss + gradient.loss, pairs + gradient.pairs
    return loss, pairs


def subtract(in_vectors: Table, out_vectors: Table, gradient: Gradient, rate: float) -> None:
    for table, rows in ((in_vectors, gradient.in_rows), (out_vectors, gradient.out_rows)):
        for row, vector in rows.items():
            table[row] = [old - rate * g for old, g in zip(table[row], vector, strict=True)]
