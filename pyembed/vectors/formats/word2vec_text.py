"""word2vec's text format, fastText's `.vec`: a line `V D`, then for each word a line of the word and D numbers.

Fields stand between spaces, or tabs. A line's last D fields are its numbers, so a word may hold spaces. Only the byte
0x20 separates fields and only 0x0A ends lines: a no-break space or U+2028 is part of a word. Spaces and carriage
returns at a line's end are ignored, because word2vec.c and fastText leave a space there.
"""

from __future__ import annotations

from pathlib import Path

from pyembed.compression import compressing
from pyembed.files import whole_file
from pyembed.vectors.formats.repairs import Errors, Repairs
from pyembed.vectors.formats.table import VectorFileError, VectorTable
from pyembed.vectors.formats.text_rows import (
    is_compressed,
    lines_ahead,
    read_rows,
    rows_as_text,
    separator_of,
    split_first_line,
    whole_lines,
)
from pyembed.vectors.formats.word2vec_shared import encode_words, parse_header


def read(path: Path, *, errors: Errors = "strict", limit: int | None = None) -> VectorTable:
    """Reads the file in blocks of lines, decompressed where its name ends in .gz, .bz2 or .zst.

    With a limit it is read no further than so many rows, >= 1.

    Raises:
        VectorFileError: the file is damaged; the message names the line, counted from 1.
        OSError: the file cannot be read.
    """
    repairs = Repairs(path, errors)
    header, blocks = split_first_line(whole_lines(path))
    # A row takes at least one byte of word and two for each number.
    size = None if is_compressed(path) else path.stat().st_size
    rows, dimensions = parse_header(header[:128], path, size, row_bytes=lambda dimensions: 1 + 2 * dimensions)
    ahead, blocks = lines_ahead(blocks, 1)
    separator = separator_of(ahead[0]) if ahead else " "
    words, vectors, lines = read_rows(blocks, dimensions, separator, repairs, first_line=2, most_rows=rows, limit=limit)
    if lines != rows and (limit is None or len(words) < limit):
        raise VectorFileError(f"{path}: line {lines + 2}: expected {rows} words, found the end of the file")
    return repairs.table(words, vectors)


def write(table: VectorTable, path: Path) -> None:
    """Writes the file whole or not at all, with the shortest decimals that read back as the same float32.

    It is compressed where the name ends in .gz, .bz2 or .zst. Counts and metadata have no place in this format.

    Raises:
        VectorFileError: a word holds a newline, which ends a line here, or is empty.
        OSError: the file cannot be written.
    """
    words = encode_words(table.words, path, separators="\n")
    with whole_file(path) as file, compressing(file, path.suffix.lower()) as text:
        text.write(b"%d %d\n" % table.vectors.shape)
        for rows in rows_as_text(words, table.vectors):
            text.write(rows)
