"""From vectors and a vocabulary to a module of PyTorch, in one call, and what becomes of words without a vector."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import index
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

import numpy as np

from pyembed.vectors.arrays import BoolArray, Int64Array
from pyembed.vectors.lookup import Lookup, require_strings
from pyembed.vectors.unknown_words import Unknown, vectors_of_unknown

if TYPE_CHECKING:
    import torch


class HasWords(Protocol):
    """A vocabulary, as pyembed.Vocabulary."""

    @property
    def words(self) -> Sequence[str]:
        """[V], by id."""


Words = Iterable[str] | Mapping[str, int] | HasWords
"""Words by id: in order, or with their ids, which are 0 to V - 1."""

Module = TypeVar("Module", bound="torch.nn.Module")


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """How many words of a vocabulary have vectors."""

    total: int
    """Words in the vocabulary."""
    found: int
    """Those that have one."""
    lowered: int
    """Those of them that have one in lower case alone."""
    unknown: list[str]
    """The others, in their order."""


class Embeddable(Lookup):
    """Words whose vectors can be the rows of a module."""

    def coverage(self, words: Words, *, lower_backup: bool = False) -> Coverage:
        """How many words have vectors; arguments and errors are those of `to_embedding`."""
        asked = _by_id(words)
        rows, lowered = self._rows_of(asked, lower_backup)
        unknown = [asked[place] for place in np.flatnonzero(rows < 0).tolist()]
        return Coverage(total=len(asked), found=len(asked) - len(unknown), lowered=int(lowered.sum()), unknown=unknown)

    @overload
    def to_embedding(
        self,
        words: Words | None = None,
        *,
        unknown: Unknown = "zeros",
        padding: str | int | None = None,
        freeze: bool = True,
        lower_backup: bool = False,
        seed: int = 1,
        module: None = None,
        **options: Any,
    ) -> torch.nn.Embedding: ...

    @overload
    def to_embedding(
        self,
        words: Words | None = None,
        *,
        unknown: Unknown = "zeros",
        padding: str | int | None = None,
        freeze: bool = True,
        lower_backup: bool = False,
        seed: int = 1,
        module: type[Module],
        **options: Any,
    ) -> Module: ...

    def to_embedding(
        self,
        words: Words | None = None,
        *,
        unknown: Unknown = "zeros",
        padding: str | int | None = None,
        freeze: bool = True,
        lower_backup: bool = False,
        seed: int = 1,
        module: Any = None,
        **options: Any,
    ) -> Any:
        """A module whose row i is the vector of word i of a vocabulary; `coverage` tells how many words have one.

        Args:
            words: the vocabulary: words in the order of their ids, or with their ids, 0 to V - 1, or anything with such
                `words`; None for the words here, in their order.
            unknown: the vectors of words that have none here. "zeros"; "mean", that of all vectors here; "normal" or
                "uniform", drawn with the mean and the standard deviation of each dimension here; "error"; a vector,
                [D]; or what makes a vector, [D], of a word.
            padding: a word, or its id, whose row is zeros, found or not, and stays so: `padding_idx` of the module.
            freeze: whether the vectors are to stay as they are in training.
            lower_backup: give a word that has no vector the one that it has in lower case.
            seed: of what is drawn.
            module: torch.nn.Embedding, for which None stands; or pyembed.nn.Embedding, an EmbeddingBag, or another
                with their `from_pretrained`.
            options: for `from_pretrained`: sparse, max_norm, norm_type, scale_grad_by_freq, and mode of a bag.

        Returns:
            The module, with a weight float32[V, D] of its own.

        Raises:
            UnknownWordError: a KeyError: `unknown` is "error", and a word has no vector.
            ValueError: ids that are not 0 to V - 1, each once; a word twice; no word; a padding or an `unknown` that is
                none; or a vector of another size.
            TypeError: a word that is no string.
        """
        asked = self.index_to_key if words is None else _by_id(words)
        if not asked:
            raise ValueError("words: expected at least one, found none")
        rows, _ = self._rows_of(asked, lower_backup)
        is_found, is_missing = rows >= 0, rows < 0
        if padding is not None:
            options["padding_idx"] = _id_of(padding, asked)
            is_found[options["padding_idx"]] = is_missing[options["padding_idx"]] = False
        missing = [asked[place] for place in np.flatnonzero(is_missing).tolist()]

        import torch  # not at the head: who looks at vectors need not wait for it

        table = np.zeros((len(asked), self.vector_size), dtype=np.float32)
        table[is_found] = self._rows().gather(rows[is_found])[0]
        table[is_missing] = vectors_of_unknown(missing, unknown, self, seed)
        made = torch.nn.Embedding if module is None else module
        return made.from_pretrained(torch.from_numpy(table), freeze=freeze, **options)

    def _rows_of(self, words: Sequence[str], lower_backup: bool) -> tuple[Int64Array, BoolArray]:
        """Each word's row, or -1, and whether it is that of the word in lower case."""
        index = self.key_to_index
        rows = np.array([index.get(word, -1) for word in words], dtype=np.int64)
        lowered = np.zeros(len(words), dtype=np.bool_)
        if lower_backup:
            for place in np.flatnonzero(rows < 0).tolist():
                rows[place] = index.get(words[place].lower(), -1)
                lowered[place] = rows[place] >= 0
        return rows, lowered


def _by_id(words: Words) -> list[str]:
    """The words in the order of their ids."""
    if isinstance(words, str):
        raise TypeError(f"words: expected several, found the string {words[:80]!r}")
    if isinstance(words, Mapping):
        listed = sorted(words, key=words.__getitem__)
        wrong = next(((id_, word) for id_, word in enumerate(listed) if words[word] != id_), None)
        if wrong is not None:
            found = f"{words[wrong[1]]!r} for {wrong[1]!r} where {wrong[0]} should be"
            raise ValueError(f"words: expected the ids 0 to {len(words) - 1}, each once, found {found}")
    else:
        listed = list(words if isinstance(words, Iterable) else words.words)
    require_strings(listed)
    if len(set(listed)) != len(listed):
        last = {word: place for place, word in enumerate(listed)}
        twice = next(word for place, word in enumerate(listed) if last[word] != place)
        raise ValueError(f"words: expected distinct words, found {twice!r} more than once")
    return listed


def _id_of(padding: str | int, words: Sequence[str]) -> int:
    if isinstance(padding, str):
        if padding not in words:
            raise ValueError(f"padding: expected one of the words, found {padding!r}")
        return words.index(padding)
    if isinstance(padding, bool) or not 0 <= padding < len(words):
        raise ValueError(f"padding: expected a word or an id of 0 to {len(words) - 1}, found {padding!r}")
    return index(padding)
