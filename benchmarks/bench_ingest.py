"""From a text file to word ids: raw words/s and bytes/s, the file in the system's cache, and how long gensim counts.

gensim's `build_vocab(corpus_file=)` only counts words; it splits text into ids again in every epoch.
"""

from __future__ import annotations

import gzip
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from measure import Measure
from zipf import SENTENCE, ZipfCorpus

from pyembed.config import CorpusConfig, usable_cores
from pyembed.corpus import Corpus, ingest_files


@pytest.fixture(scope="module")
def text(corpus: ZipfCorpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus as text; a word is its rank in letters, so that frequent words are short."""
    words = [f"{rank:x}".translate(str.maketrans("0123456789", "ghijklmnop")) for rank in range(len(corpus.counts))]
    tokens = [words[id_] for id_ in corpus.token_ids.ids.tolist()]
    lines = (" ".join(tokens[start : start + SENTENCE]) for start in range(0, len(tokens), SENTENCE))
    path = tmp_path_factory.mktemp("ingest") / "text.txt"
    path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("threads", sorted({1, usable_cores()}))
def test_a_file(threads: int, suffix: str, text: Path, corpus: ZipfCorpus, measure: Measure) -> None:
    path = text.with_suffix(text.suffix + suffix)
    if suffix:
        path.write_bytes(gzip.compress(text.read_bytes()))

    def read() -> Corpus:
        return ingest_files([path], CorpusConfig(min_count=1), threads=threads)

    T = corpus.token_ids.n_tokens
    assert measure(read, words=T, bytes=text.stat().st_size).token_ids.n_tokens == T


def test_a_file_beside_gensim(text: Path, request: pytest.FixtureRequest, measure: Measure) -> None:
    """The first file of --corpus, else the Zipf text; turn and turn about, two threads or workers each."""
    gensim = pytest.importorskip("gensim.models", reason="gensim is not installed")
    path = str(next(iter(request.config.getoption("corpus")), text))
    vocabularies: dict[str, int] = {}
    seconds: dict[str, list[float]] = {"pyembed": [], "gensim": []}

    def gensim_count() -> int:
        model = gensim.Word2Vec(min_count=5, workers=2)
        model.build_vocab(corpus_file=path)
        return len(model.wv)

    def pyembed_read() -> int:
        return len(ingest_files([path], CorpusConfig(min_count=5), threads=2).vocabulary)

    def timed(name: str, run: Callable[[], int]) -> None:
        started = time.perf_counter()
        vocabularies[name] = run()
        seconds[name].append(time.perf_counter() - started)

    def both() -> None:
        timed("pyembed", pyembed_read)
        timed("gensim", gensim_count)

    measure(both, rounds=3)
    assert vocabularies["pyembed"] == vocabularies["gensim"]
    ours, theirs = (statistics.median(runs) for runs in seconds.values())
    measure.note(**{"pyembed s": ours, "gensim s": theirs, "times as long": theirs / ours})
