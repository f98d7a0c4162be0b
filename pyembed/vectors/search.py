"""What looks through all words: the most similar ones, for one query or for thousands."""

from __future__ import annotations

import operator
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, overload

import numpy as np

from pyembed.vectors.arrays import Float32Array, Int64Array
from pyembed.vectors.comparisons import Comparable, KeyOrVector, as_list
from pyembed.vectors.lookup import Key
from pyembed.vectors.nearest import EXACT
from pyembed.vectors.queries import Excluded, Queries, by_cosine, by_products
from pyembed.vectors.rows import PartOfRows, unit_rows

if TYPE_CHECKING:
    from pyembed.vectors.approximate import ApproximateIndex, IndexDtype

Item = KeyOrVector | tuple[KeyOrVector, float]
"""A word or a vector, or either with its weight."""
Items = KeyOrVector | Sequence[Item] | None
"""One item, several, or none."""
Ranking = list[tuple[str, float]]
"""Words and their scores, best first."""


class Indexer(Protocol):
    """An approximate search, of another library say, that stands in for the exact one."""

    def most_similar(self, vector: Float32Array, num_neighbors: int, /) -> Ranking:
        """The words nearest to a vector [D] of length 1."""


class Searchable(Comparable):
    """Words that can be searched for, all of them or a range."""

    @overload
    def most_similar(
        self,
        positive: Items = None,
        negative: Items = None,
        topn: int = 10,
        clip_start: int = 0,
        clip_end: int | None = None,
        restrict_vocab: int | None = None,
        indexer: Indexer | None = None,
    ) -> Ranking: ...

    @overload
    def most_similar(
        self,
        positive: Items = None,
        negative: Items = None,
        *,
        topn: None,
        clip_start: int = 0,
        clip_end: int | None = None,
        restrict_vocab: int | None = None,
        indexer: Indexer | None = None,
    ) -> Float32Array: ...

    def most_similar(
        self,
        positive: Items = None,
        negative: Items = None,
        topn: int | None = 10,
        clip_start: int = 0,
        clip_end: int | None = None,
        restrict_vocab: int | None = None,
        indexer: Indexer | None = None,
    ) -> Ranking | Float32Array:
        """Words nearest to the sum of the positive minus the negative ones (3CosAdd).

        Args:
            positive: a word, taken at length 1, or a vector float32[D], taken as it is; or several of either. A tuple
                (word, weight) counts with that weight instead of 1.
            negative: likewise; the weight in a tuple stands instead of -1, so it usually is below 0.
            topn: words wanted; None for the scores of all.
            clip_start, clip_end: search only these rows.
            restrict_vocab: search only so many of the first, most frequent, words.
            indexer: answers instead of the exact search.

        Returns:
            Words and cosines, best first, without the words of the query and those whose vectors hold NaN or infinity;
            fewer than `topn` where there are no more. With `topn=None` the cosines of all searched rows, float32[n],
            NaN for such vectors.

        Raises:
            UnknownWordError: a KeyError.
            ValueError: no word at all, a vector of another size, or restrict_vocab below 1.
        """
        queries, asked = self._queries([positive], [negative])
        if indexer is not None and topn is not None:
            return indexer.most_similar(queries[0], topn)
        return self._answer(by_cosine(queries), asked, topn, self._range(clip_start, clip_end, restrict_vocab))

    def most_similar_batch(
        self,
        positive: Sequence[Items] | Float32Array,
        negative: Sequence[Items] | None = None,
        topn: int = 10,
        restrict_vocab: int | None = None,
    ) -> list[Ranking]:
        """`most_similar` for many queries in one call, many times faster than one at a time.

        Args:
            positive: for each query what `most_similar` takes; a matrix [Q, D] is Q queries of a vector each.
            negative: for each query likewise.
            topn: words wanted for each.
            restrict_vocab: search only so many of the first, most frequent, words.

        Returns:
            For each query what `most_similar` returns. Cosines may differ from its in the last bits.

        Raises:
            UnknownWordError, ValueError: as `most_similar`; or not as many negatives as positives.
        """
        queries, asked = self._queries_of_batch(positive, negative)
        return self._rankings(by_cosine(queries), asked, topn, self._range(0, None, restrict_vocab))

    def most_similar_cosmul(
        self, positive: Items = None, negative: Items = None, topn: int | None = 10, restrict_vocab: int | None = None
    ) -> Ranking | Float32Array:
        """Words by the product of cosines to the positive over that to the negative ones (3CosMul).

        Each cosine c counts as (1 + c) / 2, and 1e-6 is added to the divisor (Levy and Goldberg 2014). Arguments and
        result are those of `most_similar`, without weights.
        """
        sides = [as_list(side) for side in (positive, negative)]  # type: ignore[arg-type]
        if not sides[0]:
            raise ValueError("positive: expected at least one word or vector, found none")
        shape = (-1, 1, self.vector_size)
        terms = [
            np.array([self._as_vector(item, norm=True) for item in side], np.float32).reshape(shape) for side in sides
        ]
        asked = [self.get_index(item) for side in sides for item in side if not isinstance(item, np.ndarray)]
        return self._answer(by_products(terms[0], terms[1]), [asked], topn, self._range(0, None, restrict_vocab))

    def similar_by_key(
        self, key: Key, topn: int | None = 10, restrict_vocab: int | None = None
    ) -> Ranking | Float32Array:
        """`most_similar` of one word."""
        return self.most_similar(key, topn=topn, restrict_vocab=restrict_vocab)

    def similar_by_word(
        self, word: Key, topn: int | None = 10, restrict_vocab: int | None = None
    ) -> Ranking | Float32Array:
        """`most_similar` of one word."""
        return self.similar_by_key(word, topn, restrict_vocab)

    def similar_by_vector(
        self, vector: Float32Array, topn: int | None = 10, restrict_vocab: int | None = None
    ) -> Ranking | Float32Array:
        """`most_similar` of one vector, float32[D]."""
        one = self._as_vector(vector)
        return self.most_similar(one, topn=topn, restrict_vocab=restrict_vocab)

    def analogy(self, a: Key, b: Key, c: Key, topn: int = 10, restrict_vocab: int | None = None) -> Ranking:
        """Answers to "a is to b as c is to ?": `most_similar` with b and c positive, a negative."""
        return self.most_similar(positive=[b, c], negative=[a], topn=topn, restrict_vocab=restrict_vocab)

    def relative_cosine_similarity(self, wa: Key, wb: Key, topn: int = 10) -> float:
        """The cosine of two words over the sum of those of the `topn` words most similar to `wa`.

        Above 1 / topn the two are more similar than two words usually are (Leeuwenberg et al. 2016).

        Raises:
            ValueError: no word is similar.
        """
        similar = self.most_similar(wa, topn=topn)
        if not similar:
            raise ValueError(f"expected at least one word similar to {wa!r}, found none")
        return self.similarity(wa, wb) / sum(cosine for _, cosine in similar)

    def search_on(self, device: str | None) -> None:
        """Searches from now on through PyTorch on a device, "cuda" for example; None for the CPU without PyTorch.

        Results are the same up to rounding. The device holds a copy of the vectors, float32[V, D], and at most 34 MB of
        scores; it is made anew for each search once `vectors` was asked for, since somebody may have changed them.

        Raises:
            ValueError: PyTorch has no such device here.
        """
        if device is None:
            self._search = EXACT
            return
        from pyembed.vectors.torch_search import TorchSearch  # not at the head: it takes a second to import PyTorch

        self._search = TorchSearch(device)

    def approximate_index(
        self,
        *,
        connectivity: int = 16,
        expansion_add: int = 128,
        expansion_search: int = 64,
        dtype: IndexDtype = "f32",
    ) -> ApproximateIndex:
        """An index that finds most of the nearest words, looking at few of all; see `ApproximateIndex.build`.

        Raises:
            ModuleNotFoundError: the package usearch is not installed.
        """
        from pyembed.vectors.approximate import ApproximateIndex  # which builds on this file

        return ApproximateIndex.build(
            self,
            connectivity=connectivity,
            expansion_add=expansion_add,
            expansion_search=expansion_search,
            dtype=dtype,
        )

    def load_approximate_index(self, path: str | os.PathLike[str]) -> ApproximateIndex:
        """Reads an index of these vectors that was saved; see `ApproximateIndex.load`."""
        from pyembed.vectors.approximate import ApproximateIndex  # which builds on this file

        return ApproximateIndex.load(self, path)

    def _queries_of_batch(
        self, positive: Sequence[Items] | Float32Array, negative: Sequence[Items] | None
    ) -> tuple[Float32Array, list[list[int]]]:
        """As `_queries`; `negative` may be left out."""
        if negative is not None and len(negative) != len(positive):
            raise ValueError(f"negative: expected one for each of {len(positive)} queries, found {len(negative)}")
        if not len(positive):
            return np.empty((0, self.vector_size), dtype=np.float32), []
        return self._queries(list(positive), [None] * len(positive) if negative is None else list(negative))

    def _queries(self, positive: Sequence[Items], negative: Sequence[Items]) -> tuple[Float32Array, list[list[int]]]:
        """For each query its vector at length 1, [Q, D], and the rows of its words."""
        rows: list[int] = []
        vectors: dict[int, Float32Array] = {}
        weights: list[float] = []
        sizes: list[int] = []
        for added, subtracted in zip(positive, negative, strict=True):
            before = len(weights)
            for side, sign in ((added, 1.0), (subtracted, -1.0)):
                for item in as_list(side):  # type: ignore[arg-type]
                    key, weight = item if isinstance(item, tuple) else (item, sign)
                    if isinstance(key, (str, int, np.integer)):
                        rows.append(self.get_index(key))
                    else:
                        vectors[len(weights)] = self._as_vector(key)
                        rows.append(-1)
                    weights.append(weight)
            sizes.append(len(weights) - before)
            if not sizes[-1]:
                raise ValueError("positive, negative: expected at least one word or vector, found none")
        index = np.array(rows, dtype=np.int64)
        terms = np.empty((len(rows), self.vector_size), dtype=np.float32)
        terms[index >= 0] = self._units(rows_asked) if (rows_asked := index[index >= 0]).size else 0
        for place, vector in vectors.items():
            terms[place] = vector
        firsts = np.cumsum([0, *sizes[:-1]])
        sums = np.add.reduceat(terms * np.array(weights, dtype=np.float32)[:, None], firsts, axis=0)
        ends = np.append(firsts[1:], len(rows)).tolist()
        asked = [[row for row in rows[first:end] if row >= 0] for first, end in zip(firsts.tolist(), ends, strict=True)]
        return unit_rows(sums), asked

    def _range(self, clip_start: int, clip_end: int | None, restrict_vocab: int | None) -> tuple[int, int]:
        """The rows to search, as start and stop."""
        if restrict_vocab is not None:
            if restrict_vocab < 1:
                raise ValueError(f"restrict_vocab: expected at least 1, or None for all, found {restrict_vocab}")
            clip_start, clip_end = 0, restrict_vocab
        start, stop, _ = slice(clip_start, clip_end or None).indices(len(self))
        return start, max(start, stop)

    def _answer(
        self, queries: Queries, asked: list[list[int]], topn: int | None, searched: tuple[int, int]
    ) -> Ranking | Float32Array:
        """What to give back for one query."""
        if topn is None:
            (scores,) = self._search.scores(PartOfRows(self._rows(), *searched), queries)
            return np.asarray(scores)
        return self._rankings(queries, asked, topn, searched)[0]

    def _rankings(
        self, queries: Queries, asked: list[list[int]], topn: int, searched: tuple[int, int]
    ) -> list[Ranking]:
        start, stop = searched
        if topn < 1 or start == stop or not asked:
            return [[] for _ in asked]
        excluded = Excluded.of([[row - start for row in rows if start <= row < stop] for rows in asked])
        k = min(operator.index(topn), stop - start)
        found, scores = self._search.nearest(PartOfRows(self._rows(), start, stop), queries, k, excluded)
        return self._named(start + found, scores)

    def _named(self, found: Int64Array, scores: Float32Array) -> list[Ranking]:
        """Words and scores, of rows int64[Q, k] and scores float32[Q, k], without those of -inf."""
        words = self.index_to_key
        return [
            [(words[row], value) for row, value in zip(*pair, strict=True) if value != -np.inf]
            for pair in zip(found.tolist(), scores.tolist(), strict=True)
        ]
