"""What a block of tokens does to the tables: one call of an op, or a few for every slice of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyembed import ops
from pyembed.config import TrainConfig
from pyembed.corpus.huffman import huffman_paths
from pyembed.reference import Draws, HuffmanTree, TokenBlock
from pyembed.training.locks import RowLocks
from pyembed.training.slices import slices_of
from pyembed.training.tables import Tables

Step = Callable[..., Tensor]
"""(block, draws, lr_begin, lr_end) -> float64[2]: sum of losses, positive pairs."""


def step_ops(config: TrainConfig) -> tuple[str, ...]:
    """Names of the ops that train with this configuration, for ops.require_machine and ops.is_native."""
    together = "batch_" if config.trains_batches else ""
    hierarchical = (f"{config.model}_hs_step_",) if config.hs else ()
    return ((f"{config.model}_{together}step_",) if config.negative else ()) + hierarchical


def windows_at_once(config: TrainConfig) -> int:
    """The `threads` of a step: the CPU's, or warps of a GPU, as many as it holds unless one is asked for."""
    if torch.device(config.device).type == "cpu":
        return config.thread_count
    return 1 if config.threads == 1 else 0


def tree_of(counts: NDArray[np.int64], device: torch.device | str) -> HuffmanTree:
    """Huffman's tree of a vocabulary, on the device that trains. counts: [V]."""
    return HuffmanTree(*(torch.from_numpy(array).to(device) for array in huffman_paths(counts)))


class BlockTrainer:
    """Trains tables on blocks: out_vectors by negative sampling, node_vectors by hierarchical softmax, which take turns
    slice by slice where there are both.

    Args:
        counts: int64[V], of the words.
        frequent: as ops.skipgram_step_ takes it.
        locks: None where every row learns.
    """

    def __init__(
        self, tables: Tables, config: TrainConfig, counts: NDArray[np.int64], frequent: int, locks: RowLocks | None
    ) -> None:
        self._slicing = config.window, windows_at_once(config), config.sharing if config.trains_batches else 1
        self._locks = locks
        self._steps: list[Step] = []
        if tables.node_padded is not None:
            tree = tree_of(counts, config.device)
            self._steps.append(_hierarchical_softmax(tables.in_padded, tables.node_padded, tree, config))
        if tables.out_padded is not None:
            self._steps.append(_negative_sampling(tables.in_padded, tables.out_padded, config, frequent))

    def train(self, block: TokenBlock, draws: Draws, rates: tuple[float, float]) -> tuple[float, float]:
        """The learning rate falls from the first to the second. Returns the sum of losses and the positive pairs."""
        sliced = self._locks is not None or len(self._steps) > 1
        totals = torch.zeros(len(self._steps), 2, dtype=torch.float64, device=block.ids.device)
        for part, part_rates in slices_of(block, rates, *self._slicing) if sliced else [(block, rates)]:
            with self._locks.held(part) if self._locks is not None else nullcontext():
                totals += torch.stack([step(part, draws, *part_rates) for step in self._steps])
        losses, pairs = totals.T.tolist()  # waits for the device
        return sum(losses), pairs[0]  # each step has the same pairs


def _options(config: TrainConfig) -> dict[str, Any]:
    options: dict[str, Any] = {"threads": windows_at_once(config), "backend": config.backend}
    if config.model == "cbow":
        options |= {"mean": config.cbow_mean, "exact_gradient": config.cbow_gradient == "exact"}
    return options


def _negative_sampling(in_padded: Tensor, out_padded: Tensor, config: TrainConfig, frequent: int) -> Step:
    if config.trains_batches:
        batch_step = ops.skipgram_batch_step_ if config.model == "skipgram" else ops.cbow_batch_step_
        products = config.products or "float32"
        return partial(batch_step, in_padded, out_padded, products=products, **_options(config))
    step = ops.skipgram_step_ if config.model == "skipgram" else ops.cbow_step_
    options = {"write_back": config.write_back, "frequent": frequent, **_options(config)}
    return partial(step, in_padded, out_padded, **options)


def _hierarchical_softmax(in_padded: Tensor, node_padded: Tensor, tree: HuffmanTree, config: TrainConfig) -> Step:
    step = ops.skipgram_hs_step_ if config.model == "skipgram" else ops.cbow_hs_step_

    def of_block(block: TokenBlock, draws: Draws, *rates: float) -> Tensor:
        return step(in_padded, node_padded, block, draws, tree, *rates, **_options(config))

    return of_block
