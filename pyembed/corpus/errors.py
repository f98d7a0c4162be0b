"""The error for text that cannot be used; trouble with files themselves stays an OSError."""

from __future__ import annotations


class CorpusError(ValueError):
    """A corpus, a vocabulary or a token file whose content cannot be used. The message says where and what to do."""
