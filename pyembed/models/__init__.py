"""Estimators: what users construct."""

from pyembed.models.word2vec import Word2Vec

__all__ = ["Word2Vec"]
