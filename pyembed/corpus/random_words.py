"""philox4x32-10 in numba: the bits of reference.py section 1, a block of them at a time."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

# Constants carry their type: numba makes floating point of a uint64 that meets a plain integer.
_MASK = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_MULTIPLIER_0, _MULTIPLIER_1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL_0, _WEYL_1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)


@numba.njit(cache=True, nogil=True)
def fill_random_words(
    seed: np.uint64, epoch: np.uint64, stream: np.uint64, first_index: np.uint64, words: npt.NDArray[np.uint32]
) -> None:
    """words: uint32[n, 4], the four words of indices first_index .. first_index + n - 1, slot 0."""
    key_0, key_1 = seed & _MASK, seed >> _SHIFT
    for i in range(len(words)):
        index = first_index + np.uint64(i)
        c0, c1, c2, c3 = index & _MASK, index >> _SHIFT, epoch, stream << np.uint64(24)
        k0, k1 = key_0, key_1
        for _ in range(10):
            product_0, product_1 = _MULTIPLIER_0 * c0, _MULTIPLIER_1 * c2
            c0, c1 = (product_1 >> _SHIFT) ^ c1 ^ k0, product_1 & _MASK
            c2, c3 = (product_0 >> _SHIFT) ^ c3 ^ k1, product_0 & _MASK
            k0, k1 = (k0 + _WEYL_0) & _MASK, (k1 + _WEYL_1) & _MASK
        words[i, 0], words[i, 1], words[i, 2], words[i, 3] = c0, c1, c2, c3
