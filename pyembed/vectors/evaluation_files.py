"""Files of word pairs and of analogies, line by line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path


class EvaluationFileError(ValueError):
    """A file of word pairs or analogies is not in its format. The message names the line."""


def _read_lines(path: Path, encoding: str = "utf-8") -> Iterator[tuple[int, str]]:
    """Numbered lines, from 1, without blank ones."""
    if encoding.lower().replace("-", "").replace("_", "") == "utf8":
        encoding = "utf-8-sig"  # which passes over a byte order mark
    try:
        with path.open(encoding=encoding) as file:
            for line_number, line in enumerate(file, 1):
                if stripped := line.strip():
                    yield line_number, stripped
    except UnicodeDecodeError as error:
        raise EvaluationFileError(
            f"{path}: expected {encoding.removesuffix('-sig').upper()}, found bytes that are not: {error}"
        ) from error


def read_pairs(path: Path, delimiter: str | None = None, encoding: str = "utf-8") -> Iterator[tuple[str, str, float]]:
    """Two words and a number a line, between `delimiter`, or where it is None tabs, commas, semicolons or spaces.

    Lines that begin with # and a first line of titles are left out.

    Raises:
        EvaluationFileError: a line is not of that form.
        OSError: the file cannot be read.
    """
    is_first = True
    for line_number, line in _read_lines(path, encoding):
        if line.startswith("#"):
            continue
        separator = delimiter or next((mark for mark in "\t,;" if mark in line), None)
        fields = [field.strip() for field in line.split(separator)] if separator else re.split(r"\s+", line)
        try:
            word1, word2, score = fields
            yield word1, word2, float(score)
        except ValueError:
            if not is_first:
                raise EvaluationFileError(
                    f"{path}: line {line_number}: expected two words and a number, found {line[:80]!r}"
                ) from None
        is_first = False


def read_analogies(path: Path) -> list[tuple[str, list[list[str]]]]:
    """Each section's name and questions of four words.

    Raises:
        EvaluationFileError: a line is not of that form.
        OSError: the file cannot be read.
    """
    sections: list[tuple[str, list[list[str]]]] = []
    for line_number, line in _read_lines(path):
        words = line.split()
        if line.startswith(":"):
            sections.append((line[1:].strip(), []))
        elif sections and len(words) == 4:
            sections[-1][1].append(words)
        else:
            expected = "four words" if sections else "a line `: section` first"
            raise EvaluationFileError(f"{path}: line {line_number}: expected {expected}, found {line[:80]!r}")
    return sections
