"""Vectors for words that have none: the policies that a name stands for, and those that are given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from pyembed.vectors.arrays import Float32Array, Float64Array
from pyembed.vectors.lookup import Lookup, UnknownWordError

_Policy = Literal["zeros", "mean", "normal", "uniform", "error"]
Unknown = _Policy | npt.ArrayLike | Callable[[str], npt.ArrayLike]
"""What the vector of an unknown word is, see `KeyedVectors.to_embedding`."""

_ROWS_AT_ONCE = 65_536


def vectors_of_unknown(words: Sequence[str], unknown: Unknown, known: Lookup, seed: int) -> Float32Array:
    """The vectors, float32[n, D], of words that are not among the known; see `KeyedVectors.to_embedding`.

    Raises:
        UnknownWordError: a KeyError: there is such a word, and `unknown` is "error".
        ValueError: `unknown` is no policy, or a vector of another size.
    """
    size = known.vector_size
    vectors = np.zeros((len(words), size), dtype=np.float32)
    if isinstance(unknown, str):
        if unknown not in get_args(_Policy):
            expected = ", ".join(map(repr, get_args(_Policy)))
            raise ValueError(f"unknown: expected {expected}, a vector or a function of a word, found {unknown!r}")
        if unknown == "error" and words:
            raise UnknownWordError(words[0], known.index_to_key)
        if unknown in ("mean", "normal", "uniform") and words:
            vectors[:] = _drawn(unknown, len(words), known, seed)
    elif callable(unknown):
        for row, word in enumerate(words):
            vectors[row] = _of_size(unknown(word), size, f"unknown({word!r})")
    else:
        vectors[:] = _of_size(unknown, size, "unknown")
    return vectors


def _of_size(value: npt.ArrayLike, size: int, name: str) -> Float32Array:
    vector: Float32Array = np.asarray(value, dtype=np.float32)
    if vector.shape != (size,):
        raise ValueError(f"{name}: expected a vector of shape [{size}], found {list(vector.shape)}")
    return vector


def _drawn(policy: str, count: int, known: Lookup, seed: int) -> Float64Array:
    """[count or 1, D], with the mean and, but for "mean", the standard deviation of the known vectors' dimensions."""
    mean, deviation = _moments(known)
    if policy == "mean":
        return mean[None]
    generator, shape = np.random.default_rng(seed), (count, len(mean))
    half_width = 3**0.5  # of a uniform distribution with standard deviation 1
    drawn = (
        generator.standard_normal(shape) if policy == "normal" else generator.uniform(-half_width, half_width, shape)
    )
    return mean + deviation * drawn


def _moments(known: Lookup) -> tuple[Float64Array, Float64Array]:
    """Mean and standard deviation of each dimension, [D], over the vectors without NaN and infinity."""
    count, mean, squares = 0, np.zeros(known.vector_size), np.zeros(known.vector_size)
    for start in range(0, len(known), _ROWS_AT_ONCE):
        rows, _ = known._rows().gather(np.arange(start, min(start + _ROWS_AT_ONCE, len(known))))
        finite = rows[np.isfinite(rows).all(axis=1)].astype(np.float64)
        count += len(finite)
        mean += finite.sum(axis=0)
        squares += (finite**2).sum(axis=0)
    mean /= max(count, 1)
    return mean, np.sqrt(np.maximum(squares / max(count, 1) - mean**2, 0))
