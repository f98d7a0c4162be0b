"""Compressed files as streams of bytes: gzip, bzip2 and Zstandard, by suffix."""

from __future__ import annotations

import bz2
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Protocol

_COMPRESSED_AT_ONCE = 1 << 12
"""Bytes: what text makes is soon together."""
_BLOCK_SIZE = 1 << 20
"""Bytes after decompression that are worth giving on."""
_MOST_AT_ONCE = 1 << 23
"""Bytes at once of bzip2, which makes a million of one, and of Zstandard."""
_ZSTANDARD_AT_ONCE = _MOST_AT_ONCE >> 15
"""Compressed bytes at once: Zstandard makes up to 32,768 of one, and its stream takes no other bound."""


class Decompressor(Protocol):
    """What isal, bz2 and zstandard have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def _open_gzip() -> Decompressor:
    from isal import isal_zlib  # three times as fast as zlib

    decompressor: Decompressor = isal_zlib.decompressobj(wbits=31)  # 31: a gzip header, the largest window
    return decompressor


def _zstandard() -> Any:
    try:
        import zstandard
    except ImportError:
        raise ModuleNotFoundError(
            ".zst files need the package zstandard: pip install zstandard", name="zstandard"
        ) from None
    return zstandard


def _open_zstd() -> Decompressor:
    decompressor: Decompressor = _zstandard().ZstdDecompressor().decompressobj()
    return decompressor


DECOMPRESSORS: dict[str, Callable[[], Decompressor]] = {
    ".gz": _open_gzip,
    ".bz2": bz2.BZ2Decompressor,
    ".zst": _open_zstd,
}
"""What opens a stream, by lower-case suffix."""


def decompressed_blocks(
    file: BinaryIO,
    name: str,
    suffix: str,
    error_type: type[Exception],
    advance: Callable[[int], None] = lambda _: None,
) -> Iterator[bytes]:
    """Decompresses a file of one or several streams, one after another, as `cat a.gz b.gz` makes them.

    Args:
        file: to read from.
        name: of the file, for messages.
        suffix: one of DECOMPRESSORS.
        error_type: what to raise where the data are damaged or end too early.
        advance: is told how many compressed bytes were read.
    """
    parts: list[bytes] = []
    size = 0
    for part in _parts(file, name, suffix, error_type, advance):
        parts.append(part)
        size += len(part)
        if size >= _BLOCK_SIZE:
            yield b"".join(parts)
            parts, size = [], 0
    if parts:
        yield b"".join(parts)


def _parts(
    file: BinaryIO, name: str, suffix: str, error_type: type[Exception], advance: Callable[[int], None]
) -> Iterator[bytes]:
    """As `decompressed_blocks`, in blocks of any size."""
    at_once = _ZSTANDARD_AT_ONCE if suffix == ".zst" else _COMPRESSED_AT_ONCE
    stream: Decompressor | None = None
    while data := file.read(_COMPRESSED_AT_ONCE):
        advance(len(data))
        while data:
            if stream is None:
                data = data.lstrip(b"\0")  # gzip allows zeros between and after streams
                if not data:
                    break
                stream = DECOMPRESSORS[suffix]()
            try:
                data = yield from _decompress(stream, data, at_once)
            except Exception as error:  # isal_zlib.error, OSError, zstandard.ZstdError
                raise error_type(f"{name}: damaged compressed data ({error}); compress the file again") from error
            if stream.eof:
                stream = None
    if stream is not None:
        raise error_type(f"{name}: the compressed data ends too early: the file is truncated; copy it again")


def _decompress(stream: Decompressor, data: bytes, at_once: int) -> Generator[bytes, None, bytes]:
    """What a stream makes of its next bytes; returns those that follow its end."""
    if isinstance(stream, bz2.BZ2Decompressor):
        yield stream.decompress(data, _MOST_AT_ONCE)
        while not (stream.eof or stream.needs_input):
            yield stream.decompress(b"", _MOST_AT_ONCE)
        return stream.unused_data
    for start in range(0, len(data), at_once):
        yield stream.decompress(data[start : start + at_once])
        if stream.eof:
            return stream.unused_data + data[start + at_once :]
    return b""


@contextmanager
def compressing(file: BinaryIO, suffix: str) -> Iterator[BinaryIO]:
    """A file to write to, whose content goes to `file` as the suffix says: .gz, .bz2, .zst, or as it is."""
    if suffix not in DECOMPRESSORS:
        yield file
        return
    writer: Any
    if suffix == ".gz":
        from isal import igzip

        # No date: equal content, equal bytes.
        writer = igzip.IGzipFile(filename="", mode="wb", fileobj=file, mtime=0)  # type: ignore[no-untyped-call]
    elif suffix == ".bz2":
        writer = bz2.BZ2File(file, mode="wb")
    else:
        writer = _zstandard().ZstdCompressor().stream_writer(file, closefd=False)
    with writer:
        yield writer
