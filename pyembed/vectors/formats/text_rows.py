"""Text files of vectors as a stream: plain or compressed, in blocks of whole lines, with a policy for damaged ones."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from pyembed.compression import DECOMPRESSORS, decompressed_blocks
from pyembed.vectors.arrays import Float32Array
from pyembed.vectors.formats import vector_lines
from pyembed.vectors.formats.repairs import Repairs
from pyembed.vectors.formats.shortest_decimals import decimal_lines
from pyembed.vectors.formats.table import VectorFileError

_BYTES_PER_READ = 1 << 23
_ROWS_PER_WRITE = 512
_LONGEST_LINE = 1 << 26
"""Bytes; a longer one is no vector, and what it decompresses to may have no end."""
_BYTES_PER_THREAD = 1 << 19
_MOST_THREADS = 16


def is_compressed(path: Path) -> bool:
    """Whether the name ends in .gz, .bz2 or .zst."""
    return path.suffix.lower() in DECOMPRESSORS


def whole_lines(path: Path) -> Iterator[bytes]:
    """The file in blocks that end where a line does; the last may lack its newline.

    Raises:
        VectorFileError: a line without an end, or compressed data that are damaged.
        OSError: the file cannot be read.
    """
    rest = b""
    for block in _blocks(path):
        end = block.rfind(b"\n") + 1
        if end:
            yield rest + block[:end]
            rest = block[end:]
        else:
            rest += block
        if len(rest) > _LONGEST_LINE:
            raise VectorFileError(f"{path}: expected lines of at most {_LONGEST_LINE} bytes, found a longer one")
    if rest.rstrip(b" \r"):
        yield rest


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        if is_compressed(path):
            yield from decompressed_blocks(file, str(path), path.suffix.lower(), VectorFileError)
            return
        while block := file.read(_BYTES_PER_READ):
            yield block


def split_first_line(blocks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The first line, without its end, and the blocks of the others."""
    line, _, rest = next(blocks, b"").partition(b"\n")
    return line, chain([rest] if rest else [], blocks)


def lines_ahead(blocks: Iterator[bytes], most: int) -> tuple[list[bytes], Iterator[bytes]]:
    """Up to so many lines of the first block, stripped, and all blocks, the first included."""
    first = next(blocks, b"")
    lines = [line.strip(b" \r") for line in first.split(b"\n", most)[:most]]
    return [line for line in lines if line], chain([first] if first else [], blocks)


def separator_of(line: bytes) -> str:
    """What stands between the fields of a line: a tab, if there is one after its last space, or else a space."""
    return "\t" if b"\t" in line.rstrip().rpartition(b" ")[2] else " "


def read_rows(
    blocks: Iterable[bytes],
    dimensions: int,
    separator: str,
    repairs: Repairs,
    *,
    first_line: int,
    has_word: bool = True,
    most_rows: int | None = None,
    limit: int | None = None,
) -> tuple[list[str], Float32Array, int]:
    """Words, where lines have them, vectors float32[V, D], and how many lines there were.

    Args:
        blocks: of whole lines.
        dimensions: D.
        separator: of fields.
        repairs: told of every damaged line.
        first_line: the number of the first, for messages.
        has_word: a word stands before the numbers.
        most_rows: more lines than that are an error.
        limit: blocks are read no further than so many sound lines.

    Raises:
        VectorFileError: a damaged line, where the policy is strict.
    """
    words: list[str] = []
    vectors = np.empty((0, dimensions), dtype=np.float32)
    lines = 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    any_bytes = repairs.errors == "replace"
    for block in blocks if limit is None else _first_lines(blocks, limit, words):
        threads = min(cores, _MOST_THREADS, 1 + len(block) // _BYTES_PER_THREAD)
        found, replaced, rows, total, faults, fault = vector_lines.parse(
            block, dimensions, separator, has_word, any_bytes, threads
        )
        if most_rows is not None and lines + total > most_rows:
            where = f"{repairs.path}: line {first_line + most_rows}"
            raise VectorFileError(f"{where}: expected the end of the file after {most_rows} words")
        if fault is not None:
            fault = vector_lines.Fault(*fault)
            reason = fault.message(dimensions, separator, has_word)
            repairs.leave_out(f"line {first_line + lines + fault.line}: {reason}", faults)
        repairs.count_replaced(replaced)
        # Grown in place, a block at a time: the system moves pages, not bytes.
        start = len(vectors)
        vectors.resize((start + len(rows), dimensions), refcheck=False)
        vectors[start:] = rows
        words += found
        lines += total
    return words, vectors, lines


def _first_lines(blocks: Iterable[bytes], limit: int, words: Sequence[str]) -> Iterator[bytes]:
    """Blocks of no more lines than words are still missing when each is asked for, until there are `limit`."""
    for block in blocks:
        start = 0
        while start < len(block) and len(words) < limit:
            end = _end_of_lines(block, start, limit - len(words))
            yield block[start:end]
            start = end
        if len(words) >= limit:
            return


def _end_of_lines(block: bytes, start: int, lines: int) -> int:
    """Where so many lines from `start` on end, or the block does; what follows is not looked at, however often."""
    # So many bytes hold no more lines.
    if lines >= len(block) - start:
        return len(block)
    for _ in range(lines):
        start = block.find(b"\n", start) + 1
        if start == 0:
            return len(block)
    return start


def rows_as_text(words: Sequence[bytes], vectors: Float32Array) -> Iterator[bytes]:
    """Blocks of lines of a word, a space and D numbers, the shortest decimals that read back as the same float32."""
    for start in range(0, len(words), _ROWS_PER_WRITE):
        block = slice(start, start + _ROWS_PER_WRITE)
        lines = decimal_lines(vectors[block])
        yield b"".join(b"%b %b\n" % pair for pair in zip(words[block], lines, strict=True))
