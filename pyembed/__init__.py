"""pyembed: trains embeddings of words, and of any sequences of discrete items, with fused kernels for PyTorch.

Names load when they are first used, so that looking at vectors does not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pyembed._version import __version__

if TYPE_CHECKING:
    from pyembed.config import CorpusConfig, TrainConfig
    from pyembed.corpus import LineSentence, PathLineSentences, Vocabulary
    from pyembed.models import ENGLISH_CONNECTOR_WORDS, FrozenPhrases, Phrases, Word2Vec
    from pyembed.models.callbacks import CallbackAny2Vec
    from pyembed.models.vocabularies import RULE_DEFAULT, RULE_DISCARD, RULE_KEEP
    from pyembed.vectors import KeyedVectors

_HOMES = {
    "ENGLISH_CONNECTOR_WORDS": "pyembed.models",
    "CallbackAny2Vec": "pyembed.models.callbacks",
    "CorpusConfig": "pyembed.config",
    "FrozenPhrases": "pyembed.models",
    "KeyedVectors": "pyembed.vectors",
    "LineSentence": "pyembed.corpus",
    "PathLineSentences": "pyembed.corpus",
    "Phrases": "pyembed.models",
    "RULE_DEFAULT": "pyembed.models.vocabularies",
    "RULE_DISCARD": "pyembed.models.vocabularies",
    "RULE_KEEP": "pyembed.models.vocabularies",
    "TrainConfig": "pyembed.config",
    "Vocabulary": "pyembed.corpus",
    "Word2Vec": "pyembed.models",
}

__all__ = [
    "ENGLISH_CONNECTOR_WORDS",
    "RULE_DEFAULT",
    "RULE_DISCARD",
    "RULE_KEEP",
    "CallbackAny2Vec",
    "CorpusConfig",
    "FrozenPhrases",
    "KeyedVectors",
    "LineSentence",
    "PathLineSentences",
    "Phrases",
    "TrainConfig",
    "Vocabulary",
    "Word2Vec",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'pyembed' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
