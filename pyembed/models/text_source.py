"""Where a model's sentences come from: an iterable or files, counted or encoded by the same call."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pyembed.config import CorpusConfig
from pyembed.corpus import Corpus, Vocabulary, ingest_files, ingest_sentences
from pyembed.corpus.counting import Census, count_files, count_sentences
from pyembed.corpus.words import WordChoice
from pyembed.training.progress import ReadingProgress

Sentences = Iterable[Sequence[str] | str]
"""Lists of tokens, or strings that are split at white space."""
PathLike = str | os.PathLike[str]
Files = PathLike | Sequence[PathLike]
"""A file, folder or glob, or several; see corpus.ingest_files."""


@dataclass(frozen=True)
class TextSource:
    """Sentences, or else files, one sentence a line.

    progress: show that of reading files on stderr, or not; None: only on a terminal.
    """

    sentences: Sentences | None
    files: Files | None
    threads: int | None
    cache_dir: PathLike | None = None
    progress: bool | None = None

    def __post_init__(self) -> None:
        if (self.sentences is None) == (self.files is None):
            found = "neither" if self.files is None else "both"
            raise TypeError(f"expected either sentences, from any iterable, or a corpus_file, found {found}")
        if isinstance(self.sentences, (str, bytes)):
            raise TypeError(
                f"sentences: expected an iterable of sentences, found the {type(self.sentences).__name__} "
                f"{self.sentences[:40]!r}; to read a file, name it as corpus_file"
            )

    def count(self, config: CorpusConfig, choice: WordChoice | None) -> Census:
        """Its vocabulary. Errors as those of corpus.ingest_files and ingest_sentences."""
        if self.sentences is not None:
            return count_sentences(self.sentences, config, choice=choice, threads=self.threads)
        with ReadingProgress(shown=self.progress) as reading:
            return count_files(self._paths(), config, choice=choice, threads=self.threads, progress=reading.update)

    def ingest(self, config: CorpusConfig, vocabulary: Vocabulary | WordChoice | None) -> Corpus:
        """It, encoded. Errors as those of corpus.ingest_files and ingest_sentences."""
        if self.sentences is not None:
            return ingest_sentences(self.sentences, config, vocabulary=vocabulary, threads=self.threads)
        with ReadingProgress(shown=self.progress) as reading:
            return ingest_files(
                self._paths(),
                config,
                vocabulary=vocabulary,
                cache_dir=self.cache_dir,
                threads=self.threads,
                progress=reading.update,
            )

    def _paths(self) -> Sequence[PathLike]:
        assert self.files is not None
        return [self.files] if isinstance(self.files, (str, os.PathLike)) else self.files
