"""Blocks of lines that hold a word and its vector: the interface, and the pick of the compiled or the Python reader."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pyembed.compiled_text import native
from pyembed.vectors.arrays import Float32Array
from pyembed.vectors.formats import python_lines


class Fault(NamedTuple):
    """A line that holds no word and vector."""

    line: int
    """In the block, from 0."""
    kind: int
    """1: other than 1 + D fields; 2: no word; 3: not UTF-8; 4: a field that is no number."""
    place: int
    """Kind 1: how many fields there are; kind 4: the dimension."""
    text: bytes
    """The beginning of the line; kind 4: of the field and what follows it."""

    def message(self, dimensions: int, separator: str, has_word: bool) -> str:
        """Expected and found."""
        field = self.text.partition(separator.encode())[0]
        if self.kind == 1:
            expected = f"a word and {dimensions} numbers" if has_word else f"{dimensions} numbers"
            return f"expected {expected}, found {self.place} fields"
        if self.kind == 2:
            return "expected a word before the numbers, found none"
        if self.kind == 3:
            return f"expected UTF-8, found {field!r}"
        return f"expected a number in dimension {self.place}, found {field[:40]!r}"


_Parse = Callable[[bytes, int, str, bool, bool, int], tuple[list[str], int, Float32Array, int, int, Fault | None]]
parse: _Parse = python_lines.vector_lines if native is None else native.vector_lines
"""(block of lines, D, separator of fields, has_word, any_bytes, threads): the words of lines without a fault, how many
have bytes that are not UTF-8 (which, with any_bytes, become U+FFFD and are no fault), their vectors float32[n, D], the
number of lines, of lines with a fault, and the first Fault.

Fields stand between separators, exactly one; those at a line's end do not count, nor do spaces and carriage returns
there. The last D fields are the numbers, so a word may hold separators. Numbers are rounded once, to the nearest
float32, ties to even; those too large become infinite. `nan`, `inf` and `infinity` are numbers, whatever the case."""
