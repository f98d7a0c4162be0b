"""Sampling without a compiler: the functions of `sampling` in numba, bit for bit as the compiled ones."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from pyembed.corpus.random_words import fill_random_words

KEEP_STREAM, INITIAL_STREAM = 0, 3
"""reference.KEEP and reference.INITIAL; stated here too, because this room does without torch. A test compares them."""

_WORDS_AT_A_TIME = 1024  # tokens whose random words are made together, 4 KB


@numba.njit(cache=True, nogil=True)
def keep_tokens(
    ids: npt.NDArray[np.int32],
    first_position: int,
    sentence_starts: npt.NDArray[np.int64],
    keep_threshold: npt.NDArray[np.uint32],
    seed: np.uint64,
    epoch: np.uint64,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """ids: int32[n] of corpus positions first_position onwards; sentence_starts: int64[m], positions among them.

    Returns the kept ids and int64[m], for each sentence start the number of ids kept before it.
    """
    kept = np.empty(len(ids), np.int32)
    kept_before = np.empty(len(sentence_starts), np.int64)
    words = np.empty((_WORDS_AT_A_TIME // 4, 4), np.uint32)
    count = sentence = 0
    position, past_last = first_position, first_position + len(ids)
    while position < past_last:
        base = position // 4 * 4
        fill_random_words(seed, epoch, np.uint64(KEEP_STREAM), np.uint64(base // 4), words)
        filled = min(base + _WORDS_AT_A_TIME, past_last)
        while position < filled:
            while sentence < len(sentence_starts) and sentence_starts[sentence] == position:
                kept_before[sentence] = count
                sentence += 1
            stop = filled
            if sentence < len(sentence_starts):
                stop = min(filled, sentence_starts[sentence])
            for token in range(position, stop):
                word = words[(token - base) >> 2, (token - base) & 3]
                identifier = ids[token - first_position]
                kept[count] = identifier  # overwritten by the next where it is not kept: no branch to mispredict
                count += word <= keep_threshold[identifier]
            position = stop
    return kept[:count].copy(), kept_before


@numba.njit(cache=True, nogil=True)
def fill_uniform(table: npt.NDArray[np.float32], first_row: int, seed: np.uint64) -> None:
    rows, dimensions = table.shape
    words = np.empty((dimensions // 4 + 2, 4), np.uint32)
    for row in range(rows):
        element = (first_row + row) * dimensions
        fill_random_words(seed, np.uint64(0), np.uint64(INITIAL_STREAM), np.uint64(element // 4), words)
        shift = element % 4
        for column in range(dimensions):
            word = words[(shift + column) >> 2, (shift + column) & 3]
            uniform = np.float32(word >> np.uint32(8)) * np.float32(2.0**-24)
            table[row, column] = (uniform - np.float32(0.5)) / np.float32(dimensions)


@numba.njit(cache=True)
def alias_columns(scaled: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """scaled: float64[V] with mean 1. Each column gives what it lacks to 1 to a column that has more."""
    size = len(scaled)
    probability = scaled.copy()
    alias = np.arange(size)
    small, large = np.empty(size, np.int64), np.empty(size, np.int64)
    smalls = larges = 0
    for column in range(size):
        if probability[column] < 1.0:
            small[smalls] = column
            smalls += 1
        else:
            large[larges] = column
            larges += 1
    while smalls > 0 and larges > 0:
        smalls -= 1
        poor, rich = small[smalls], large[larges - 1]
        alias[poor] = rich
        probability[rich] -= 1.0 - probability[poor]
        if probability[rich] < 1.0:
            larges -= 1
            small[smalls] = rich
            smalls += 1
    # What is left is 1 but for rounding.
    for i in range(smalls):
        probability[small[i]] = 1.0
    for i in range(larges):
        probability[large[i]] = 1.0
    return probability, alias
