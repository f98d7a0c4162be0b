"""What a trained model says of words in context: likely centers, likelihoods of sentences; and the memory it takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt

from pyembed.corpus.huffman import HuffmanPaths, huffman_paths
from pyembed.models.settings import training_config
from pyembed.models.state import ModelState
from pyembed.training.tables import padded_columns

_CENTERS_AT_ONCE = 32
"""Whose contexts and paths are multiplied together: few, because most of the products are not looked at."""
_BYTES_OF_A_WORD = 57 + 2 * 8 + 74 + 32 + 8
"""A str of eight letters, its place in two lists, a dict's entry (half full on average), its number, its count."""

Float32Array = npt.NDArray[np.float32]


def predict_output_word(
    model: ModelState, context_words_list: Iterable[str | int], topn: int | None = 10
) -> list[tuple[str, float]] | None:
    """The words that are the likeliest in the middle of these, and how likely, the likeliest first.

    The hidden vector is that of CBOW, in a skip-gram model too: the contexts' mean, or sum where cbow_mean is 0. The
    probabilities are a softmax over all words of its products with out_vectors.

    Args:
        model: trained with negative sampling.
        context_words_list: words, or numbers of rows; one word alone may be given as a str. Unknown ones are left out.
        topn: how many; None: all.

    Returns:
        Words with probabilities; None where no word is known.

    Raises:
        RuntimeError: there is no vocabulary, or no out_vectors because the model has no negative samples.
    """
    if not len(model.vocabulary):
        raise RuntimeError("expected a model with a vocabulary, found none; call build_vocab and train first")
    outputs = model.syn1neg
    if outputs is None:
        raise RuntimeError(
            "predict_output_word: expected a model with negative sampling, found negative = 0; "
            "score() tells likelihoods in a model with hierarchical softmax"
        )
    given = [context_words_list] if isinstance(context_words_list, str) else context_words_list
    rows = [model.wv.get_index(word) for word in given if word in model.wv]
    if not rows:
        return None
    hidden = model.wv[rows].sum(axis=0)
    if model.cbow_mean:
        hidden /= len(rows)
    scores = (outputs @ hidden).astype(np.float64)
    odds = np.exp(scores - scores.max())  # of which none overflows
    likeliest = np.argsort(-odds, kind="stable")[: None if topn is None else max(topn, 0)]
    total = odds.sum()
    return [(model.vocabulary.words[row], float(odds[row] / total)) for row in likeliest.tolist()]


def score(
    model: ModelState, sentences: Iterable[Sequence[str]], total_sentences: int | None = None
) -> npt.NDArray[np.float64]:
    """The log-likelihood of each sentence: of its words given the words around them (Taddy 2015, arXiv:1504.07295).

    Windows have their full size, and nothing is left out by chance. Skip-gram adds up over all pairs of a center and a
    context, CBOW over all centers with a context. Words that are not in the vocabulary are left out first.

    Args:
        model: trained with hierarchical softmax.
        sentences: lists of words, of any length.
        total_sentences: stop after so many; None: score all.

    Returns:
        float64[n], in nats, at most 0; 0 where there is no pair of words.

    Raises:
        RuntimeError: there is no vocabulary, or no hierarchical softmax.
        TypeError: a sentence that is no list of words.
    """
    if not len(model.vocabulary):
        raise RuntimeError("expected a model with a vocabulary, found none; call build_vocab and train first")
    nodes = model.syn1
    if nodes is None:
        raise RuntimeError("score: expected a model with hierarchical softmax (hs=1), found hs = 0")
    scorer = _SentenceScorer(
        model.wv.rows(),
        nodes,
        huffman_paths(model.vocabulary.counts),
        window=model.window,
        by_pairs=bool(model.sg),
        mean=bool(model.cbow_mean),
    )
    ids = model.vocabulary.word_to_id
    scores: list[float] = []
    for sentence in islice(sentences, total_sentences):
        if isinstance(sentence, str):
            raise TypeError(f"sentence {len(scores)}: expected a list of words, found the str {sentence[:40]!r}")
        scores.append(scorer.score(np.array([ids[word] for word in sentence if word in ids], dtype=np.int64)))
    return np.array(scores, dtype=np.float64)


def estimate_memory(
    model: ModelState, vocab_size: int | None = None, report: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Bytes that a model of these settings takes, by part: gensim's names of them, and `total`.

    Args:
        model: whose settings count.
        vocab_size: how many words; None: those of its vocabulary.
        report: further parts, to be added.

    Returns:
        `vectors`, `syn1` (hierarchical softmax) and `syn1neg` (negative samples) are exact; `vocab` is what words of
        eight letters take.

    Raises:
        ValueError: a setting is out of its range.
    """
    config = training_config(model)
    words = vocab_size or len(model.vocabulary)
    row = padded_columns(config.vector_size) * (2 if config.table_dtype == "bfloat16" else 4)
    parts = {**(report or {}), "vocab": words * _BYTES_OF_A_WORD, "vectors": words * row}
    if config.hs:
        parts["syn1"] = max(words - 1, 1) * row
    if config.negative:
        parts["syn1neg"] = words * row
    return {**parts, "total": sum(parts.values())}


class _SentenceScorer:
    """Likelihoods by the paths of a tree; spec: reference.py section 11."""

    def __init__(
        self,
        in_vectors: Float32Array,
        node_vectors: Float32Array,
        paths: HuffmanPaths,
        *,
        window: int,
        by_pairs: bool,
        mean: bool,
    ) -> None:
        self._in_vectors, self._node_vectors, self._paths = in_vectors, node_vectors, paths
        self._window, self._by_pairs, self._mean = window, by_pairs, mean

    def score(self, ids: npt.NDArray[np.int64]) -> float:
        """ids: [n], words."""
        total = 0.0
        for first in range(0, len(ids), _CENTERS_AT_ONCE):
            centers = np.arange(first, min(first + _CENTERS_AT_ONCE, len(ids)))
            total += self._score_centers(ids, centers)
        return total

    def _score_centers(self, ids: npt.NDArray[np.int64], centers: npt.NDArray[np.int64]) -> float:
        around = np.arange(max(0, centers[0] - self._window), min(len(ids), centers[-1] + self._window + 1))
        distances = np.abs(centers[:, None] - around)
        in_window = (distances <= self._window) & (distances > 0)

        starts = self._paths.starts
        lengths = starts[ids[centers] + 1] - starts[ids[centers]]
        owners = np.repeat(np.arange(len(centers)), lengths)  # of each step of each path, its center
        steps = np.arange(len(owners)) + np.repeat(starts[ids[centers]] - (lengths.cumsum() - lengths), lengths)
        signs = 1 - 2.0 * self._paths.bits[steps]
        nodes = self._node_vectors[self._paths.nodes[steps]]
        vectors = self._in_vectors[ids[around]]
        if self._by_pairs:
            return float(_log_sigmoid((nodes @ vectors.T) * signs[:, None])[in_window[owners]].sum())
        counts = in_window.sum(axis=1)
        hidden = in_window.astype(np.float32) @ vectors
        if self._mean:
            hidden /= np.maximum(counts, 1)[:, None]
        likelihoods = _log_sigmoid(np.einsum("sd,sd->s", nodes, hidden[owners]) * signs)
        return float(likelihoods[counts[owners] > 0].sum())


def _log_sigmoid(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return -np.logaddexp(0, -scores)
