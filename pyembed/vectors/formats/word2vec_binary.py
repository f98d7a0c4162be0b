"""word2vec's binary format: a text line `V D`, then for each word its UTF-8 bytes, a space and D little-endian float32.

word2vec.c ends each vector with a newline and gensim does not. Both are read; the newline is written.
"""

from __future__ import annotations

import mmap
from itertools import islice
from pathlib import Path

import numpy as np

from pyembed.files import whole_file
from pyembed.vectors.formats.repairs import Errors, Repairs
from pyembed.vectors.formats.table import VectorFileError, VectorTable
from pyembed.vectors.formats.word2vec_shared import encode_words, parse_header

_FASTTEXT_MAGIC = (793712314).to_bytes(4, "little")
_ROWS_PER_WRITE = 4096


def read(path: Path, *, errors: Errors = "strict", limit: int | None = None) -> VectorTable:
    """Reads the file. Memory is that of the result; the file's own pages are the system's cache.

    With a limit it is read no further than so many sound rows, >= 1.

    Raises:
        VectorFileError: the file is damaged; the message names the byte and the row.
        OSError: the file cannot be read.
    """
    repairs = Repairs(path, errors)
    with path.open("rb") as file:
        first_line = file.readline(128)
        if first_line.startswith(_FASTTEXT_MAGIC):
            raise VectorFileError(f"{path}: expected word2vec's binary format, found a fastText model")
        # A row takes at least one byte of word, a space and its numbers.
        rows, dimensions = parse_header(
            first_line, path, path.stat().st_size, row_bytes=lambda dimensions: 2 + 4 * dimensions
        )
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _read_rows(content, len(first_line), rows, dimensions, repairs, limit)


def _read_rows(
    content: mmap.mmap, position: int, rows: int, dimensions: int, repairs: Repairs, limit: int | None
) -> VectorTable:
    vector_bytes = 4 * dimensions
    vectors = np.empty((rows, dimensions), dtype=np.float32)  # of which only pages that are written take memory
    bytes_of_rows = vectors.view(np.uint8)
    words: list[str | None] = []
    sound = 0
    for row in range(rows):
        while content[position : position + 1] == b"\n":
            position += 1
        space = content.find(b" ", position)
        start = space + 1
        if space < 0 or start + vector_bytes > len(content):
            raise VectorFileError(
                f"{repairs.path}: expected {rows} vectors, found the end of the file, byte {len(content)}, in row {row}"
            )
        words.append(repairs.decode(content[position:space], f"row {row}", position))
        position = start + vector_bytes
        bytes_of_rows[row] = np.frombuffer(content[start:position], dtype=np.uint8)
        sound += words[-1] is not None
        if sound == limit and row + 1 < rows:
            vectors = vectors[: row + 1].copy()
            position = len(content)
            break
    if content[position:].strip():
        where = f"row {rows - 1}, byte {position}"
        raise VectorFileError(f"{repairs.path}: expected the end of the file after {where}, found more")
    if vectors.dtype.byteorder == ">":
        vectors.byteswap(inplace=True)
    return repairs.table(words, vectors)


def write(table: VectorTable, path: Path) -> None:
    """Writes the file whole or not at all. Counts and metadata have no place in this format.

    Raises:
        VectorFileError: a word holds a space or a newline, which end a word here, or is empty.
        OSError: the file cannot be written.
    """
    rows, dimensions = table.vectors.shape
    words = encode_words(table.words, path, separators=" \n")
    remaining_words = iter(words)
    with whole_file(path) as file:
        file.write(b"%d %d\n" % (rows, dimensions))
        for start in range(0, rows, _ROWS_PER_WRITE):
            block = table.vectors[start : start + _ROWS_PER_WRITE].astype("<f4", copy=False)
            file.write(
                b"".join(
                    b"%b %b\n" % (word, vector.tobytes())
                    for word, vector in zip(islice(remaining_words, len(block)), block, strict=True)
                )
            )
