"""What the promises are tried on: blocks of tokens, draws and tables, small enough for the spec to evaluate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate, count
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyembed import ops, reference
from pyembed.config import Model
from pyembed.corpus.tables import alias_table
from pyembed.reference import PER_PAIR, PER_WINDOW, Draws, GradientOf, TokenBlock

_PAST_32_BITS = 2**32 - 3
"""A position from which the block's own positions run past 32 bits."""


@dataclass(frozen=True)
class Case:
    """A model and its hyper-parameters."""

    model: Model
    dimensions: int = 100
    window: int = 5
    negative: int = 5
    sharing: int = PER_WINDOW
    shrink_windows: bool = True

    def __str__(self) -> str:
        whose = {PER_PAIR: "pair", PER_WINDOW: "window"}.get(self.sharing, f"pool of {self.sharing}")
        fixed = "" if self.shrink_windows else " fixed"
        return f"{self.model} D={self.dimensions} window={self.window}{fixed} K={self.negative} per {whose}"

    @property
    def gradient_of(self) -> GradientOf:
        """The spec of a step."""
        if self.model == "skipgram":
            return reference.skipgram_gradient
        return partial(reference.cbow_gradient, mean=True, exact_gradient=False)

    @property
    def loss_gradient_of(self) -> GradientOf:
        """The spec of the loss, whose gradient is exact."""
        return reference.skipgram_gradient if self.model == "skipgram" else partial(reference.cbow_gradient, mean=True)

    def spec_draws(self, draws: Draws) -> Draws:
        """As the spec takes them: a window is one pair of CBOW."""
        return draws if self.model == "skipgram" else reference.cbow_draws(draws)

    def step_(
        self, in_vectors: Tensor, out_vectors: Tensor, block: TokenBlock, draws: Draws, *rates: float, threads: int
    ) -> Tensor:
        together = "batch_" if draws.together else ""
        step: Callable[..., Tensor] = getattr(ops, f"{self.model}_{together}step_")
        return step(in_vectors, out_vectors, block, draws, *rates, threads=threads)

    def loss(self, *arguments: Any) -> Tensor:
        return (ops.skipgram_loss if self.model == "skipgram" else ops.cbow_loss)(*arguments)


def cases() -> Iterator[Case]:
    """Every width of row that kernels treat in their own way, then every other parameter at one width."""
    models: tuple[Model, ...] = ("skipgram", "cbow")
    for model in models:
        yield from (Case(model, dimensions=dimensions) for dimensions in (1, 31, 100, 128, 300, 513))
        yield from (Case(model, window=window) for window in (1, 10))
        yield from (Case(model, negative=negative) for negative in (1, 12))
        yield from (Case(model, sharing=sharing) for sharing in (PER_PAIR, 4))
        yield Case(model, shrink_windows=False)


def draws_of(case: Case, vocabulary: int) -> Draws:
    """The noise distribution is that of counts 1, 2, 3, ..."""
    table = torch.from_numpy(alias_table(np.arange(1, vocabulary + 1), 0.75))
    return Draws(table, case.window, case.negative, 1, 3, case.sharing, case.shrink_windows)


def block_of(sentences: Sequence[Sequence[int]], *, first_position: int = _PAST_32_BITS) -> TokenBlock:
    ids = torch.tensor([token for sentence in sentences for token in sentence], dtype=torch.int32)
    starts = torch.tensor([0, *accumulate(map(len, sentences))])
    return TokenBlock(ids, starts, first_position, 0, len(ids))


def random_block(vocabulary: int) -> TokenBlock:
    """Sentences of no token, of one, and of many, in which words repeat."""
    rng = np.random.default_rng(0)
    return block_of([rng.integers(0, vocabulary, length).tolist() for length in (0, 1, 2, 40, 0, 7, 1, 25)])


def block_without_repeats(vocabulary: int) -> TokenBlock:
    """Every sentence holds each word at most once."""
    return block_of([[7], list(range(vocabulary)), [], [9, 8]])


def distinct_rows(case: Case, vocabulary: int) -> tuple[TokenBlock, Draws]:
    """Sentences of two, and draws, of which no row is used by two windows: no order of updates can differ."""
    block = block_of([[20 * pair, 20 * pair + 7] for pair in range(12)])
    draws = draws_of(case, vocabulary)
    for seed in count():
        candidate = replace(draws, seed=seed, sharing=min(case.sharing, PER_WINDOW))
        outputs = reference.windows(block, candidate, block.center_begin, block.center_end).outputs
        if outputs.unique().numel() == outputs.numel():
            return block, candidate
    raise AssertionError("count() does not end")


def random_tables(rows: int, dimensions: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Vectors of length near 1, so that scores are far from both 0 and saturation."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(2, rows, dimensions, generator=generator, dtype=torch.float64) / dimensions**0.5
    return values[0].to(dtype), values[1].to(dtype)


def block_on(block: TokenBlock, device: str) -> TokenBlock:
    return replace(block, ids=block.ids.to(device), sentence_starts=block.sentence_starts.to(device))


def draws_on(draws: Draws, device: str) -> Draws:
    return replace(draws, alias_table=draws.alias_table.to(device))
