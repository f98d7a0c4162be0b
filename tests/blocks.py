"""Blocks, draws and tables for tests of the ops and the spec, and their windows as naive.py sees them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate, count, pairwise
from typing import NamedTuple

import naive
import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from pyembed import ops, reference
from pyembed.corpus.tables import alias_table
from pyembed.reference import PER_PAIR, PER_WINDOW, Draws, GradientOf, TokenBlock

LENGTHS = (3, 0, 1, 9, 2, 0, 14, 1)
"""Sentences of a block: empty ones, lonely tokens, one longer than two windows."""


class Tables(NamedTuple):
    in_vectors: Tensor
    out_vectors: Tensor

    def copy(self) -> Tables:
        return Tables(self.in_vectors.clone(), self.out_vectors.clone())


def assert_tables_close(found: Tables, expected: Tables, *, rtol: float, atol: float) -> None:
    for a, b in zip(found, expected, strict=True):
        assert_close(a.double(), b.double(), rtol=rtol, atol=atol)


class Model(NamedTuple):
    """A model with its options bound, everywhere it exists."""

    name: str
    step_: Callable[..., Tensor]
    batch_step_: Callable[..., Tensor]
    """Of windows that train together."""
    gradient_of: GradientOf
    naive_gradient: naive.GradientOf


def cbow(*, mean: bool, exact: bool) -> Model:
    return Model(
        f"cbow-{'mean' if mean else 'sum'}-{'exact' if exact else 'word2vec'}",
        partial(ops.cbow_step_, mean=mean, exact_gradient=exact),
        partial(ops.cbow_batch_step_, mean=mean, exact_gradient=exact),
        partial(reference.cbow_gradient, mean=mean, exact_gradient=exact),
        partial(naive.cbow_gradient, mean=mean, exact=exact),
    )


SKIPGRAM = Model(
    "skipgram",
    ops.skipgram_step_,
    ops.skipgram_batch_step_,
    reference.skipgram_gradient,
    naive.skipgram_gradient,
)
MODELS = [SKIPGRAM, *(cbow(mean=mean, exact=exact) for mean in (True, False) for exact in (True, False))]
"""Skip-gram, and CBOW with each of its options."""

EXACT_MODELS = [SKIPGRAM, cbow(mean=True, exact=True), cbow(mean=False, exact=True)]
"""Those that follow the gradient of their loss."""


SHARINGS = [PER_PAIR, PER_WINDOW, 2, 5]
"""Negatives of each pair, of a window, and of pools."""


class Loss(NamedTuple):
    """A loss op with its options bound."""

    name: str
    loss: Callable[..., Tensor]
    gradient_of: GradientOf


LOSSES = [
    Loss("skipgram", ops.skipgram_loss, reference.skipgram_gradient),
    *(
        Loss(name, partial(ops.cbow_loss, mean=mean), partial(reference.cbow_gradient, mean=mean))
        for name, mean in (("cbow-mean", True), ("cbow-sum", False))
    ),
]


def block_of(
    sentences: Sequence[Sequence[int]], *, first_position: int = 0, centers: tuple[int, int] | None = None
) -> TokenBlock:
    """All tokens are centers unless `centers` says which."""
    ids = [token for sentence in sentences for token in sentence]
    starts = [0, *accumulate(map(len, sentences))]
    begin, end = centers or (0, len(ids))
    return TokenBlock(torch.tensor(ids, dtype=torch.int32), torch.tensor(starts), first_position, begin, end)


def random_block(
    vocabulary: int, lengths: Sequence[int] = LENGTHS, *, first_position: int = 0, seed: int = 0
) -> TokenBlock:
    rng = np.random.default_rng(seed)
    return block_of([rng.integers(0, vocabulary, n).tolist() for n in lengths], first_position=first_position)


def draws_of(
    vocabulary: int,
    *,
    window: int = 5,
    negative: int = 5,
    seed: int = 1,
    epoch: int = 0,
    sharing: int = PER_WINDOW,
    shrink_windows: bool = True,
) -> Draws:
    """The noise distribution is that of counts 1, 2, 3, ..."""
    table = torch.from_numpy(alias_table(np.arange(1, vocabulary + 1), 0.75))
    return Draws(table, window, negative, seed, epoch, sharing, shrink_windows)


def batch_draws(
    vocabulary: int, together: int = 4, negative: int = 8, *, window: int = 5, shrink_windows: bool = True
) -> Draws:
    """Of windows that train together. Each negative counts 5/8."""
    draws = draws_of(vocabulary, window=window, negative=negative, sharing=together, shrink_windows=shrink_windows)
    return replace(draws, negative_weight=0.625, together=True)


def random_tables(vocabulary: int, dimensions: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tables:
    """Vectors of length near 1, so that scores are far from both 0 and saturation."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(2, vocabulary, dimensions, generator=generator, dtype=torch.float64) / dimensions**0.5
    return Tables(values[0].to(dtype), values[1].to(dtype))


