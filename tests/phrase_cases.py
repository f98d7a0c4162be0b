"""A text for tests of phrases, slow twins of counting and joining, and both engines in turn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import strategies as st

from pyembed import compiled_text
from pyembed.config import CorpusConfig
from pyembed.corpus import Corpus, phrase_engine, python_phrases

EACH_WORD = CorpusConfig(min_count=1)
CONNECTORS = frozenset({"of", "the"})
TEXT = [
    line.split()
    for line in [
        "the bank of america in new york",
        "new york is new and york is old",
        "bank of the america bank of america",
        "",
        "a new york bank of america of the",
        "of the bank of america",
    ]
]
words = st.sampled_from(["a", "b", "c", "new", "york", "of", "the"])
texts = st.lists(st.lists(words, max_size=12), min_size=1, max_size=12).filter(any)


@pytest.fixture(params=["native", "python"], scope="module")
def phrase_engines(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.param == "native" and compiled_text.native is None:
        pytest.skip(f"the compiled engine is missing: {compiled_text.NATIVE_ERROR}")
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "python":
            patch.setattr(phrase_engine, "open_counts", python_phrases.PhraseCounts)
            patch.setattr(phrase_engine, "open_merger", python_phrases.PhraseMerger)
            patch.setattr(phrase_engine, "text_lines", python_phrases.lines)
        yield


def naive_vocab(sentences: Sequence[Sequence[str]], connectors: frozenset[str] = CONNECTORS) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for sentence in sentences:
        for first, word in enumerate(sentence):
            if word in connectors:
                continue
            counts[word] += 1
            for last in range(first + 1, len(sentence)):
                if sentence[last] not in connectors:
                    counts["_".join(sentence[first : last + 1])] += 1
                    break
    return dict(counts)


def naive_join(sentence: Sequence[str], phrases: set[str], connectors: frozenset[str] = CONNECTORS) -> list[str]:
    joined, first = [], 0
    while first < len(sentence):
        last = first + 1
        if sentence[first] not in connectors:
            while last < len(sentence) and sentence[last] in connectors:
                last += 1
        phrase = "_".join(sentence[first : last + 1])
        whole = sentence[first] not in connectors and last < len(sentence) and phrase in phrases
        joined.append(phrase if whole else sentence[first])
        first = last + 1 if whole else first + 1
    return joined


def decoded(corpus: Corpus) -> list[list[str]]:
    starts, names = corpus.token_ids.sentence_starts.tolist(), corpus.vocabulary.words
    sentences = np.split(corpus.token_ids.ids, starts[1:-1])
    return [[names[id_] for id_ in sentence.tolist()] for sentence in sentences]
