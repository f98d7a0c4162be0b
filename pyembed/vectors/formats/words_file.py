"""Words in a text file of their own, one a line, beside an array that has no place for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pyembed.files import whole_file
from pyembed.vectors.formats.repairs import Repairs
from pyembed.vectors.formats.word2vec_shared import encode_words


def read_words(path: Path, repairs: Repairs) -> list[str | None]:
    """A word a line, without the carriage return that may end it.

    Raises:
        VectorFileError: a word is not UTF-8, where the policy is strict.
        OSError: the file cannot be read.
    """
    lines = path.read_bytes().split(b"\n")
    if not lines[-1]:
        lines.pop()
    return [repairs.decode(line.removesuffix(b"\r"), f"{path}: line {row}") for row, line in enumerate(lines, 1)]


def write_words(words: Sequence[str], path: Path) -> None:
    """Writes the file whole or not at all.

    Raises:
        VectorFileError: a word holds a newline or carriage return, which end a word here, or is empty.
        OSError: the file cannot be written.
    """
    encoded = encode_words(words, path, separators="\n\r")
    with whole_file(path) as file:
        file.writelines(word + b"\n" for word in encoded)