def require_native() -> None:
    if not ops.status().native:
        pytest.skip(f"the compiled kernels are missing: {ops.status().reason}")


def alias_columns(draws: Draws) -> list[tuple[int, int]]:
    """The alias table as naive.py takes it."""
    return [(threshold, alias) for threshold, alias in draws.alias_table.numpy().view(np.uint32).tolist()]


def naive_windows(block: TokenBlock, draws: Draws) -> list[naive.Window]:
    """The windows of the block's centers, or their pairs where each has its own negatives, sentence by sentence."""
    return [window for windows in naive_centers(block, draws) for window in windows]


def naive_centers(block: TokenBlock, draws: Draws) -> list[list[naive.Window]]:
    """The windows of each center."""
    ids, starts = block.ids.tolist(), block.sentence_starts.tolist()
    columns = alias_columns(draws)
    found = []
    for start, stop in pairwise(starts):
        for i in range(start, stop):
            if block.center_begin <= i < block.center_end:
                position = block.first_position + i
                key = (draws.window, draws.negative, draws.seed, draws.epoch, draws.sharing, draws.shrink_windows)
                found.append(naive.windows_of(ids[start:stop], i - start, position, columns, *key))
    return found


def spec_step(model: Model, tables: Tables, block: TokenBlock, draws: Draws, lr: tuple[float, float]) -> Tables:
    """What the sequential spec makes of the tables, in float64."""
    if model is not SKIPGRAM:
        draws = reference.cbow_draws(draws)
    after = Tables(tables.in_vectors.double(), tables.out_vectors.double()).copy()
    reference.step_(model.gradient_of, *after, block, draws, *lr)
    return after


def with_distinct_rows(block: TokenBlock, draws: Draws) -> Draws:
    """The same draws under the first seed that draws no output of the block twice."""
    for seed in count():
        candidate = replace(draws, seed=seed)
        outputs = reference.windows(block, candidate, block.center_begin, block.center_end).outputs
        if outputs.unique().numel() == outputs.numel():
            return candidate
    raise AssertionError("count() does not end")


each_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
each_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
each_sharing = pytest.mark.parametrize("sharing", SHARINGS, ids=["pair", "window", "pool-2", "pool-5"])
each_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
RTOL = {torch.float32: 1e-5, torch.float64: 1e-12}
"""How far sums of another order may be apart."""


@st.composite
def blocks(draw: st.DrawFn, vocabulary: int = 12) -> TokenBlock:
    """Any sentence structure, any range of centers, positions near 0 and beyond 2^32."""
    sentences = draw(st.lists(st.lists(st.integers(0, vocabulary - 1), max_size=9), max_size=7))
    tokens = sum(map(len, sentences))
    begin = draw(st.integers(0, tokens))
    end = draw(st.integers(begin, tokens))
    first_position = draw(st.sampled_from([0, 1, 5, 2**31 - 3, 2**32 - 3, 2**40 + 7]))
    return block_of(sentences, first_position=first_position, centers=(begin, end))
