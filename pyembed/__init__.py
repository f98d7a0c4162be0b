"""pyembed: trains embeddings of words, and of any sequences of discrete items, with fused kernels for PyTorch.

Names load when they are first used, so that looking at vectors does not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pyembed._version import __version__

if TYPE_CHECKING:
    from pyembed.config import CorpusConfig, TrainConfig
    from pyembed.corpus import Vocabulary
    from pyembed.models import Word2Vec
    from pyembed.vectors import KeyedVectors

_HOMES = {
    "CorpusConfig": "pyembed.config",
    "KeyedVectors": "pyembed.vectors",
    "TrainConfig": "pyembed.config",
    "Vocabulary": "pyembed.corpus",
    "Word2Vec": "pyembed.models",
}

__all__ = ["CorpusConfig", "KeyedVectors", "TrainConfig", "Vocabulary", "Word2Vec", "__version__"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'pyembed' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
