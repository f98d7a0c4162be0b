"""How good vectors are, by the files a user names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pyembed.vectors import KeyedVectors, evaluate_word_analogies, evaluate_word_pairs


def scores(vectors: KeyedVectors, pairs: Sequence[Path], analogies: Path | None) -> dict[str, float]:
    """By file, without its suffix: Spearman's correlation, or the share of analogies answered right, times 100.

    Raises:
        EvaluationFileError: a file is not in its format.
        OSError: a file cannot be read.
    """
    found = {path.stem: 100 * evaluate_word_pairs(vectors, path).spearman for path in pairs}
    if analogies is not None:
        found[analogies.stem] = 100 * evaluate_word_analogies(vectors, analogies).total.accuracy
    return found
