"""PhraseVocabulary: counts of words and of candidates for phrases, and which of these are phrases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyembed.config import usable_cores
from pyembed.corpus import phrase_engine
from pyembed.corpus.ingest import Corpus
from pyembed.corpus.phrase_engine import Candidates, PhraseCounts
from pyembed.corpus.phrase_scores import Rule
from pyembed.corpus.phrase_table import Phrase, PhraseTable


class _Tally(NamedTuple):
    """What scores are made of. Words and candidates that are the same text share one count."""

    word_counts: NDArray[np.int64]
    candidates: Candidates
    size: int
    """Distinct texts."""


class PhraseVocabulary(Mapping[str, int]):
    """Words, and candidates for phrases with the delimiter between their words, with their counts.

    Connector words are only counted within candidates. A candidate that looks like a word or like another candidate
    when it is joined shares its count: the text it becomes is one word.
    """

    def __init__(self, delimiter: str, connector_words: frozenset[str]) -> None:
        self.delimiter = delimiter
        self.connector_words = connector_words
        self.words: list[str] = []
        """By number."""
        self.word_counts = np.zeros(0, np.int64)
        """[words], 0 for connector words and for words that were forgotten."""
        self.counts: PhraseCounts = phrase_engine.open_counts()
        self._numbers: dict[str, int] = {}
        self._texts_may_meet = False  # only where a word holds characters of the delimiter

    def add(self, corpus: Corpus, max_size: int, threads: int | None) -> None:
        """Counts a corpus that was encoded with all of its words. Where there are then more than `max_size` words and
        candidates, the rarest are forgotten: all that occur so often as the most frequent of them, or less.

        Raises:
            ValueError: the corpus was encoded with a vocabulary whose counts are those of another.
        """
        if corpus.vocabulary.total != corpus.token_ids.n_tokens:
            raise ValueError(
                f"expected a corpus with counts of its own words, found {corpus.token_ids.n_tokens} words "
                f"and counts of {corpus.vocabulary.total}: encode it without the vocabulary of another"
            )
        numbers = self.add_words(corpus.vocabulary.words)
        is_connector = np.array([word in self.connector_words for word in corpus.vocabulary.words])
        np.add.at(self.word_counts, numbers[~is_connector], corpus.vocabulary.counts[~is_connector])
        token_ids = corpus.token_ids
        cut = self.counts.count(
            token_ids.ids,
            token_ids.sentence_starts,
            np.where(is_connector, -1 - numbers, numbers).astype(np.int32),
            self.word_counts,
            threads or usable_cores(),
            max_size,
        )
        self.word_counts[self.word_counts <= cut] = 0
        vars(self).pop("_tally", None)

    def add_words(self, words: list[str]) -> NDArray[np.int64]:
        """The numbers of distinct words; new ones get the next and the count 0."""
        new = [word for word in words if word not in self._numbers]
        self._numbers.update(zip(new, range(len(self.words), len(self.words) + len(new)), strict=True))
        self.words += new
        self.word_counts = np.append(self.word_counts, np.zeros(len(new), np.int64))
        self._texts_may_meet |= not all(map(set(self.delimiter).isdisjoint, new))
        return np.array([self._numbers[word] for word in words], np.int64)

    def phrases(self, rule: Rule, corpus_word_count: int) -> PhraseTable:
        """The candidates whose scores are above the rule's threshold."""
        if self._texts_may_meet:
            tally = self._tally
        else:  # those that are too rare need not be looked at
            tally = _Tally(self.word_counts, Candidates(*self.counts.candidates(rule.least_count)), len(self))
        candidates, word_counts = tally.candidates, tally.word_counts
        scores = rule.scores(
            word_counts[candidates.first],
            word_counts[candidates.last],
            candidates.counts,
            tally.size,
            corpus_word_count,
        )
        chosen = np.flatnonzero(scores > rule.threshold)
        phrases = zip(self._phrases(candidates.at(chosen)), scores[chosen].tolist(), strict=True)
        best_first = sorted(phrases, key=lambda phrase_and_score: (-phrase_and_score[1], phrase_and_score[0]))
        return PhraseTable(dict(best_first), self.delimiter, self.connector_words)

    def __getitem__(self, text: str) -> int:
        count = self._count_of_word(text)
        for first, run, last in self._splits(text):
            count += self.counts.count_of(first, last, run)
        if not count:
            raise KeyError(text)
        return count

    def __len__(self) -> int:
        if self._texts_may_meet:
            return self._tally.size
        return int(np.count_nonzero(self.word_counts)) + self.counts.size()

    def __iter__(self) -> Iterator[str]:
        yield from (word for word, count in zip(self.words, self.word_counts.tolist(), strict=True) if count)
        given = set()
        for phrase in self._phrases(Candidates(*self.counts.candidates(1))):
            text = self.delimiter.join(phrase)
            if self._texts_may_meet:
                if text in given or self._count_of_word(text):
                    continue
                given.add(text)
            yield text

    def _count_of_word(self, word: str) -> int:
        number = self._numbers.get(word)
        return 0 if number is None else int(self.word_counts[number])

    def _phrases(self, candidates: Candidates) -> Iterator[Phrase]:
        parents, words = (column.tolist() for column in self.counts.runs())
        runs: dict[int, Phrase] = {}  # not of all nodes: those on the way to a long run are long too
        for run in np.unique(candidates.run).tolist():
            backwards, node = [], run
            while node:
                backwards.append(self.words[words[node]])
                node = parents[node]
            runs[run] = tuple(reversed(backwards))
        columns = (candidates.first.tolist(), candidates.run.tolist(), candidates.last.tolist())
        return ((self.words[first], *runs[run], self.words[last]) for first, run, last in zip(*columns, strict=True))

    def _splits(self, text: str) -> Iterator[tuple[int, int, int]]:
        """Every first word, run and last word, by number, that a text may be made of."""
        for end, after in self._delimiters(text, 0):
            if (first := self._numbers.get(text[:end])) is not None:
                for start, run in self._runs(text, after):
                    if (last := self._numbers.get(text[start:])) is not None:
                        yield first, run, last

    def _runs(self, text: str, start: int) -> Iterator[tuple[int, int]]:
        """Where a run that begins at `start` may end, and the run."""
        longest = max(map(len, self.connector_words), default=0)
        found = [(start, 0)]
        for start, run in found:  # to which longer ones are added meanwhile
            yield start, run
            for end, after in self._delimiters(text, start):
                if end - start > longest:
                    break
                word = self._numbers.get(text[start:end])
                longer = -1 if word is None else self.counts.find_run(run, word)
                if longer >= 0:
                    found.append((after, longer))

    def _delimiters(self, text: str, start: int) -> Iterator[tuple[int, int]]:
        """Where the delimiters behind `start` begin and end."""
        at = text.find(self.delimiter, start)
        while at >= 0:
            yield at, at + len(self.delimiter)
            at = text.find(self.delimiter, at + 1)

    @cached_property
    def _tally(self) -> _Tally:
        """All counts, those of equal texts added up."""
        candidates = Candidates(*self.counts.candidates(1))
        words = np.flatnonzero(self.word_counts)
        hashes = _TextHashes(self.words, self.delimiter)
        of_words = hashes.words[words]
        of_all = np.concatenate([of_words, hashes.joined(candidates, self.counts.runs())])
        order = np.argsort(of_all)
        alike = np.diff(of_all[order]) == 0
        suspected = np.zeros(len(order), dtype=np.bool_)  # equal texts are among them
        suspected[:-1] |= alike
        suspected[1:] |= alike
        suspects = order[suspected]

        word_suspects = words[suspects[suspects < len(words)]]
        places = suspects[suspects >= len(words)] - len(words)
        texts = [self.words[number] for number in word_suspects.tolist()]
        texts += map(self.delimiter.join, self._phrases(candidates.at(places)))
        counts = np.concatenate([self.word_counts[word_suspects], candidates.counts[places]])
        totals: dict[str, int] = {}
        for text, count in zip(texts, counts.tolist(), strict=True):
            totals[text] = totals.get(text, 0) + count
        shared = np.array([totals[text] for text in texts], np.int64)
        word_counts, candidate_counts = self.word_counts.copy(), candidates.counts.copy()
        word_counts[word_suspects] = shared[: len(word_suspects)]
        candidate_counts[places] = shared[len(word_suspects) :]
        size = len(of_all) - len(texts) + len(totals)
        return _Tally(word_counts, candidates._replace(counts=candidate_counts), size)


