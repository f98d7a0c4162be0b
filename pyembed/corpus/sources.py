"""Where text comes from: files, compressed files, folders, globs and standard input, as blocks of bytes."""

from __future__ import annotations

import glob
import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pyembed.compression import DECOMPRESSORS, decompressed_blocks
from pyembed.corpus.errors import CorpusError

BLOCK_SIZE = 1 << 18  # stays in a core's L2 cache until it is gone through


@dataclass(frozen=True)
class FilePiece:
    """A piece of an open file, cut anywhere, that is yet to be read."""

    descriptor: int
    name: str
    """The file's, for messages."""
    offset: int
    size: int
    file_end: bytes
    """The last byte of the file."""


@dataclass(frozen=True)
class Source:
    """One file, or standard input."""

    name: str
    """For messages."""
    path: Path | None
    """None: standard input."""
    size: int | None
    """In bytes, as it lies on disk; None where that is not known beforehand."""
    mtime_ns: int

    def blocks(self, advance: Callable[[int], None]) -> Iterator[bytes]:
        """The content in blocks cut anywhere, decompressed; `advance` is told how many bytes were read from disk.

        Raises:
            CorpusError: compressed data is damaged or ends too early.
            OSError: the file cannot be read.
        """
        if self.path is None:
            yield from _plain_blocks(sys.stdin.buffer, advance)
            return
        with self.path.open("rb", buffering=0) as file:
            suffix = self.path.suffix.lower()
            if suffix in DECOMPRESSORS:
                yield from decompressed_blocks(file, self.name, suffix, CorpusError, advance)
            else:
                yield from _plain_blocks(file, advance)

    def pieces(self, advance: Callable[[int], None]) -> Iterator[bytes | FilePiece]:
        """As `blocks`, but what needs no decompressing and has a size is left for others to read.

        A piece must be read, or its descriptor duplicated, before the next is asked for.
        """
        if self.path is None or not self.size or self.path.suffix.lower() in DECOMPRESSORS:
            yield from self.blocks(advance)
            return
        with self.path.open("rb", buffering=0) as file:
            descriptor = file.fileno()
            end = os.fstat(descriptor).st_size
            file_end = os.pread(descriptor, 1, max(end - 1, 0))
            for offset in range(0, end, BLOCK_SIZE):
                size = min(BLOCK_SIZE, end - offset)
                advance(size)
                yield FilePiece(descriptor, self.name, offset, size, file_end)


def expand_inputs(inputs: Sequence[str | os.PathLike[str]]) -> list[Source]:
    """The sources that paths, globs, folders and `-` (standard input) stand for, in the order given.

    A folder stands for all files under it, sorted by path; those whose name, or whose folder's name, begins with a dot
    are left out. A glob stands for its matches, sorted; `**` crosses folders.

    Raises:
        FileNotFoundError: a path that does not exist, a glob without a match, a folder without a file.
        ValueError: no input at all.
    """
    if isinstance(inputs, (str, os.PathLike)):
        inputs = [inputs]
    if not inputs:
        raise ValueError("expected at least one input file, found none")
    sources: list[Source] = []
    for given in [os.fspath(path) for path in inputs]:
        if given == "-":
            sources.append(Source("standard input", None, None, 0))
        elif Path(given).exists() or not glob.has_magic(given):
            sources.extend(map(file_source, _files_under(Path(given))))
        else:
            matches = sorted(map(Path, glob.glob(given, recursive=True)))  # noqa: PTH207 - Path.glob needs a folder
            if not matches:
                raise FileNotFoundError(f"no file matches the pattern {given!r}")
            # A dict, because `**` finds a folder and the files in it.
            sources.extend(map(file_source, dict.fromkeys(file for match in matches for file in _files_under(match))))
    return sources


def _files_under(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = []
    for folder, folders, files in os.walk(path):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(folder, name) for name in files if not name.startswith(".")]
    if not found:
        raise FileNotFoundError(f"the folder {str(path)!r} holds no file (names that begin with a dot do not count)")
    return sorted(found)


def file_source(path: Path) -> Source:
    """One file.

    Raises:
        FileNotFoundError: there is none.
    """
    status = path.stat()
    regular = stat.S_ISREG(status.st_mode)  # a pipe has no size and cannot be read twice
    return Source(str(path), path, status.st_size if regular else None, status.st_mtime_ns)


def _plain_blocks(file: BinaryIO, advance: Callable[[int], None]) -> Iterator[bytes]:
    while block := file.read(BLOCK_SIZE):
        advance(len(block))
        yield block
