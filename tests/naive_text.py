"""Slow, obvious twins of the corpus pipeline: everything in memory, one token after another."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise

from pyembed.corpus import Corpus


def naive_sentences(files: Sequence[bytes]) -> list[list[str]]:
    """The tokens of files, one sentence a line."""
    sentences = []
    for file in files:
        for line in file.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
            tokens = re.split(rb"[\x00\t\v\f\r ]", line)
            sentences.append([token.decode("utf-8", "replace") for token in tokens if token])
    return sentences


def naive_vocabulary(sentences: Sequence[Sequence[str]], min_count: int, limit: int | None) -> list[tuple[str, int]]:
    """Words with their counts, by count and then by first appearance."""
    words = [word for sentence in sentences for word in sentence]
    distinct = sorted(set(words), key=lambda word: (-words.count(word), words.index(word)))
    return [(word, words.count(word)) for word in distinct if words.count(word) >= min_count][:limit]


def naive_map(sentences: Sequence[Sequence[str]], change: Callable[[str], list[str]]) -> list[list[str]]:
    return [[word for token in sentence for word in change(token)] for sentence in sentences]


def naive_kept(sentences: Sequence[Sequence[str]], words: Sequence[str]) -> list[list[str]]:
    """The sentences without words that are not in the vocabulary, and without those that become empty."""
    kept = [[word for word in sentence if word in words] for sentence in sentences]
    return [sentence for sentence in kept if sentence]


def decoded(corpus: Corpus) -> list[list[str]]:
    """The sentences of a corpus as words again."""
    starts = corpus.token_ids.sentence_starts.tolist()
    ids = corpus.token_ids.ids
    assert starts[0] == 0
    assert starts[-1] == len(ids)
    return [[corpus.vocabulary.words[id_] for id_ in ids[start:stop]] for start, stop in pairwise(starts)]


def vocabulary_of(corpus: Corpus) -> list[tuple[str, int]]:
    return list(zip(corpus.vocabulary.words, corpus.vocabulary.counts.tolist(), strict=True))
