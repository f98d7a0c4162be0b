"""The hand-written loop that pyembed is compared with trains the same thing."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from pyembed.bench.embedding_loop import EmbeddingLoop, first_block, pairs_of
from pyembed.config import TrainConfig
from pyembed.corpus import TokenIds
from pyembed.reference import cbow_gradient, skipgram_gradient, step_

GRADIENTS = {"skipgram": skipgram_gradient, "cbow": partial(cbow_gradient, mean=True)}
V, T, D, LR = 20_000, 120, 6, 0.1
"""So many words that no negative happens to be its window's center, which word2vec skips and the loop does not."""


@pytest.mark.parametrize("model", GRADIENTS)
def test_a_step_of_the_loop_equals_a_batch_of_the_specification(model):
    rng = np.random.default_rng(0)
    token_ids = TokenIds.from_arrays(rng.integers(0, V, T), [0, 50, 51, T])
    config = TrainConfig(model=model, vector_size=D, window=3, negative=4, negatives_from="window", sample=0)
    block, draws, words = first_block(token_ids, np.ones(V, np.int64), config, T)
    assert words == T

    loop = EmbeddingLoop(V, D, model, LR)
    tables = loop.into.weight, loop.out.weight
    into, out = (table.detach()[:V].clone() for table in tables)
    step_(GRADIENTS[model], into, out, block, draws, LR, LR, batch=T)
    loop.step(pairs_of(block, draws, model))
    for expected, trained in zip((into, out), tables, strict=True):
        torch.testing.assert_close(trained.detach()[:V], expected)


def test_the_first_block_is_cut_to_the_words_asked_for():
    token_ids = TokenIds.from_arrays(np.arange(100) % 7, [0, 30, 100])
    block, _, words = first_block(token_ids, np.full(7, 10), TrainConfig(sample=0), 40)
    assert words == 40
    assert block.center_end - block.center_begin == 40
