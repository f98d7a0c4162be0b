"""What the draws of an epoch's windows depend on, by the configuration and the processor."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from pyembed import ops
from pyembed.config import TrainConfig
from pyembed.reference import Draws

FEW_WORDS = 1_000
"""Of fewer, the negatives that six windows share are so many that groups of words are told apart less clearly."""


def with_products(config: TrainConfig, words: int) -> TrainConfig:
    """The configuration with what it leaves to the processor and the size of the vocabulary: its products."""
    if config.products is not None:
        return config
    rounded = replace(config, products="bfloat16")
    return rounded if words >= FEW_WORDS and rounds_products(rounded) else replace(config, products="float32")


def rounds_products(config: TrainConfig) -> bool:
    """Whether products are rounded to bfloat16: they may be, and the processor has units for it."""
    return config.may_round_products and ops.has_bfloat16_products(
        config.model, config.window, config.negatives_drawn, config.sharing, config.backend
    )


def draws_of(config: TrainConfig, alias_table: Tensor, epoch: int) -> Draws:
    """alias_table: int32[V, 2], of the words that negatives are drawn from."""
    return Draws(
        alias_table,
        config.window,
        config.negatives_drawn,
        config.seed,
        epoch,
        config.sharing,
        config.shrink_windows,
        config.negative_weight,
        config.trains_batches,
    )
