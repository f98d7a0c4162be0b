"""Optimisers that change the rows alone that a batch looked up; as torch.optim's, or fused into the backward pass."""

from __future__ import annotations

from pyembed.optim.adagrad import Adagrad, RowwiseAdagrad
from pyembed.optim.adamw import AdamW
from pyembed.optim.fuse import fuse, unfuse
from pyembed.optim.sgd import SGD

__all__ = ["SGD", "Adagrad", "AdamW", "RowwiseAdagrad", "fuse", "unfuse"]
