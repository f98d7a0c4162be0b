"""From a text file to word ids: raw words/s and bytes/s, the file in the system's cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
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


@pytest.mark.parametrize("threads", sorted({1, usable_cores()}))
def test_a_file(threads: int, text: Path, corpus: ZipfCorpus, measure: Callable[..., Any]) -> None:
    def read() -> Corpus:
        return ingest_files([text], CorpusConfig(min_count=1), threads=threads)

    T = corpus.token_ids.n_tokens
    assert measure(read, words=T, bytes=text.stat().st_size).token_ids.n_tokens == T
