"""PhraseTable: phrases with their scores, and how they are found and joined in a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pyembed.corpus import phrase_engine
from pyembed.corpus.phrase_engine import PhraseMerger
from pyembed.corpus.vocabulary import Vocabulary

Phrase = tuple[str, ...]
"""The first word, the connector words in between, the last word."""


@dataclass(frozen=True, eq=False)
class PhraseTable:
    """Phrases do not change once they are here."""

    scores: dict[Phrase, float]
    """Those with the highest scores first, and of these in the order of their words."""
    delimiter: str
    """Stands between the words of a phrase that is joined."""
    connector_words: frozenset[str]
    """Words that may stand within a phrase, but neither begin nor end one."""

    @cached_property
    def joined(self) -> dict[str, float]:
        """Every phrase as one word, with its score; of phrases that look alike when joined, the higher."""
        joined: dict[str, float] = {}
        for phrase, score in self.scores.items():
            joined.setdefault(self.delimiter.join(phrase), score)
        return joined

    def analyze(self, sentence: Iterable[str]) -> Iterator[tuple[str, float | None]]:
        """The sentence's words, phrases joined and with their scores, other words with None.

        Words are taken from left to right: a phrase begins where the one before has ended. Empty ones are skipped, as
        they are in text that is encoded.
        """
        scores, connector_words = self.scores, self.connector_words
        pending: list[str] = []  # a word that may begin a phrase, and the connector words behind it
        for word in filter(None, sentence):
            if word in connector_words:
                if pending:
                    pending.append(word)
                else:
                    yield word, None
                continue
            if pending:
                phrase = (*pending, word)
                score = scores.get(phrase)
                if score is not None:
                    yield self.delimiter.join(phrase), score
                    pending = []
                    continue
                for before in pending:
                    yield before, None
            pending = [word]
        for before in pending:
            yield before, None

    def join(self, sentence: Iterable[str]) -> list[str]:
        """The sentence with its phrases joined.

        Raises:
            TypeError: it is a str, which is no list of words.
        """
        refuse_text(sentence)
        return [word for word, _ in self.analyze(sentence)]

    def merger(self, vocabulary: Vocabulary) -> tuple[PhraseMerger, list[Phrase]]:
        """What joins phrases in text of these ids, and the P phrases that can be there; phrase p becomes id V + p."""
        ids = vocabulary.word_to_id
        phrases = [phrase for phrase in self.scores if all(word in ids for word in phrase)]
        is_connector = np.zeros(len(vocabulary), np.uint8)
        is_connector[[ids[word] for word in self.connector_words if word in ids]] = 1
        runs = [phrase[1:-1] for phrase in phrases]
        merger = phrase_engine.open_merger(
            is_connector,
            np.array([ids[phrase[0]] for phrase in phrases], np.int32),
            np.array([ids[phrase[-1]] for phrase in phrases], np.int32),
            np.cumsum([0, *map(len, runs)], dtype=np.int64),
            np.array([ids[word] for run in runs for word in run], np.int32),
            len(vocabulary) + np.arange(len(phrases), dtype=np.int32),
        )
        return merger, phrases


def refuse_text(items: Iterable[Any]) -> None:
    """Raises TypeError of a str: it would be gone through letter by letter."""
    if isinstance(items, (str, bytes)):
        raise TypeError(
            f"expected a list of words, found the {type(items).__name__} {items[:40]!r}; split it into words"
        )
