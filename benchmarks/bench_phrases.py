"""Phrases, from a text file to scores, and the text encoded with its phrases joined: raw words/s, and gensim's time.

The text is the first file of --corpus. gensim reads the same file with its LineSentence; checked is that both find the
same phrases and that joined text has as many words.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from measure import Measure

from pyembed import ENGLISH_CONNECTOR_WORDS, LineSentence, Phrases
from pyembed.config import CorpusConfig, usable_cores
from pyembed.corpus import Corpus, ingest_sentences

Result = TypeVar("Result")
EACH_WORD = CorpusConfig(min_count=1)


@pytest.fixture(scope="module")
def text(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tiny: bool) -> Path:
    files: list[Path] = request.config.getoption("corpus")
    if files:
        return files[0]
    if not tiny:
        pytest.skip("phrases are found in real text: name a file with --corpus")
    path: Path = tmp_path_factory.mktemp("phrases") / "text.txt"
    path.write_text("the bank of america in new york\n" * 100 + "new and old york of the bank\n" * 10)
    return path


@pytest.fixture(scope="module")
def found(text: Path) -> Phrases:
    return Phrases(LineSentence(text), connector_words=ENGLISH_CONNECTOR_WORDS)


@pytest.mark.parametrize("threads", sorted({1, usable_cores()}))
def test_counting_and_scoring(threads: int, text: Path, found: Phrases, measure: Measure) -> None:
    def find() -> dict[str, float]:
        sentences = LineSentence(text)
        return Phrases(sentences, connector_words=ENGLISH_CONNECTOR_WORDS, threads=threads).export_phrases()

    assert measure(find, rounds=3, words=found.corpus_word_count) == found.export_phrases()


@pytest.mark.parametrize("threads", sorted({1, usable_cores()}))
def test_encoding_with_phrases_joined(threads: int, text: Path, found: Phrases, measure: Measure) -> None:
    def join() -> Corpus:
        return ingest_sentences(found[LineSentence(text)], EACH_WORD, threads=threads)

    assert measure(join, rounds=3, words=found.corpus_word_count).token_ids.n_tokens <= found.corpus_word_count


def test_beside_gensim(text: Path, measure: Measure) -> None:
    """Turn and turn about, once each, all cores for pyembed; gensim has one thread."""
    theirs = pytest.importorskip("gensim.models", reason="gensim is not installed").phrases
    word2vec = pytest.importorskip("gensim.models.word2vec", reason="gensim is not installed")
    seconds: dict[str, float] = {}

    def timed(name: str, run: Callable[[], Result]) -> Result:
        started = time.perf_counter()
        result = run()
        seconds[name] = time.perf_counter() - started
        return result

    def both() -> None:
        ours = timed("pyembed counts, s", lambda: Phrases(LineSentence(text), connector_words=ENGLISH_CONNECTOR_WORDS))
        frozen = timed("pyembed scores, s", ours.freeze)
        joined = timed("pyembed joins, s", lambda: ingest_sentences(frozen[LineSentence(text)], EACH_WORD))
        sentences = word2vec.LineSentence(str(text), max_sentence_length=10**9)
        counted = timed(
            "gensim counts, s", lambda: theirs.Phrases(sentences, connector_words=theirs.ENGLISH_CONNECTOR_WORDS)
        )
        their_frozen = timed("gensim scores, s", counted.freeze)
        words = timed("gensim joins, s", lambda: sum(map(len, their_frozen[sentences])))
        assert frozen.phrasegrams == pytest.approx(their_frozen.phrasegrams, rel=1e-12)
        assert words == joined.token_ids.n_tokens

    measure(both, rounds=1)
    measure.note(**seconds)
