"""Small texts that models of tests learn from, settings that learn them quickly, and what gets in the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from pyembed import ops
from pyembed.training import blocks

SMALL: dict[str, Any] = {
    "sg": 1, "vector_size": 24, "min_count": 1, "sample": 0, "workers": 1, "alpha": 0.1, "epochs": 2,
}  # fmt: skip
"""One worker, so that the same settings give the same bits."""


def two_topics(seed: int = 0) -> list[list[str]]:
    """300 sentences of 8 words; a sentence takes its words from one of two topics of 10 words each."""
    rng = np.random.default_rng(seed)
    return [[f"{'ab'[i % 2]}{word}" for word in rng.integers(0, 10, 8)] for i in range(300)]


def skewed() -> list[list[str]]:
    """Words w1 to w9, of which wn occurs n times, the rare ones first; 9 sentences of 5."""
    words = [f"w{n}" for n in range(1, 10) for _ in range(n)]
    return [words[start : start + 5] for start in range(0, 45, 5)]


def interrupt_third_step(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Ctrl-C instead of the third block of 500 words. Returns what fills with the arguments of the steps."""
    step, calls = ops.skipgram_batch_step_, []

    def interrupted_step(*arguments: Any, **options: Any) -> torch.Tensor:
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return step(*arguments, **options)

    monkeypatch.setattr(ops, "skipgram_batch_step_", interrupted_step)
    monkeypatch.setattr(blocks, "BLOCK_TOKENS", 500)
    return calls


class StartsAgain:
    """An iterator that begins anew whenever it is asked for one, as people write them."""

    def __init__(self, sentences: Sequence[list[str]]) -> None:
        self.sentences = sentences

    def __iter__(self) -> StartsAgain:
        self.left = list(self.sentences)
        return self

    def __next__(self) -> list[str]:
        if not self.left:
            raise StopIteration
        return self.left.pop(0)
