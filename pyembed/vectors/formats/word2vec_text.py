"""word2vec's text format, fastText's `.vec`: a line `V D`, then for each word a line of the word and D numbers.

Fields stand between spaces. A line's last D fields are its numbers, so a word may hold spaces. Only the byte 0x20
separates fields and only 0x0A ends lines: a no-break space or U+2028 is part of a word. Spaces and carriage returns at
a line's end are ignored, because word2vec.c and fastText leave a space there.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pyembed.files import whole_file
from pyembed.vectors.arrays import Float32Array
from pyembed.vectors.formats.shortest_decimals import decimal_lines
from pyembed.vectors.formats.table import VectorFileError, VectorTable, require_distinct
from pyembed.vectors.formats.word2vec_shared import encode_words, parse_header

_BYTES_PER_READ = 1 << 22
_ROWS_PER_WRITE = 512
_NUMBER_BYTES = b"0123456789+-.eE nafiNAFIty"
"""The bytes of numbers, `nan`, `inf` and `infinity`, and the separator."""


def read(path: Path) -> VectorTable:
    """Reads the whole file in blocks of lines.

    Raises:
        VectorFileError: the file is damaged; the message names the line, counted from 1.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        # A row takes at least one byte of word and two for each number.
        rows, dimensions = parse_header(file.readline(128), path, row_bytes=lambda dimensions: 1 + 2 * dimensions)
        vectors = np.empty((rows, dimensions), dtype=np.float32)
        words: list[str] = []
        for lines in _blocks_of_lines(file):
            row = len(words)
            if row + len(lines) > rows:
                raise VectorFileError(f"{path}: line {rows + 2}: expected the end of the file after {rows} words")
            block_words, numbers = _split(lines, dimensions, path, first_line=row + 2)
            vectors[row : row + len(lines)] = _parse(numbers, dimensions, path, first_line=row + 2)
            words += block_words
    if len(words) != rows:
        raise VectorFileError(f"{path}: line {len(words) + 2}: expected {rows} words, found the end of the file")
    require_distinct(words, path)
    return VectorTable(words=words, vectors=vectors)


def _blocks_of_lines(file: BinaryIO) -> Iterator[list[bytes]]:
    """The rest of the file in lists of whole lines, each without its end."""
    rest = b""
    while block := file.read(_BYTES_PER_READ):
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        if lines:
            yield [line.rstrip(b" \r") for line in lines]
    if rest.rstrip(b" \r"):
        yield [rest.rstrip(b" \r")]


def _split(lines: list[bytes], dimensions: int, path: Path, first_line: int) -> tuple[list[str], list[bytes]]:
    """Words and the text of their numbers."""
    words, numbers = [], []
    for line_number, line in enumerate(lines, first_line):
        word, _, fields = line.partition(b" ")
        if fields.count(b" ") != dimensions - 1:  # a word with spaces, or a damaged line
            word, *rest = line.rsplit(b" ", dimensions)
            fields = b" ".join(rest)
            if len(rest) != dimensions:
                raise VectorFileError(
                    f"{path}: line {line_number}: expected a word and {dimensions} numbers, "
                    f"found {len(rest) + 1} fields"
                )
        if not word:
            raise VectorFileError(f"{path}: line {line_number}: expected a word before the numbers, found none")
        try:
            words.append(word.decode())
        except UnicodeDecodeError as error:
            raise VectorFileError(f"{path}: line {line_number}: expected UTF-8, found {word[:100]!r}") from error
        numbers.append(fields)
    return words, numbers


def _parse(numbers: list[bytes], dimensions: int, path: Path, first_line: int) -> Float32Array:
    """The numbers of a block, [rows, D]: all in one go, or field by field to find the damaged one."""
    text = b" ".join(numbers)
    if not text.translate(None, _NUMBER_BYTES) and b"  " not in text:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)  # how numpy reports text that is no number
            try:
                values = np.fromstring(text.decode(), dtype=np.float32, sep=" ")
            except (DeprecationWarning, ValueError):
                values = np.empty(0, dtype=np.float32)
        if values.size == len(numbers) * dimensions:
            return values.reshape(len(numbers), dimensions)
    rows = [_parse_row(fields, path, line_number) for line_number, fields in enumerate(numbers, first_line)]
    return np.array(rows, dtype=np.float32)


def _parse_row(fields: bytes, path: Path, line_number: int) -> list[float]:
    values = []
    for index, field in enumerate(fields.split(b" ")):
        try:
            if field.translate(None, _NUMBER_BYTES):  # float() would take underscores and tabs
                raise ValueError
            values.append(float(field))
        except ValueError:
            raise VectorFileError(
                f"{path}: line {line_number}: expected a number in dimension {index}, found {field[:40]!r}"
            ) from None
    return values


def write(table: VectorTable, path: Path) -> None:
    """Writes the file whole or not at all, with the shortest decimals that read back as the same float32.

    Counts and metadata have no place in this format.

    Raises:
        VectorFileError: a word holds a newline, which ends a line here, or is empty.
        OSError: the file cannot be written.
    """
    words = encode_words(table.words, path, separators="\n")
    with whole_file(path) as file:
        file.write(b"%d %d\n" % table.vectors.shape)
        for start in range(0, len(words), _ROWS_PER_WRITE):
            block = slice(start, start + _ROWS_PER_WRITE)
            lines = decimal_lines(table.vectors[block])
            file.write(b"".join(b"%b %b\n" % pair for pair in zip(words[block], lines, strict=True)))