class _TextHashes:
    """Numbers that are equal where texts are: their bytes as one number, modulo a prime."""

    _PRIME = 2**32 - 5  # so that a product fits in 64 bits

    def __init__(self, words: list[str], delimiter: str) -> None:
        encoded = [word.encode("utf-8", "surrogatepass") for word in words]
        self.words = self._hashes(encoded)
        self._lengths = np.array([len(word) for word in encoded])
        self._delimiter = delimiter.encode("utf-8", "surrogatepass")
        longest = max([*self._lengths.tolist(), len(self._delimiter)])
        self._powers = np.array([pow(256, length, self._PRIME) for length in range(longest + 1)], np.uint64)

    def joined(self, candidates: Candidates, runs: tuple[NDArray[np.int32], NDArray[np.int32]]) -> NDArray[np.uint64]:
        """[n], of candidates when they are joined."""
        [delimiter] = self._hashes([self._delimiter])
        # Of what stands between first and last word, and the power that it shifts a text before it by.
        middle, shift = [int(delimiter)], [int(self._powers[len(self._delimiter)])]
        for parent, word in zip(runs[0][1:].tolist(), runs[1][1:].tolist(), strict=True):
            power = int(self._powers[self._lengths[word]])
            longer = (middle[parent] * power + int(self.words[word])) * shift[0] + middle[0]
            middle.append(longer % self._PRIME)
            shift.append(shift[parent] * power * shift[0] % self._PRIME)
        first, last, run, _ = candidates
        prime = np.uint64(self._PRIME)
        head = (self.words[first] * np.array(shift, np.uint64)[run] + np.array(middle, np.uint64)[run]) % prime
        hashes: NDArray[np.uint64] = (head * self._powers[self._lengths[last]] + self.words[last]) % prime
        return hashes

    def _hashes(self, texts: list[bytes]) -> NDArray[np.uint64]:
        return np.array([int.from_bytes(text, "big") % self._PRIME for text in texts], np.uint64)
