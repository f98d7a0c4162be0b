"""The error for text that cannot be used; trouble with files themselves stays an OSError."""

from __future__ import annotations


class CorpusError(ValueError):
    """A corpus, a vocabulary or a token file whose content cannot be used. The message says where and what to do."""


def invalid_utf8(
    name: str, line: int, byte: int, value: int, otherwise: str = "set encoding_errors to 'replace'"
) -> str:
    """What to say of a byte that is not UTF-8: its file, line (from 1), place (from 0) and value, and what to do."""
    return f"{name}, line {line}, byte {byte}: invalid UTF-8 (0x{value:02x}); convert the file to UTF-8 or {otherwise}"
