"""Phrases and FrozenPhrases, named as gensim's: words that stand together more often than chance has it are joined."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

from typing_extensions import Self

from pyembed.corpus.phrase_scores import Rule, Scoring
from pyembed.corpus.phrase_table import PhraseTable
from pyembed.corpus.phrase_vocabulary import PhraseVocabulary
from pyembed.corpus.phrased_sentences import SENTENCES, PhrasedSentences, Sentences, peeked, word_corpus
from pyembed.models.phrase_files import read_counts, read_table, write_counts, write_table

ENGLISH_CONNECTOR_WORDS = frozenset(
    ["a", "an", "and", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with", "without"]
)
"""Articles, conjunctions and the commonest prepositions."""


class PhraseModel(ABC):
    """What Phrases and FrozenPhrases have in common: finding and joining phrases.

    Attributes:
        min_count, threshold, scoring: what makes a phrase of a candidate; see Phrases.
        delimiter: stands between the words of a phrase that is joined.
        connector_words: may stand within a phrase, but neither begin nor end one.
    """

    min_count: float
    threshold: float
    scoring: Any  # Scoring; None of FrozenPhrases that were saved and had a function
    delimiter: str
    connector_words: frozenset[str]

    @property
    @abstractmethod
    def table(self) -> PhraseTable:
        """The phrases."""

    @overload
    def __getitem__(self, sentence: Sequence[str]) -> list[str]: ...  # type: ignore[overload-overlap]  # no str is taken
    @overload
    def __getitem__(self, sentence: Sentences) -> PhrasedSentences: ...
    def __getitem__(self, sentence: Any) -> list[str] | PhrasedSentences:
        """A sentence with its phrases joined; or of sentences, an iterable of such, which Word2Vec reads on all cores.

        Raises:
            TypeError: a str, which is no list of words.
        """
        if not isinstance(sentence, SENTENCES):
            first, rest = peeked(sentence)
            if not first or isinstance(first[0], str):
                return self.table.join(rest)
            if isinstance(sentence, Iterator):
                sentence = rest
        return PhrasedSentences(self.table, sentence)

    def analyze_sentence(self, sentence: Iterable[str]) -> Iterator[tuple[str, float | None]]:
        """The words of a sentence, phrases joined and with their scores, other words with None."""
        return self.table.analyze(peeked(sentence)[1])

    def score_candidate(
        self, word_a: str, word_b: str, in_between: Sequence[str] = ()
    ) -> tuple[str, float] | tuple[None, None]:
        """Two words and the connector words between them joined, and their score; twice None where it is no phrase."""
        phrase = (word_a, *in_between, word_b)
        score = self.table.scores.get(phrase)
        return (None, None) if score is None else (self.table.delimiter.join(phrase), score)

    def find_phrases(self, sentences: Sentences) -> dict[str, float]:
        """The phrases in sentences, each once, with their scores, those with the highest first.

        Raises:
            TypeError, CorpusError, OSError: as `add_vocab`, also where there is no word.
        """
        return PhrasedSentences(self.table, sentences).found(threads=None)

    def _settings(self) -> dict[str, Any]:
        """What a file says of it."""
        return {
            "min_count": self.min_count,
            "threshold": self.threshold,
            "scoring": self.scoring,
            "delimiter": self.delimiter,
            "connector_words": sorted(self.connector_words),
        }


class Phrases(PhraseModel):
    """Counts words and pairs of neighbours, and finds the pairs that are phrases.

    Args:
        sentences: lists of words, a LineSentence, or `other_phrases[sentences]`, to find phrases of three and four
            words. Gone through once. None: `add_vocab` comes later.
        min_count: pairs that occur less often are no phrases. Above 0; by `default` scoring the number itself is too
            few.
        threshold: pairs with a score above it are phrases; the higher, the fewer. For `npmi` from -1 to 1.
        max_vocab_size: where words and pairs are more, all but the most frequent are forgotten. By that no count of
            what `add_vocab` was given at once is wrong; a count over several calls lacks what was rare in one of them.
        delimiter: what to put between the words of a phrase.
        progress_per: not used.
        scoring: `default`, (count - min_count) / (count of first * count of last) * (words and pairs); `npmi`,
            normalised pointwise mutual information; or a function of worda_count, wordb_count, bigram_count, len_vocab,
            min_count and corpus_word_count.
        connector_words: words that may stand within a phrase but not at its ends, such as ENGLISH_CONNECTOR_WORDS.
        threads: for counting; None: one for every core this process may use. Nothing depends on it.

    Attributes:
        vocab: words and pairs, joined, with their counts; made as they are asked for, not kept.
        corpus_word_count: tokens that were counted, connector words among them.

    Raises:
        ValueError: a value is out of its range.
        TypeError, CorpusError, OSError: as `add_vocab`.
    """

    def __init__(
        self,
        sentences: Sentences | None = None,
        min_count: float = 5,
        threshold: float = 10.0,
        max_vocab_size: int = 40_000_000,
        delimiter: str = "_",
        progress_per: int = 10_000,
        scoring: Scoring = "default",
        connector_words: Iterable[str] = frozenset(),
        *,
        threads: int | None = None,
    ) -> None:
        Rule(min_count, threshold, scoring)
        if not isinstance(delimiter, str) or not delimiter:
            raise ValueError(f"delimiter: expected a text of at least one character, found {delimiter!r}")
        if isinstance(connector_words, str):
            raise ValueError(f"connector_words: expected a set of words, found the str {connector_words!r}")
        if max_vocab_size < 1:
            raise ValueError(f"max_vocab_size: expected at least 1, found {max_vocab_size}")
        self.min_count, self.threshold, self.scoring = min_count, threshold, scoring
        self.max_vocab_size = int(max_vocab_size)  # 4e7 is a number of words too
        self.delimiter, self.connector_words = delimiter, frozenset(connector_words)
        self.progress_per = progress_per
        self.threads = threads
        self.corpus_word_count = 0
        self.vocab = PhraseVocabulary(self.delimiter, self.connector_words)
        self._table: tuple[Rule, int, PhraseTable] | None = None
        if sentences is not None:
            self.add_vocab(sentences)

    def add_vocab(self, sentences: Sentences) -> None:
        """Counts further sentences; see the constructor.

        Raises:
            TypeError: not lists of words; a str is none.
            CorpusError: there is no word, invalid UTF-8, or damaged compressed data.
            ValueError: a corpus that was encoded with a vocabulary whose counts are those of another.
            OSError: a file cannot be read.
        """
        corpus = word_corpus(sentences, "strict", self.threads)
        self.vocab.add(corpus, self.max_vocab_size, self.threads)
        self.corpus_word_count += corpus.token_ids.n_tokens

    @property
    def table(self) -> PhraseTable:
        """The phrases as counted so far, by min_count, threshold and scoring as they are now."""
        rule = Rule(self.min_count, self.threshold, self.scoring)
        if self._table is None or self._table[:2] != (rule, self.corpus_word_count):
            table = self.vocab.phrases(rule, self.corpus_word_count)
            self._table = rule, self.corpus_word_count, table
        return self._table[2]

    def export_phrases(self) -> dict[str, float]:
        """All phrases, joined, with their scores, those with the highest first."""
        return dict(self.table.joined)

    def freeze(self) -> FrozenPhrases:
        """The phrases alone, without the counts."""
        return FrozenPhrases(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes counts and settings, to go on with, whole or not at all; as safetensors, whatever its name.

        Raises:
            ValueError: the scoring is a function, which no file can hold; `freeze().save(path)` works.
            OSError: the file cannot be written.
        """
        if callable(self.scoring):
            raise ValueError("scoring: a function cannot be saved; freeze().save(path) saves the phrases it finds")
        counters = {"max_vocab_size": self.max_vocab_size, "corpus_word_count": self.corpus_word_count}
        write_counts(path, self.vocab, self._settings() | counters)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Reads what `save` wrote.

        Raises:
            VectorFileError: another kind of file, gensim's pickles among them, or a damaged one.
            OSError: the file cannot be read.
        """
        vocabulary, settings = read_counts(path)
        corpus_word_count = settings.pop("corpus_word_count")
        phrases = cls(**settings)
        phrases.vocab, phrases.corpus_word_count = vocabulary, corpus_word_count
        return phrases

    def __len__(self) -> int:
        """How many words and pairs there are."""
        return len(self.vocab)

    def __str__(self) -> str:
        return (
            f"{type(self).__name__}<{len(self)} vocab, min_count={self.min_count}, threshold={self.threshold}, "
            f"max_vocab_size={self.max_vocab_size}>"
        )


class FrozenPhrases(PhraseModel):
    """Phrases and their scores, without the counts that they were found by.

    Args:
        phrases_model: to take them from.

    Attributes:
        phrasegrams: the phrases, joined, with their scores, those with the highest first.
    """

    def __init__(self, phrases_model: PhraseModel) -> None:
        self._take(phrases_model.table, phrases_model.min_count, phrases_model.threshold, phrases_model.scoring)

    def _take(self, table: PhraseTable, min_count: float, threshold: float, scoring: Scoring | None) -> None:
        self._phrases = table
        self.min_count, self.threshold, self.scoring = min_count, threshold, scoring
        self.delimiter, self.connector_words = table.delimiter, table.connector_words

    @property
    def table(self) -> PhraseTable:
        return self._phrases

    @property
    def phrasegrams(self) -> dict[str, float]:
        return self._phrases.joined

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the phrases, whole or not at all; as safetensors, whatever its name. A function that scored them is
        left out.

        Raises:
            OSError: the file cannot be written.
        """
        write_table(path, self._phrases, self._settings() | ({"scoring": None} if callable(self.scoring) else {}))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Reads what `save` wrote. Errors as Phrases.load."""
        table, settings = read_table(path)
        phrases = cls.__new__(cls)
        phrases._take(table, settings["min_count"], settings["threshold"], settings["scoring"])
        return phrases

    def __len__(self) -> int:
        """How many phrases there are."""
        return len(self._phrases.joined)

    def __str__(self) -> str:
        return f"{type(self).__name__}<{len(self)} phrases, min_count={self.min_count}, threshold={self.threshold}>"
