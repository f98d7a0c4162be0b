"""The token file: word ids, sentence starts and, where it is kept as a cache, the vocabulary and what it was made from.

Layout, little-endian; ids, starts and description each begin at a multiple of 4096 bytes:

    header        magic b"PYEMBTOK", then int64: version, T, S, offset of the description
    ids           int32[T]
    starts        int64[S + 1]
    description   JSON: {"made_from": ..., "report": ..., "words": [V], "counts": [V]}

The description ends the file, so a truncated one is found out.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from pyembed.corpus.errors import CorpusError
from pyembed.corpus.token_ids import MappedIds, TokenIds
from pyembed.corpus.vocabulary import Vocabulary

_MAGIC = b"PYEMBTOK"
_VERSION = 2
_HEADER = struct.Struct("<8s4q")
_ALIGNMENT = 4096
IDS_OFFSET = _ALIGNMENT


def _aligned(offset: int) -> int:
    return -(-offset // _ALIGNMENT) * _ALIGNMENT


def starts_offset(tokens: int) -> int:
    """Where the sentence starts of a file with so many tokens lie."""
    return _aligned(IDS_OFFSET + 4 * tokens)


@dataclass(frozen=True)
class Description:
    """What a token file that is kept holds beside ids and starts."""

    vocabulary: Vocabulary
    made_from: dict[str, Any]
    report: dict[str, Any]


def writable_arrays(file: BinaryIO, tokens: int, sentences: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Ids int32[T] and starts int64[sentences + 1] of a file to be written, mapped; the disk space is taken first.

    Raises:
        OSError: the disk is full; without that a write to a mapping would end the process.
    """
    offset = starts_offset(tokens)
    size = offset + 8 * (sentences + 1)
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
    else:
        file.truncate(size)
    memory = mmap.mmap(file.fileno(), size)
    return np.frombuffer(memory, np.int32, tokens, IDS_OFFSET), np.frombuffer(memory, np.int64, sentences + 1, offset)


def finish_token_file(file: BinaryIO, tokens: int, sentences: int, description: Description) -> None:
    """Adds to ids and starts all the rest; the header comes last and makes the file valid."""
    vocabulary = description.vocabulary
    text = json.dumps(
        {
            "made_from": description.made_from,
            "report": description.report,
            "words": vocabulary.words,
            "counts": vocabulary.counts.tolist(),
        }
    )
    offset = _aligned(starts_offset(tokens) + 8 * (sentences + 1))
    file.seek(offset)
    file.write(text.encode())
    file.truncate()
    file.seek(0)
    file.write(_HEADER.pack(_MAGIC, _VERSION, tokens, sentences, offset))
    file.flush()


def map_token_file(file: BinaryIO, tokens: int, sentences: int) -> TokenIds:
    """Maps ids and starts; the header need not be there yet."""
    memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return TokenIds.from_mapping(MappedIds(memory, IDS_OFFSET, starts_offset(tokens)), tokens, sentences)


def read_token_file(file: BinaryIO) -> tuple[TokenIds, Description]:
    """Maps a file that `finish_token_file` completed.

    Raises:
        CorpusError: not a token file, of another version, or truncated.
    """
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size:
        raise CorpusError(f"expected a token file, found only {len(header)} bytes")
    magic, version, tokens, sentences, offset = _HEADER.unpack(header)
    if magic != _MAGIC or version != _VERSION:
        raise CorpusError(f"expected a token file of version {_VERSION}, found {magic!r}, version {version}")
    file.seek(offset)
    try:
        told = json.loads(file.read())
        vocabulary = Vocabulary.from_counts(told["words"], told["counts"])
        description = Description(vocabulary, told["made_from"], told["report"])
        return map_token_file(file, tokens, sentences), description
    except (ValueError, KeyError) as error:
        raise CorpusError(f"expected a token file, found a damaged one ({error})") from error
