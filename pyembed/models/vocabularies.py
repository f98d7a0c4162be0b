"""Which words make up a model's vocabulary: the rules for a new one, and for one that grows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import index

from pyembed.corpus import CorpusError, Vocabulary

RULE_DEFAULT = 0
"""What a trim rule answers of a word that min_count is to decide about; None means the same."""
RULE_DISCARD = 1
"""What it answers of a word that is to be dropped, however frequent."""
RULE_KEEP = 2
"""What it answers of a word that is to stay, however rare."""

TrimRule = Callable[[str, int, int], int | None]
"""(word, count, min_count) -> RULE_DEFAULT, RULE_DISCARD or RULE_KEEP."""


@dataclass(frozen=True)
class VocabularyRules:
    """Rules by which words stay. Words that a trim rule keeps count towards `limit` but are never cut by it."""

    min_count: int
    limit: int | None = None
    """Keep only so many of the most frequent words."""
    by_count: bool = True
    """The most frequent words come first; else words are in the order in which they were counted."""
    trim_rule: TrimRule | None = None

    @property
    def look_at_counts_alone(self) -> bool:
        """Whether a new vocabulary can be chosen without knowing what the words are."""
        return self.by_count and self.trim_rule is None

    def new(self, counts: Mapping[str, int]) -> Vocabulary:
        """A vocabulary of counted words, which are in the order of their first appearance.

        Raises:
            CorpusError: no word stays.
            ValueError: the trim rule answers something else.
        """
        words = self._chosen(counts)
        if not words:
            by_rule = "" if self.trim_rule is None else ", or a trim_rule that keeps some"
            raise CorpusError(
                f"the vocabulary is empty: of {len(counts):,} distinct words none stays with min_count = "
                f"{self.min_count}; lower min_count, give more text{by_rule}"
            )
        return Vocabulary.from_counts(words, [counts[word] for word in words])

    def grown(self, vocabulary: Vocabulary, counts: Mapping[str, int]) -> Vocabulary:
        """The words there are, under the same ids, with the sums of the counts; then those of the new ones that stay.

        Words that are known already need no min_count. A `limit` is one of new words and old ones together.

        Raises:
            ValueError: the trim rule answers something else.
        """
        known = vocabulary.word_to_id
        room = None if self.limit is None else max(0, self.limit - len(vocabulary))
        rules = VocabularyRules(self.min_count, room, self.by_count, self.trim_rule)
        new = rules._chosen({word: count for word, count in counts.items() if word not in known})
        sums = [count + counts.get(word, 0) for word, count in zip(vocabulary, vocabulary.counts.tolist(), strict=True)]
        return Vocabulary.from_counts([*vocabulary, *new], sums + [counts[word] for word in new])

    def _chosen(self, counts: Mapping[str, int]) -> list[str]:
        kept: list[str] = []
        frequent: list[str] = []
        for word, count in counts.items():
            verdict = None if self.trim_rule is None else self.trim_rule(word, count, self.min_count)
            if verdict == RULE_KEEP:
                kept.append(word)
            elif verdict in (None, RULE_DEFAULT):
                if count >= self.min_count:
                    frequent.append(word)
            elif verdict != RULE_DISCARD:
                raise ValueError(
                    f"trim_rule: expected RULE_DEFAULT (0), RULE_DISCARD (1) or RULE_KEEP (2) for {word!r}, "
                    f"found {verdict!r}"
                )
        if self.limit is not None and len(kept) + len(frequent) > self.limit:
            frequent = _by_count(frequent, counts)[: max(0, self.limit - len(kept))]
        stays = {*kept, *frequent}
        in_order = [word for word in counts if word in stays]
        return _by_count(in_order, counts) if self.by_count else in_order


def require_counts(word_freq: Mapping[str, int]) -> dict[str, int]:
    """A copy of counts that somebody else made.

    Raises:
        TypeError: a word that is no string, or a count that is no whole number.
        ValueError: a count below 0, or no word at all.
    """
    counts: dict[str, int] = {}
    for word, count in word_freq.items():
        if not isinstance(word, str):
            raise TypeError(f"word_freq: expected words, as strings, found {word!r}; convert items with str()")
        counts[word] = index(count)
        if counts[word] < 0:
            raise ValueError(f"word_freq: expected counts of at least 0, found {count} for {word!r}")
    if not counts:
        raise ValueError("word_freq: expected words with their counts, found none")
    return counts


def _by_count(words: list[str], counts: Mapping[str, int]) -> list[str]:
    return sorted(words, key=counts.__getitem__, reverse=True)
