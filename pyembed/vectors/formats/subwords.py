"""fastText's vectors of words: the mean of a word's own row and of the rows of its n-grams of characters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from pyembed.compiled_text import native
from pyembed.vectors.arrays import Float32Array, Int64Array
from pyembed.vectors.formats.fasttext_model import FastTextModel

_Rows = npt.NDArray[np.int32]
_WORDS_AT_ONCE = 4096
_FLOATS_AT_ONCE = 1 << 22


def python_ngram_rows(text: bytes, ends: Int64Array, minn: int, maxn: int, buckets: int) -> tuple[Int64Array, _Rows]:
    """As `ngram_rows`."""
    starts, rows = [0], []
    begin = 0
    for end in ends.tolist():
        word = b"<" + text[begin:end] + b">"
        # A character begins at every byte that does not go on with one.
        borders = [i for i in range(len(word)) if word[i] & 0xC0 != 0x80] + [len(word)]
        for first in range(len(borders) - 1) if word != b"<</s>>" else ():
            value = 2166136261
            for last in range(first + 1, min(first + maxn, len(borders) - 1) + 1):
                for byte in word[borders[last - 1] : borders[last]]:
                    value = ((value ^ (byte - 256 if byte > 127 else byte)) & 0xFFFFFFFF) * 16777619 & 0xFFFFFFFF
                length = last - first
                is_border = length == 1 and (first == 0 or last == len(borders) - 1)
                if length >= minn and not is_border:
                    rows.append(value % buckets)
        starts.append(len(rows))
        begin = end
    return np.array(starts, dtype=np.int64), np.array(rows, dtype=np.int64).astype(np.int32)


ngram_rows: Callable[[bytes, Int64Array, int, int, int], tuple[Int64Array, _Rows]] = (
    python_ngram_rows if native is None else native.ngram_rows
)
"""(text, ends int64[V], minn, maxn, buckets): the buckets of the n-grams of each of V words that stand in `text` one
after another: those of word i are rows[starts[i]:starts[i + 1]]. The hash is fastText's FNV-1a, over signed bytes."""


def word_vectors(model: FastTextModel, words: Sequence[bytes] | None = None) -> Float32Array:
    """float32[V, D]: what fastText prints to `.vec` for the words of its dictionary, or for any others.

    A word beside the dictionary is made of its n-grams alone, and zero where it has none in the model.
    """
    known = words is None
    words = model.entries[: model.words] if words is None else words
    vectors = np.zeros((len(words), model.arguments.dim), dtype=np.float32)
    for start in range(0, len(words), _WORDS_AT_ONCE):
        block = words[start : start + _WORDS_AT_ONCE]
        own = (
            np.arange(start, start + len(block)) if known else np.array([model.row_of.get(word, -1) for word in block])
        )
        _add_means(model, block, own.astype(np.int64), vectors[start : start + len(block)])
    return vectors


def _add_means(model: FastTextModel, words: Sequence[bytes], own: Int64Array, vectors: Float32Array) -> None:
    """Fills `vectors`, which are 0. `own` is each word's row, or -1."""
    starts, rows = _model_rows(model, words)
    # Each word's own row first, as fastText adds them.
    has_own = own >= 0
    rows = np.insert(rows, starts[:-1][has_own], own[has_own])
    starts = starts + np.concatenate(([0], np.cumsum(has_own)))
    counts = np.diff(starts)
    most_rows = max(1, _FLOATS_AT_ONCE // model.arguments.dim)
    word = 0
    while word < len(words):
        last = max(word + 1, int(np.searchsorted(starts, starts[word] + most_rows, side="right")) - 1)
        filled = word + np.flatnonzero(counts[word:last])
        if last == word + 1:  # perhaps a word of more n-grams than fit at once
            for begin in range(int(starts[word]), int(starts[last]), most_rows):
                part = model.input.rows(rows[begin : min(begin + most_rows, int(starts[last]))])
                vectors[word] += np.add.reduce(part, axis=0)
        elif filled.size:
            gathered = model.input.rows(rows[starts[word] : starts[last]])
            vectors[filled] = np.add.reduceat(gathered, starts[filled] - starts[word], axis=0)
        word = last
    vectors *= (1 / np.maximum(counts, 1)).astype(np.float32)[:, None]


def _model_rows(model: FastTextModel, words: Sequence[bytes]) -> tuple[Int64Array, Int64Array]:
    """Rows of the input matrix for the n-grams of words, as ngram_rows has them."""
    arguments = model.arguments
    is_without = model.pruned is not None and not len(model.pruned)
    if not model.buckets or is_without:
        return np.zeros(len(words) + 1, dtype=np.int64), np.empty(0, dtype=np.int64)
    ends = np.fromiter(accumulate(map(len, words)), dtype=np.int64, count=len(words))
    starts, found = ngram_rows(b"".join(words), ends, arguments.minn, arguments.maxn, arguments.bucket)
    rows = found.astype(np.int64)
    if model.pruned is not None:
        order = np.argsort(model.pruned[:, 0], kind="stable")
        buckets, left = model.pruned[order, 0], model.pruned[order, 1].astype(np.int64)
        at = np.minimum(np.searchsorted(buckets, rows), len(buckets) - 1)
        is_left = buckets[at] == rows
        starts = np.concatenate(([0], np.cumsum(is_left)))[starts]
        rows = left[at[is_left]]
    return starts, rows + model.words
