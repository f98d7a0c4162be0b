"""What needs the vectors of a few words only: cosines, means, and which word stands apart."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pyembed.vectors.arrays import Float32Array
from pyembed.vectors.lookup import Key, Lookup
from pyembed.vectors.nearest import EXACT, Search
from pyembed.vectors.queries import by_cosine
from pyembed.vectors.rows import unit_rows
from pyembed.vectors.word_movers import word_movers_distance

KeyOrVector = Key | Float32Array
"""A word, the number of a row, or a vector float32[D]."""


class Comparable(Lookup):
    """Words that can be compared. Cosines are -1 to 1, and 0 where a vector is all zeros; distances are 1 - cosine."""

    _search: Search = EXACT

    def similarity(self, w1: Key, w2: Key) -> float:
        """The cosine of two words.

        Raises:
            UnknownWordError: a KeyError.
        """
        first, second = self._units((w1, w2))
        return float(first @ second)

    def distance(self, w1: Key, w2: Key) -> float:
        """1 - `similarity`."""
        return 1 - self.similarity(w1, w2)

    def n_similarity(self, ws1: Sequence[KeyOrVector], ws2: Sequence[KeyOrVector]) -> float:
        """The cosine of the means of two lists of words; words without a vector do not count.

        Raises:
            ZeroDivisionError: a list is empty.
        """
        if not (len(ws1) and len(ws2)):
            raise ZeroDivisionError(f"expected at least one word in each list, found {len(ws1)} and {len(ws2)}")
        means = [self.get_mean_vector(words, pre_normalize=False, post_normalize=True) for words in (ws1, ws2)]
        return float(means[0] @ means[1])

    @staticmethod
    def cosine_similarities(vector_1: npt.ArrayLike, vectors_all: npt.ArrayLike) -> Float32Array:
        """The cosines of a vector [D] and of each of several, [n, D]: float32[n]."""
        query = unit_rows(np.asarray(vector_1, dtype=np.float32)[None, :])
        cosines: Float32Array = unit_rows(np.asarray(vectors_all, dtype=np.float32)) @ query[0]
        return cosines

    def distances(self, word_or_vector: KeyOrVector, other_words: Sequence[Key] = ()) -> Float32Array:
        """Distances to each of the other words, or to all where none are given: float32[n].

        Raises:
            UnknownWordError: a KeyError.
        """
        query = unit_rows(self._as_vector(word_or_vector)[None, :])
        if len(other_words):
            cosines: Float32Array = self._units(other_words) @ query[0]
            return 1 - cosines
        distances: Float32Array = 1 - self._search.scores(self._rows(), by_cosine(query))[0]
        return distances

    def most_similar_to_given(self, key1: Key, keys_list: Sequence[Key]) -> Key:
        """The one of `keys_list` most similar to `key1`; of equal ones the first."""
        return keys_list[int(np.argmin(self.distances(key1, keys_list)))]

    def closer_than(self, key1: Key, key2: Key) -> list[str]:
        """All words closer to `key1` than `key2` is, in the order of their rows."""
        first, second = self._indices((key1, key2)).tolist()
        distances = self.distances(key1)
        return [self.index_to_key[row] for row in np.flatnonzero(distances < distances[second]) if row != first]

    def rank(self, key1: Key, key2: Key) -> int:
        """The place of `key2` among the words near `key1`, from 1."""
        return len(self.closer_than(key1, key2)) + 1

    def get_mean_vector(
        self,
        keys: KeyOrVector | Sequence[KeyOrVector],
        weights: npt.ArrayLike | None = None,
        pre_normalize: bool = True,
        post_normalize: bool = False,
        ignore_missing: bool = True,
    ) -> Float32Array:
        """The mean of the vectors of words, and of vectors, float32[D].

        Args:
            keys: words, numbers of rows, or vectors.
            weights: one for each key, 1 where not given; the sum is divided by the sum of their absolute values.
            pre_normalize: take each word at length 1; vectors are taken as they are.
            post_normalize: give back the mean at length 1.
            ignore_missing: leave words without a vector out of the mean.

        Raises:
            ValueError: no key, or a number of weights that is not that of the keys.
            UnknownWordError: a KeyError, unless `ignore_missing`.
        """
        items = as_list(keys)
        if not items:
            raise ValueError("expected at least one word or vector, found none")
        factors = np.ones(len(items)) if weights is None else np.asarray(weights, dtype=np.float64)
        if factors.shape != (len(items),):
            raise ValueError(f"weights: expected {len(items)}, one a key, found shape {list(factors.shape)}")
        total, mean = 0.0, np.zeros(self.vector_size, dtype=np.float32)
        for item, factor in zip(items, factors.tolist(), strict=True):
            if ignore_missing and not isinstance(item, np.ndarray) and item not in self:
                continue
            mean += factor * self._as_vector(item, norm=pre_normalize)
            total += abs(factor)
        if total:
            mean /= total
        return unit_rows(mean[None, :])[0] if post_normalize else mean

    def rank_by_centrality(self, words: Sequence[Key], use_norm: bool = True) -> list[tuple[float, Key]]:
        """Cosines to the mean of the words, each with its word, the most central first.

        With `use_norm` words are taken at length 1; without it these are dot products. Unknown words are left out. Of
        equal ones the last by spelling comes first, as in gensim.

        Raises:
            ValueError: no word has a vector.
        """
        known = [word for word in words if word in self]
        if len(known) < len(words):
            missing = [word for word in words if word not in self]
            warnings.warn(f"left out, since they have no vector: {missing}", stacklevel=2)
        if not known:
            raise ValueError("expected at least one word with a vector, found none")
        vectors = self._units(known) if use_norm else self[known]
        cosines = vectors @ unit_rows(vectors.mean(axis=0, keepdims=True))[0]
        return sorted(zip(cosines.tolist(), known, strict=True), key=lambda pair: (pair[0], str(pair[1])), reverse=True)

    def doesnt_match(self, words: Sequence[Key]) -> Key:
        """The word farthest from the mean of all.

        Raises:
            ValueError: no word has a vector.
        """
        return self.rank_by_centrality(words)[-1][1]

    def wmdistance(self, document1: Sequence[str], document2: Sequence[str], norm: bool = True) -> float:
        """Word Mover's Distance of two lists of words (Kusner et al. 2015), exact; words without a vector do not count.

        It is the least sum of mass times Euclidean distance that turns the one document, in which each word weighs its
        share of all, into the other: 0 for equal documents, infinity where one has no known word. With `norm` vectors
        are taken at length 1.

        Raises:
            ValueError: the documents are too long, see `word_movers_distance`.
        """
        documents = [[word for word in document if word in self] for document in (document1, document2)]
        if not all(documents):
            return float("inf")
        words = sorted({word for document in documents for word in document})
        position = {word: index for index, word in enumerate(words)}
        counts = [np.bincount([position[word] for word in document], minlength=len(words)) for document in documents]
        return word_movers_distance(self._units(words) if norm else self[words], counts[0], counts[1])

    def _as_vector(self, item: KeyOrVector, norm: bool = False) -> Float32Array:
        """The vector of a word, at length 1 with `norm`; a vector as it is."""
        if isinstance(item, (str, int, np.integer)):
            return self.get_vector(item, norm=norm)
        vector = np.asarray(item, dtype=np.float32)
        if vector.shape != (self.vector_size,):
            raise ValueError(f"expected a vector of shape [{self.vector_size}], found {list(vector.shape)}")
        return vector


def as_list(items: KeyOrVector | Sequence[KeyOrVector] | None) -> list[KeyOrVector]:
    """One item, several, or none, as a list; a matrix is a list of its rows."""
    if items is None:
        return []
    if isinstance(items, (str, int, np.integer)) or (isinstance(items, np.ndarray) and items.ndim == 1):
        return [items]
    return list(items)
