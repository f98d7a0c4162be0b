"""TokenIds: a corpus as word ids, in memory or mapped from a file."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class MappedIds:
    """The read-only memory map under a TokenIds and where its two arrays lie in it, in bytes."""

    memory: mmap.mmap
    ids_offset: int
    starts_offset: int


@dataclass(frozen=True, eq=False)
class TokenIds:
    """A corpus of T tokens in S sentences. Both arrays are read-only."""

    ids: NDArray[np.int32]
    """[T], word ids."""
    sentence_starts: NDArray[np.int64]
    """[S + 1]: sentence s is ids[sentence_starts[s]:sentence_starts[s + 1]] and is not empty; first 0, last T."""
    _mapped: MappedIds | None = None

    @property
    def n_tokens(self) -> int:
        return len(self.ids)

    @property
    def n_sentences(self) -> int:
        return len(self.sentence_starts) - 1

    @classmethod
    def from_arrays(cls, ids: ArrayLike, sentence_starts: ArrayLike) -> TokenIds:
        """Takes arrays, copying only what has another dtype.

        Raises:
            ValueError: an id is negative or above 2^31 - 1, or sentence_starts does not ascend from 0 to T.
        """
        wide = np.asarray(ids)
        starts = np.ascontiguousarray(sentence_starts, dtype=np.int64).view()
        if wide.ndim != 1 or starts.ndim != 1:
            raise ValueError(f"expected arrays of one dimension, found shapes {wide.shape} and {starts.shape}")
        if wide.size and not (np.issubdtype(wide.dtype, np.integer) and wide.min() >= 0 and wide.max() < 2**31):
            raise ValueError("expected ids that are whole numbers from 0 to 2^31 - 1")
        if not len(starts) or starts[0] != 0 or starts[-1] != len(wide) or (np.diff(starts) <= 0).any():
            raise ValueError(
                f"expected sentence_starts to ascend from 0 to the number of ids, {len(wide)}, without empty sentences"
            )
        narrow = np.ascontiguousarray(wide, dtype=np.int32).view()
        narrow.flags.writeable = starts.flags.writeable = False
        return cls(narrow, starts)

    @classmethod
    def from_encoded(cls, ids: NDArray[np.int32], sentence_starts: NDArray[np.int64]) -> TokenIds:
        """Takes arrays in memory as they are, which an engine wrote and so are known to be right."""
        ids.flags.writeable = sentence_starts.flags.writeable = False
        return cls(ids, sentence_starts)

    @classmethod
    def from_mapping(cls, mapped: MappedIds, tokens: int, sentences: int) -> TokenIds:
        """Views of a memory map, which lives as long as they do."""
        ids = np.frombuffer(mapped.memory, np.int32, tokens, mapped.ids_offset)
        starts = np.frombuffer(mapped.memory, np.int64, sentences + 1, mapped.starts_offset)
        return cls(ids, starts, mapped)

    def release(self, start: int, stop: int) -> None:
        """Says that tokens [start, stop) and the starts of all sentences before `stop` are not needed for now.

        Their pages leave this process's memory and are read again from the file when touched. Does nothing for arrays
        in memory.
        """
        if self._mapped is None or not hasattr(mmap, "MADV_DONTNEED"):
            return
        self._release(self.ids, self._mapped.ids_offset, start, min(stop, self.n_tokens))
        # From the beginning, because looking up a sentence brings pages before it back.
        sentence = int(np.searchsorted(self.sentence_starts, stop))
        self._release(self.sentence_starts, self._mapped.starts_offset, 0, sentence)

    def _release(self, array: NDArray[Any], offset: int, start: int, stop: int) -> None:
        assert self._mapped is not None
        # Both ends are rounded down, so that of neighbouring calls one takes the page between them.
        begin = (offset + start * array.itemsize) // mmap.PAGESIZE * mmap.PAGESIZE
        end = (offset + stop * array.itemsize) // mmap.PAGESIZE * mmap.PAGESIZE
        if end > begin:
            self._mapped.memory.madvise(mmap.MADV_DONTNEED, begin, end - begin)
