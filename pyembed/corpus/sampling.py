"""What is drawn or prepared once for every token, row or word: compiled, or in numba where nothing is compiled.

numba is imported only there: importing it and loading what it compiled take longer than training on a small corpus.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pyembed.compiled_text import native

if native is None:
    from pyembed.corpus import numba_sampling as implementation
else:
    implementation = native

_Floats = npt.NDArray[np.float64]
_Integers = npt.NDArray[np.int64]
_Kept = tuple[npt.NDArray[np.int32], _Integers]

keep_tokens: Callable[..., _Kept] = implementation.keep_tokens
"""(ids int32[n], first_position, sentence_starts int64[m], keep_threshold uint32[V], seed, epoch): the kept ids of the
corpus positions first_position .. first_position + n - 1, and int64[m], for each sentence that starts among them how
many are kept before it. Raises IndexError where an id is not below V (compiled)."""

fill_uniform: Callable[[npt.NDArray[np.float32], int, np.uint64], None] = implementation.fill_uniform
"""(table float32[n, D], first_row, seed): fills it with rows first_row .. first_row + n - 1 of
the initial in_vectors."""

alias_columns: Callable[[_Floats], tuple[_Floats, _Integers]] = implementation.alias_columns
"""(scaled float64[V] with mean 1): each column gives what it lacks to 1 to a column that has more. Returns what each
column keeps, float64[V], and to whom the rest belongs, int64[V] (Vose 1991)."""
