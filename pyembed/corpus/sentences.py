"""Python iterables of sentences as blocks of bytes for the counting engine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

_BATCH_SIZE = 1 << 20  # bytes
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
# The error handler `surrogateescape` encodes these as the bytes 0xFF, 0xFE and 0x80: a record's two separators, and one
# that is invalid UTF-8 where it stands.
_TOKEN_END, _SENTENCE_END, _INVALID = "\udcff", "\udcfe", "\udc80"


def sentence_blocks(sentences: Iterable[Sequence[str] | str]) -> tuple[bool, Iterator[bytes]]:
    """Whether the sentences are lists of tokens, and their bytes: records where they are, lines of text where not.

    Tokens of a list may hold any character; an empty one is no token and is skipped. What cannot be encoded, a lone
    surrogate, becomes an invalid byte, for the engine to find. A sentence may be any iterable of str.

    Raises:
        TypeError: not an iterable of sentences; or, while the blocks are made, a sentence or a token of another type
            than the others. Sentences and tokens are counted from 0.
    """
    if isinstance(sentences, (str, bytes)) or not isinstance(sentences, Iterable):
        raise TypeError(
            "expected an iterable of sentences, each a list of str or a str, "
            f"found a {type(sentences).__name__}; to read a file use ingest_files"
        )
    iterator = (sentence for sentence in sentences)  # since iter() starts some iterators again, as islice would
    first = list(islice(iterator, 1))
    are_lists = bool(first) and not isinstance(first[0], str)
    encode: Callable[[Any, int], bytes] = _encode_tokens if are_lists else _encode_text
    return are_lists, _batched(encode(sentence, number) for number, sentence in enumerate(chain(first, iterator)))


def _batched(pieces: Iterable[bytes]) -> Iterator[bytes]:
    batch: list[bytes] = []
    size = 0
    for piece in pieces:
        batch.append(piece)
        size += len(piece)
        if size >= _BATCH_SIZE:
            yield b"".join(batch)
            batch, size = [], 0
    yield b"".join(batch)


def _encode_text(sentence: Any, number: int) -> bytes:
    if not isinstance(sentence, str):
        raise TypeError(f"sentence {number}: expected a str as those before it, found a {type(sentence).__name__}")
    line = sentence.replace("\n", " ") + "\n"
    try:
        return line.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return _LONE_SURROGATE.sub(_INVALID, line).encode("utf-8", "surrogateescape")


def _encode_tokens(sentence: Any, number: int) -> bytes:
    if isinstance(sentence, (str, bytes)) or not isinstance(sentence, Iterable):
        raise TypeError(f"sentence {number}: expected a list of str, found a {type(sentence).__name__}")
    tokens = sentence if isinstance(sentence, (list, tuple)) else list(sentence)
    try:
        text = _TOKEN_END.join(tokens) + _SENTENCE_END
    except TypeError:
        index, token = next((i, token) for i, token in enumerate(tokens) if not isinstance(token, str))
        raise TypeError(
            f"sentence {number}, token {index}: expected a str, found {token!r} of type {type(token).__name__}; "
            "convert items with str()"
        ) from None
    try:
        record = text.encode("utf-8", "surrogateescape")
        if record.count(b"\xff") == max(len(tokens) - 1, 0) and record.count(b"\xfe") == 1:
            return record
    except UnicodeEncodeError:
        pass
    clean = (_LONE_SURROGATE.sub(_INVALID, token) for token in tokens)
    return (_TOKEN_END.join(clean) + _SENTENCE_END).encode("utf-8", "surrogateescape")
