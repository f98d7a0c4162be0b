"""Approximate search by a graph of near neighbours (HNSW, Malkov and Yashunin 2016), through the package usearch."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from pyembed.config import usable_cores
from pyembed.files import whole_file
from pyembed.vectors.arrays import Float32Array
from pyembed.vectors.formats import VectorFileError
from pyembed.vectors.rows import Rows
from pyembed.vectors.search import Items, Ranking, Searchable

IndexDtype = Literal["f32", "bf16", "f16", "i8"]
"""What an index keeps vectors as."""

_FORMAT = "pyembed approximate index 1"
_LONGEST_HEADER = 1 << 12
_ROWS_AT_ONCE = 65_536
_VALUES_AT_ONCE = 1 << 24
"""Of the vectors that queries found."""


def usearch_package() -> Any:
    """The package's module, or a ModuleNotFoundError that says how to install it."""
    # First: usearch brings a C++ library of its own, and a torch that is loaded after it cannot print numbers any more.
    import torch  # noqa: F401

    try:
        from usearch import index
    except ImportError:
        raise ModuleNotFoundError(
            "approximate search needs the package usearch: pip install 'pyembed-torch[ann]'", name="usearch"
        ) from None
    return index


class ApproximateIndex:
    """Finds most of the nearest words, looking at few of all.

    It is a picture of the vectors as they were; vectors that changed since are looked for where they were, and words
    that were added are not found. Cosines are exact, and those of now.
    """

    def __init__(self, vectors: Searchable, index: Any, fingerprint: str) -> None:
        """Made by `build` or `load`; the fingerprint is that of the vectors as they are in the index."""
        self._vectors = vectors
        self._index = index
        self._fingerprint = fingerprint
        self._words, self._count = vectors.index_to_key, len(vectors)

    @classmethod
    def build(
        cls,
        vectors: Searchable,
        *,
        connectivity: int = 16,
        expansion_add: int = 128,
        expansion_search: int = 64,
        dtype: IndexDtype = "f32",
    ) -> ApproximateIndex:
        """Adds all words, on all cores, but those whose vectors hold NaN or infinity.

        Words that cores add at the same moment may miss each other: on two cores a few of 10,000 are never found then.

        Args:
            vectors: the words.
            connectivity: neighbours of a node, called M elsewhere, >= 2: more find more and take more memory.
            expansion_add: candidates for a new node's neighbours, efConstruction elsewhere, >= 1.
            expansion_search: candidates of a search, ef elsewhere, >= 1: more find more and take longer.
            dtype: of the index's own copy of the vectors, at length 1.

        Raises:
            ModuleNotFoundError: usearch is not installed.
            ValueError: a number is too small, or another dtype.
        """
        if dtype not in get_args(IndexDtype):
            raise ValueError(f"dtype: expected one of {', '.join(get_args(IndexDtype))}, found {dtype!r}")
        for name, value, least in (
            ("connectivity", connectivity, 2),
            ("expansion_add", expansion_add, 1),
            ("expansion_search", expansion_search, 1),
        ):
            if value < least:
                raise ValueError(f"{name}: expected at least {least}, found {value}")
        index = usearch_package().Index(
            ndim=vectors.vector_size,
            metric="ip",
            dtype=dtype,
            connectivity=connectivity,
            expansion_add=expansion_add,
            expansion_search=expansion_search,
        )
        rows = vectors._rows()
        fingerprint = _fingerprint(rows)
        for start in range(0, len(vectors), _ROWS_AT_ONCE):
            block, norms = rows.block(start, min(start + _ROWS_AT_ONCE, len(vectors)))
            usable = np.isfinite(norms)
            index.add(start + np.flatnonzero(usable), block[usable] / norms[usable, None], threads=usable_cores())
        return cls(vectors, index, fingerprint)

    def __len__(self) -> int:
        """How many words it holds."""
        return len(self._index)

    @property
    def expansion_search(self) -> int:
        """Candidates of a search, >= 1; may be set."""
        return int(self._index.expansion_search)

    @expansion_search.setter
    def expansion_search(self, value: int) -> None:
        if value < 1:
            raise ValueError(f"expansion_search: expected at least 1, found {value}")
        self._index.expansion_search = value

    def most_similar(self, positive: Items = None, topn: int = 10, *, negative: Items = None) -> Ranking:
        """As `KeyedVectors.most_similar`, whose `indexer` this may be too."""
        return self.most_similar_batch([positive], [negative], topn)[0]

    def most_similar_batch(
        self, positive: Sequence[Items] | Float32Array, negative: Sequence[Items] | None = None, topn: int = 10
    ) -> list[Ranking]:
        """As `KeyedVectors.most_similar_batch`, on all cores.

        Raises:
            UnknownWordError, ValueError: as there; or the words were put in another order.
            TypeError: topn is no whole number.
        """
        if not isinstance(topn, (int, np.integer)):
            raise TypeError(f"topn: expected a whole number, found {topn!r}; name what is `negative`")
        self._require_same_words()
        queries, asked = self._vectors._queries_of_batch(positive, negative)
        if topn < 1 or not (asked and len(self)):
            return [[] for _ in asked]
        # A query's own words are found too, and left out.
        wanted = min(topn + max(map(len, asked)), len(self))
        at_once = max(1, _VALUES_AT_ONCE // (wanted * self._vectors.vector_size))
        rankings: list[Ranking] = []
        for first in range(0, len(queries), at_once):
            part = slice(first, first + at_once)
            rankings += self._rankings(queries[part], asked[part], wanted, topn)
        return rankings

    def _require_same_words(self) -> None:
        """Raises ValueError where the index's rows are not those of its words any more."""
        words = self._vectors.index_to_key
        if words is self._words:  # to which words may have been added
            return
        if words[: self._count] != self._words[: self._count]:
            raise ValueError("expected the words of the index in their order, found others; build the index anew")
        self._words = words

    def _rankings(self, queries: Float32Array, asked: list[list[int]], wanted: int, topn: int) -> list[Ranking]:
        matches = self._index.search(queries, wanted, threads=usable_cores())
        found = np.asarray(matches.keys, dtype=np.int64).reshape(len(queries), -1)
        # Of one query the package gives just the rows it found, of several as many as wanted and how many are there.
        counts = found.shape[1] if len(queries) == 1 else np.asarray(matches.counts)[:, None]
        there = np.broadcast_to(np.arange(found.shape[1]) < counts, found.shape).copy()
        rows, norms = self._vectors._rows().gather(np.where(there, found, 0))
        scores = np.einsum("qnd,qd->qn", rows, queries) / norms
        for query, words in enumerate(asked):
            there[query] &= ~np.isin(found[query], words)
        scores[~there | ~np.isfinite(norms) | np.isnan(scores)] = -np.inf
        order = np.lexsort((found, -scores), axis=1)[:, :topn]
        return self._vectors._named(np.take_along_axis(found, order, axis=1), np.take_along_axis(scores, order, axis=1))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the index, `expansion_search` with it, to stand beside the vectors' own file; whole or not at all.

        Raises:
            OSError: the file cannot be written.
        """
        content = bytes(self._index.save())
        header = {
            "format": _FORMAT,
            "vectors": self._fingerprint,
            "expansion_search": self.expansion_search,
            "content": _digest(content),
        }
        with whole_file(path) as file:
            file.write(json.dumps(header).encode() + b"\n")
            file.write(content)

    @classmethod
    def load(cls, vectors: Searchable, path: str | os.PathLike[str]) -> ApproximateIndex:
        """Reads what `save` wrote.

        Raises:
            pyembed.vectors.VectorFileError: the file is damaged, or the index is one of other vectors.
            ModuleNotFoundError: usearch is not installed.
            OSError: the file cannot be read.
        """
        usearch = usearch_package()
        with Path(path).open("rb") as file:
            first_line = file.readline(_LONGEST_HEADER)
            try:
                header = json.loads(first_line)
            except ValueError:
                header = None
            if not isinstance(header, dict) or header.get("format") != _FORMAT:
                raise VectorFileError(f"{path}: line 1: expected the header of a {_FORMAT}, found {first_line[:60]!r}")
            content = file.read()
        # The package believes what a file says about its own sizes.
        expansion = header.get("expansion_search")
        if header.get("content") != _digest(content) or not (isinstance(expansion, int) and 1 <= expansion < 1 << 32):
            raise VectorFileError(f"{path}: expected the bytes that were saved, found others; the file is damaged")
        fingerprint = _fingerprint(vectors._rows())
        if header.get("vectors") != fingerprint:
            raise VectorFileError(
                f"{path}: expected an index of these vectors, found one of others, or of these before they changed; "
                "build it anew"
            )
        loaded = cls(vectors, usearch.Index.restore(content), fingerprint)
        loaded.expansion_search = expansion
        return loaded


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _fingerprint(rows: Rows) -> str:
    """Tells rows from others."""
    digest = hashlib.blake2b(repr(rows.shape).encode(), digest_size=16)
    values = rows.values()
    for start in range(0, len(values), _ROWS_AT_ONCE):
        digest.update(values[start : start + _ROWS_AT_ONCE].tobytes())
    return digest.hexdigest()
