"""PhrasedSentences: sentences with their phrases joined, as lists of words, or as ids without Python's lists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyembed.config import CorpusConfig, EncodingErrors, usable_cores
from pyembed.corpus.counting import Counted
from pyembed.corpus.engine import Types
from pyembed.corpus.ingest import Corpus, ingest_sentences
from pyembed.corpus.line_sentences import LineSentence
from pyembed.corpus.phrase_engine import PhraseMerger
from pyembed.corpus.phrase_table import PhraseTable, refuse_text
from pyembed.corpus.token_ids import TokenIds

Sentences = Iterable[Sequence[str]] | Corpus
"""Lists of words, in memory, from files or from an iterator; or a corpus that was encoded with all of its words."""


class PhrasedSentences:
    """Sentences with their phrases joined; `phrases[sentences]` makes one.

    It can be gone through as often as the sentences themselves. Word2Vec, Phrases and ingest_sentences do not go
    through it: they join the ids of the words instead, on all cores, which comes to the same.

    Raises:
        RuntimeError: while it is gone through a second time, where the sentences come from an iterator.
    """

    def __init__(self, table: PhraseTable, sentences: Sentences) -> None:
        self._table = table
        self._sentences = sentences
        self._once = not isinstance(sentences, Corpus) and iter(sentences) is sentences
        self._used = False

    def __iter__(self) -> Iterator[list[str]]:
        if self._once and self._used:
            raise RuntimeError(
                "the sentences came from an iterator, which was gone through already; "
                "give a list, or an object that makes a new iterator each time"
            )
        self._used = True
        sentences = decoded(self._sentences) if isinstance(self._sentences, Corpus) else self._sentences
        yield from map(self._table.join, sentences)

    @contextmanager
    def first_pass(self, encoding_errors: EncodingErrors, threads: int | None) -> Iterator[Counted]:
        """What the first pass over it finds; see `counting.counted_sentences`."""
        corpus, merger, texts = self._merger(encoding_errors, threads)
        token_ids, workers = corpus.token_ids, threads or usable_cores()
        counts, first_positions = merger.count(token_ids.ids, token_ids.sentence_starts, workers)

        # Joined words that look like one another, or like a word of the text, are one.
        words = corpus.vocabulary.words
        type_of_text = dict(corpus.vocabulary.word_to_id)
        types = [type_of_text.setdefault(text, len(type_of_text)) for text in texts]
        type_of_id = np.concatenate([np.arange(len(words)), np.array(types, np.int64)])
        type_counts = np.zeros(len(type_of_text), np.int64)
        np.add.at(type_counts, type_of_id, counts)
        type_positions = np.full(len(type_of_text), np.iinfo(np.int64).max)
        there = counts > 0
        np.minimum.at(type_positions, type_of_id[there], first_positions[there])

        kept = np.flatnonzero(type_counts)
        number = np.full(len(type_of_text), -1, np.int64)
        number[kept] = np.arange(len(kept))
        all_texts = list(type_of_text)
        yield Counted(
            _JoinedWords(merger, corpus, number[type_of_id], workers),
            Types(
                type_counts[kept],
                type_positions[kept],
                np.empty(0, np.int32),
                lambda numbers: [all_texts[type_] for type_ in kept[numbers].tolist()],
            ),
            corpus.report.bytes,
            corpus.report.given_sentences,
            are_words=True,
        )

    def found(self, threads: int | None) -> dict[str, float]:
        """The phrases that are joined, each once, with their scores, those with the highest first."""
        corpus, merger, texts = self._merger("strict", threads)
        token_ids = corpus.token_ids
        counts, _ = merger.count(token_ids.ids, token_ids.sentence_starts, threads or usable_cores())
        found = {text for text, count in zip(texts, counts[len(corpus.vocabulary) :].tolist(), strict=True) if count}
        return {text: score for text, score in self._table.joined.items() if text in found}

    def _merger(self, encoding_errors: EncodingErrors, threads: int | None) -> tuple[Corpus, PhraseMerger, list[str]]:
        """The sentences as they are, what joins their ids, and the text of the ids above those of the vocabulary."""
        corpus = word_corpus(self._sentences, encoding_errors, threads)
        merger, phrases = self._table.merger(corpus.vocabulary)
        return corpus, merger, [self._table.delimiter.join(phrase) for phrase in phrases]


@dataclass(frozen=True)
class _JoinedWords:
    """The second pass; see `engine.Encoder`."""

    merger: PhraseMerger
    corpus: Corpus
    types: NDArray[np.int64]
    """Of every id after joining; -1 of those that are not there."""
    threads: int

    def sentence_ends(self) -> int:
        return self.corpus.report.given_sentences

    def encode(
        self,
        words: NDArray[np.int32],
        _list_starts: NDArray[np.int64],  # no word is split: the tokens are words already
        _list_words: NDArray[np.int32],
        ids: NDArray[np.int32],
        starts: NDArray[np.int64],
        /,
    ) -> tuple[int, int]:
        token_ids: TokenIds = self.corpus.token_ids
        word_of_id = np.append(words, np.int32(-1))[self.types]
        return self.merger.encode(token_ids.ids, token_ids.sentence_starts, word_of_id, self.threads, ids, starts)


def word_corpus(sentences: Sentences, encoding_errors: EncodingErrors, threads: int | None) -> Corpus:
    """Sentences encoded with all of their words.

    Raises:
        TypeError: the sentences are str instead of lists of words.
        TypeError, CorpusError, OSError: as `ingest_sentences`.
    """
    if isinstance(sentences, Corpus):
        return sentences
    lists: Iterable[Sequence[str]] = sentences
    if not isinstance(lists, SENTENCES):
        first, rest = peeked(lists)
        if not isinstance(lists, (list, tuple)):
            lists = rest  # not begun anew, which may be slow, or go on behind the first
        if first and isinstance(first[0], (str, bytes)):
            raise TypeError(
                f"sentence 0: expected a list of words, found the {type(first[0]).__name__} {first[0][:40]!r}; "
                "split it into words, or where this is one sentence, give a list that holds it"
            )
    return ingest_sentences(lists, CorpusConfig(min_count=1, encoding_errors=encoding_errors), threads=threads)


def peeked(items: Iterable[Any]) -> tuple[list[Any], Iterable[Any]]:
    """A list of the first item, or of none, and all items, once.

    Raises:
        TypeError: they are the letters of a str, or not to be gone through.
    """
    refuse_text(items)
    iterator = (item for item in items)  # since iter() starts some iterators again, as islice would
    first = list(islice(iterator, 1))
    return first, chain(first, iterator)


def decoded(corpus: Corpus) -> Iterator[list[str]]:
    """The sentences of a corpus as words again."""
    words, ids = corpus.vocabulary.words, corpus.token_ids.ids
    for start, stop in pairwise(corpus.token_ids.sentence_starts.tolist()):
        yield [words[id_] for id_ in ids[start:stop].tolist()]


SENTENCES = (Corpus, LineSentence, PhrasedSentences)
"""What is known to be sentences, whatever comes first in it."""
