"""GloVe's text format: for each word a line of the word and D numbers, and no header.

D is what most of the first lines have, for a word may hold spaces (`. . .` in GloVe's 840B): a line's last D fields are
its numbers. Otherwise as word2vec's text format.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from pyembed.compression import compressing
from pyembed.files import whole_file
from pyembed.vectors.formats.repairs import Errors, Repairs
from pyembed.vectors.formats.table import VectorFileError, VectorTable
from pyembed.vectors.formats.text_rows import lines_ahead, read_rows, rows_as_text, separator_of, whole_lines
from pyembed.vectors.formats.word2vec_shared import encode_words

_LINES_TO_COUNT_FIELDS_IN = 100


def read(path: Path, *, errors: Errors = "strict", limit: int | None = None) -> VectorTable:
    """Reads the file in blocks of lines, decompressed where its name ends in .gz, .bz2 or .zst.

    With a limit it is read no further than so many rows, >= 1.

    Raises:
        VectorFileError: the file is empty or damaged; the message names the line, counted from 1.
        OSError: the file cannot be read.
    """
    repairs = Repairs(path, errors)
    ahead, blocks = lines_ahead(whole_lines(path), _LINES_TO_COUNT_FIELDS_IN)
    if not ahead:
        raise VectorFileError(f"{path}: line 1: expected a word and its numbers, found an empty line or file")
    separator = separator_of(ahead[0])
    ((fields, _),) = Counter(line.count(separator.encode()) for line in ahead).most_common(1)
    if fields == 0:
        raise VectorFileError(f"{path}: line 1: expected a word and its numbers, found {ahead[0][:60]!r}")
    words, vectors, _ = read_rows(blocks, fields, separator, repairs, first_line=1, limit=limit)
    return repairs.table(words, vectors)


def write(table: VectorTable, path: Path) -> None:
    """Writes the file whole or not at all, with the shortest decimals that read back as the same float32.

    It is compressed where the name ends in .gz, .bz2 or .zst. Counts and metadata have no place in this format.

    Raises:
        VectorFileError: there is no word, without which nothing tells D; a word holds a newline, which ends a line
            here, or is empty; or most of the first words hold spaces, so that their lines would tell another D.
        OSError: the file cannot be written.
    """
    if not len(table.words):
        raise VectorFileError(f"{path}: expected at least one word, which GloVe's format needs, found none")
    words = encode_words(table.words, path, separators="\n")
    first = words[:_LINES_TO_COUNT_FIELDS_IN]
    ((fields, _),) = Counter((word + b" 0").strip(b" \r").count(b" ") for word in first).most_common(1)
    if fields != 1:
        raise VectorFileError(
            f"{path}: expected words without spaces in most of the first {_LINES_TO_COUNT_FIELDS_IN} lines, which tell "
            f"the number of dimensions in this format, found words like {first[0].decode()!r}; word2vec-text holds them"
        )
    with whole_file(path) as file, compressing(file, path.suffix.lower()) as text:
        for rows in rows_as_text(words, table.vectors):
            text.write(rows)
