"""Estimators: what users construct. Names load when they are first used, so that phrases do not wait for torch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyembed.models.callbacks import CallbackAny2Vec
    from pyembed.models.phrases import ENGLISH_CONNECTOR_WORDS, FrozenPhrases, Phrases
    from pyembed.models.vocabularies import RULE_DEFAULT, RULE_DISCARD, RULE_KEEP
    from pyembed.models.word2vec import Word2Vec

_HOMES = {
    "CallbackAny2Vec": "pyembed.models.callbacks",
    "ENGLISH_CONNECTOR_WORDS": "pyembed.models.phrases",
    "FrozenPhrases": "pyembed.models.phrases",
    "Phrases": "pyembed.models.phrases",
    "RULE_DEFAULT": "pyembed.models.vocabularies",
    "RULE_DISCARD": "pyembed.models.vocabularies",
    "RULE_KEEP": "pyembed.models.vocabularies",
    "Word2Vec": "pyembed.models.word2vec",
}

__all__ = [
    "ENGLISH_CONNECTOR_WORDS",
    "RULE_DEFAULT",
    "RULE_DISCARD",
    "RULE_KEEP",
    "CallbackAny2Vec",
    "FrozenPhrases",
    "Phrases",
    "Word2Vec",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'pyembed.models' has no attribute {name!r}")
