"""Compressed streams: what little makes much of, and streams one after another."""

from __future__ import annotations

import bz2
import gzip
import io

import pytest

from pyembed.compression import decompressed_blocks

zstandard = pytest.importorskip("zstandard", reason="zstandard is not installed")
COMPRESSORS = {".gz": gzip.compress, ".bz2": bz2.compress, ".zst": zstandard.ZstdCompressor().compress}
SUFFIXES = pytest.mark.parametrize("suffix", COMPRESSORS)


def blocks(content: bytes, suffix: str) -> list[bytes]:
    return list(decompressed_blocks(io.BytesIO(content), "name", suffix, ValueError))


@SUFFIXES
def test_a_few_bytes_that_stand_for_many_make_blocks_of_bounded_size(suffix):
    size = 100 << 20
    content = COMPRESSORS[suffix](bytes(size))
    assert len(content) < 1 << 18
    sizes = [len(block) for block in decompressed_blocks(io.BytesIO(content), "name", suffix, ValueError)]
    assert sum(sizes) == size
    assert max(sizes) <= 9 << 20


@SUFFIXES
@pytest.mark.parametrize("length", [0, 1, 200, 255, 256, 257, 5_000, 100_000])
def test_streams_of_any_length_follow_one_another(suffix, length):
    first = bytes(range(256)) * (length // 256) + b"x" * (length % 256)
    content = COMPRESSORS[suffix](first) + COMPRESSORS[suffix](b"second") + b"\0" * 300 + COMPRESSORS[suffix](b"third")
    assert b"".join(blocks(content, suffix)) == first + b"secondthird"


@SUFFIXES
def test_what_is_cut_or_damaged_is_refused(suffix):
    content = COMPRESSORS[suffix](b"some words, " * 1_000)
    for cut in (1, 5, len(content) // 2, len(content) - 1):
        with pytest.raises(ValueError, match="name: "):
            blocks(content[:cut], suffix)
    with pytest.raises(ValueError, match="name: damaged compressed data"):
        blocks(content + b"nonsense that is no stream", suffix)
