"""From types (distinct tokens as raw bytes) to words: lower-casing, word splitting, and the choice of a vocabulary.

All of it works on types, not on tokens: what it costs grows with the vocabulary of a language, not with the corpus.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from pyembed.config import CorpusConfig
from pyembed.corpus.engine import Types
from pyembed.corpus.errors import CorpusError
from pyembed.corpus.vocabulary import Vocabulary

_APOSTROPHES = "'\u2019"


@dataclass(frozen=True)
class WordMap:
    """What every type becomes, as `engine.Engine.encode` takes it."""

    words: NDArray[np.int32]
    list_starts: NDArray[np.int64]
    list_words: NDArray[np.int32]

    def count_words(self, type_counts: NDArray[np.int64]) -> int:
        """T: how many words the whole corpus becomes, where the types occur so often."""
        single = int((type_counts * (self.words >= 0)).sum())  # in a fifth of the time of choosing the counts
        if not len(self.list_words):
            return single
        lists = self.words < -1
        lengths = np.diff(self.list_starts)[-2 - self.words[lists]]
        return single + int((type_counts[lists] * lengths).sum())


@dataclass(frozen=True)
class DistinctWords:
    """The distinct words of a corpus, W of them, in no particular order."""

    counts: NDArray[np.int64]
    """[W]."""
    first_positions: NDArray[np.int64]
    """[W], ascending in the order of first appearance."""
    texts: Callable[[NDArray[np.int64]], list[str]]
    """The text of words, by their indices."""

    def counted(self) -> dict[str, int]:
        """Every word with its count, in the order of first appearance."""
        order = np.argsort(self.first_positions)
        return dict(zip(self.texts(order), self.counts[order].tolist(), strict=True))


WordChoice = Callable[[DistinctWords], Vocabulary]
"""Chooses a vocabulary by rules of its own. Words that the corpus lacks may be in it."""


@dataclass(frozen=True)
class _TypeWords:
    """What every type becomes before the vocabulary is chosen: pairs of a type and one of the distinct words."""

    types: NDArray[np.int64]
    """[pairs]; a type of several words stands several times in a row, a type of none not at all."""
    words: NDArray[np.int64]
    """[pairs], each an index below W."""
    distinct: DistinctWords


def choose_words(
    types: Types, config: CorpusConfig, vocabulary: Vocabulary | WordChoice | None, *, split: bool
) -> tuple[Vocabulary, WordMap]:
    """The vocabulary and what every type becomes in it.

    Args:
        types: all types of the corpus.
        config: min_count and max_final_vocab are not applied to a vocabulary that is given, nor by a function.
        vocabulary: use this one, or one that this function chooses; its counts are kept.
        split: whether config.tokenizer applies; it does not to tokens that were given as such.

    Raises:
        CorpusError: no word is left.
    """
    words = _words_of_types(types, config, split=split)
    if vocabulary is None:
        vocabulary, id_of_word = _choose_vocabulary(words.distinct, config)
    else:
        vocabulary = vocabulary(words.distinct) if callable(vocabulary) else vocabulary
        ids = vocabulary.word_to_id
        texts = words.distinct.texts(np.arange(len(words.distinct.counts)))
        id_of_word = np.array([ids.get(text, -1) for text in texts], dtype=np.int32)
        if not (id_of_word >= 0).any():
            raise CorpusError(
                f"none of the corpus's {len(texts):,} distinct words is among the {len(vocabulary):,} of the "
                "vocabulary; check that lower-casing and tokenizer are those it was made with"
            )
    return vocabulary, _word_map(words, id_of_word, len(types.counts))


def _choose_vocabulary(words: DistinctWords, config: CorpusConfig) -> tuple[Vocabulary, NDArray[np.int32]]:
    frequent = np.flatnonzero(words.counts >= config.min_count)
    if not len(frequent):
        if not len(words.counts):
            raise CorpusError("the corpus holds no word: no token has a letter or a digit; use tokenizer 'whitespace'")
        raise CorpusError(
            f"the vocabulary is empty: no word occurs min_count = {config.min_count} times or more, the most frequent "
            f"{words.counts.max():,} times; lower min_count or give more text"
        )
    by_position = frequent[np.argsort(words.first_positions[frequent])]
    # One sort by both, for a stable one takes three times as long.
    count_then_place = np.arange(len(frequent)) - words.counts[by_position] * len(frequent)
    order = by_position[np.argsort(count_then_place)][: config.max_final_vocab]
    id_of_word = np.full(len(words.counts), -1, dtype=np.int32)
    id_of_word[order] = np.arange(len(order), dtype=np.int32)
    return Vocabulary(words.texts(order), words.counts[order]), id_of_word


def _words_of_types(types: Types, config: CorpusConfig, *, split: bool) -> _TypeWords:
    find_words = _word_finder() if split and config.tokenizer == "words" else None
    if find_words is None and not config.lowercase and not len(types.invalid):
        each = np.arange(len(types.counts))
        return _TypeWords(each, each, DistinctWords(types.counts, types.first_positions, types.texts))

    indices: dict[str, int] = {}
    owners, words = array("q"), array("q")
    order = np.argsort(types.first_positions)  # words then appear in the order of the text
    for type_, text in zip(order.tolist(), types.texts(order), strict=True):
        if config.lowercase:
            text = text.lower()
        for word in find_words(text) if find_words is not None else (text,):
            owners.append(type_)
            words.append(indices.setdefault(word, len(indices)))
    pairs = np.array(owners), np.array(words)
    counts = np.zeros(len(indices), dtype=np.int64)
    np.add.at(counts, pairs[1], types.counts[pairs[0]])
    texts = list(indices)
    distinct = DistinctWords(
        counts, np.arange(len(indices)), lambda chosen: [texts[index] for index in chosen.tolist()]
    )
    return _TypeWords(*pairs, distinct)


def _word_map(words: _TypeWords, id_of_word: NDArray[np.int32], n_types: int) -> WordMap:
    if words.types is words.words:  # every type is one word
        return WordMap(id_of_word, np.zeros(1, dtype=np.int64), np.empty(0, dtype=np.int32))
    ids = id_of_word[words.words]
    owners, ids = words.types[ids >= 0], ids[ids >= 0]
    lengths = np.bincount(owners, minlength=n_types)

    in_list = lengths[owners] > 1
    list_ends = np.flatnonzero(np.diff(owners[in_list], append=-1)) + 1
    list_owners = owners[in_list][list_ends - 1]
    word_of_type = np.full(n_types, -1, dtype=np.int32)
    word_of_type[owners] = ids
    word_of_type[list_owners] = -2 - np.arange(len(list_owners))
    return WordMap(word_of_type, np.concatenate([[0], list_ends]), ids[in_list])


@cache
def _word_finder() -> Callable[[str], list[str]]:
    """Finds the words in a piece of text without white space.

    A word is a run of Unicode letters, digits, marks (so that combining accents and Indic vowel signs stay with their
    letters) and joiners; apostrophes and underscores inside a word belong to it ("don't", "new_york"), hyphens and all
    other signs separate words ("state-of-the-art" is four). Scripts without white space, Chinese say, are not split.
    """
    marks = (code for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)).startswith("M"))
    more = rf"(?:[^\W_]|[{_ranges([*marks, 0x200C, 0x200D])}])"
    return re.compile(rf"[^\W_]{more}*(?:(?:_+|[{_APOSTROPHES}]){more}+)*").findall


def _ranges(codes: list[int]) -> str:
    """The inside of a regular expression's character class."""
    codes = sorted(codes)
    starts = [code for code, before in zip(codes, [-2, *codes[:-1]], strict=True) if code != before + 1]
    ends = [code for code, after in zip(codes, [*codes[1:], -2], strict=True) if code != after - 1]
    return "".join(f"\\U{start:08x}-\\U{end:08x}" for start, end in zip(starts, ends, strict=True))
