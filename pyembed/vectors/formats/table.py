"""What a vector file holds, whatever its format: the record every reader returns and every writer takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pyembed.vectors.arrays import Float32Array, Int64Array


class VectorFileError(ValueError):
    """A vector file is damaged or of another format, or a format cannot hold the given words."""


@dataclass(frozen=True, kw_only=True)
class VectorTable:
    """Words and their vectors, row by row, most frequent first where the maker knew frequencies."""

    words: Sequence[str]
    """[V], distinct."""
    vectors: Float32Array
    """[V, D] float32, C order."""
    counts: Int64Array | None = None
    """[V] int64, occurrences in the corpus, where the format keeps them."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Free text by name, where the format keeps it: hyper-parameters, provenance."""


def require_distinct(words: Sequence[str], path: object) -> None:
    """Raises VectorFileError naming both rows of the first word that occurs twice."""
    if len(set(words)) == len(words):
        return
    first_row: dict[str, int] = {}
    for row, word in enumerate(words):
        if first_row.setdefault(word, row) != row:
            rows = f"rows {first_row[word]} and {row}"
            raise VectorFileError(f"{path}: expected distinct words, found {word!r} in {rows}")
