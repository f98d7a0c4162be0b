"""What the draws of an epoch's windows depend on, by the configuration."""

from __future__ import annotations

from torch import Tensor

from pyembed.config import TrainConfig
from pyembed.reference import Draws


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
