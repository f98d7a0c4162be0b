"""Modules for PyTorch models: embeddings that stand in for torch.nn's, and skip-gram with negative sampling."""

from __future__ import annotations

from pyembed.nn.embedding import Embedding
from pyembed.nn.embedding_bag import EmbeddingBag
from pyembed.nn.in_batch import in_batch_loss
from pyembed.nn.negative_sampling import NegativeSampling

__all__ = ["Embedding", "EmbeddingBag", "NegativeSampling", "in_batch_loss"]
