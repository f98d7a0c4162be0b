"""Word2Vec: from text to word vectors in one call."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from time import perf_counter
from typing import Any

import torch
from typing_extensions import Self

from pyembed import ops
from pyembed.config import CorpusConfig, TrainConfig
from pyembed.corpus import Corpus, Vocabulary, ingest_files, ingest_sentences
from pyembed.training.loop import TrainingLoop
from pyembed.training.progress import ReadingProgress, TrainingProgress
from pyembed.training.report import TrainingReport
from pyembed.training.tables import Tables, new_tables
from pyembed.vectors import KeyedVectors

_TRAIN_OPTIONS = {field.name for field in fields(TrainConfig)}
_CORPUS_OPTIONS = {field.name for field in fields(CorpusConfig)}


class Word2Vec:
    """Skip-gram and CBOW with negative sampling (Mikolov et al. 2013, arXiv:1310.4546).

    Args:
        training, corpus: the configurations; None stands for the defaults.
        options: fields of either configuration by name, for example vector_size=300, which replace theirs.

    Attributes (after fit or fit_files):
        wv: the trained vectors, KeyedVectors of float32[V, D].
        vocabulary: words and counts, by id.
        tables: in_vectors (which wv shows) and out_vectors, [V, D] tensors of table_dtype.
        report: stages, losses and rates.

    Raises:
        ValueError: an option is out of its range.
        TypeError: there is no option of that name.
    """

    wv: KeyedVectors
    vocabulary: Vocabulary
    tables: Tables
    report: TrainingReport

    def __init__(
        self, *, training: TrainConfig | None = None, corpus: CorpusConfig | None = None, **options: Any
    ) -> None:
        for name in options.keys() - _TRAIN_OPTIONS - _CORPUS_OPTIONS:
            near = difflib.get_close_matches(name, _TRAIN_OPTIONS | _CORPUS_OPTIONS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise TypeError(f"Word2Vec has no option {name!r}{hint}")
        self.training = replace(training or TrainConfig(), **{k: v for k, v in options.items() if k in _TRAIN_OPTIONS})
        self.corpus = replace(corpus or CorpusConfig(), **{k: v for k, v in options.items() if k in _CORPUS_OPTIONS})

    def fit_files(
        self,
        inputs: Sequence[str | os.PathLike[str]],
        *,
        vocabulary: Vocabulary | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        progress: bool | None = None,
    ) -> Self:
        """Trains on files, one sentence a line. Arguments and errors as corpus.ingest_files.

        progress: show it on stderr, or not; None: only on a terminal. Ctrl-C during training ends it early, with
        report.interrupted set and everything trained so far in place.

        Raises:
            MachineError: the device or the backend is not to be had here.
            TrainingError: the loss is not a number any more.
        """

        def read() -> Corpus:
            with ReadingProgress(shown=progress) as reading:
                return ingest_files(
                    inputs,
                    self.corpus,
                    vocabulary=vocabulary,
                    cache_dir=cache_dir,
                    threads=self.training.thread_count,
                    progress=reading.update,
                )

        return self._fit(read, progress)

    def fit(
        self,
        sentences: Iterable[Sequence[str] | str],
        *,
        vocabulary: Vocabulary | None = None,
        progress: bool | None = None,
    ) -> Self:
        """Trains on sentences in memory or from a generator: lists of tokens, or strings that are split at white space.

        Sentences are gone through once. Arguments and errors otherwise as fit_files and corpus.ingest_sentences.
        """

        def read() -> Corpus:
            return ingest_sentences(sentences, self.corpus, vocabulary=vocabulary, threads=self.training.thread_count)

        return self._fit(read, progress)

    def _fit(self, read: Callable[[], Corpus], progress: bool | None) -> Self:
        ops.require_machine(f"{self.training.model}_step_", self.training.backend, self.training.device)
        report = TrainingReport()
        started = perf_counter()
        corpus = read()
        report.stages["read"] = perf_counter() - started

        started = perf_counter()
        tables = new_tables(len(corpus.vocabulary.words), self.training)
        loop = TrainingLoop(tables, corpus.vocabulary, corpus.token_ids, self.training)
        report.stages["prepare"] = perf_counter() - started

        started = perf_counter()
        total = corpus.token_ids.n_tokens * self.training.epochs
        with TrainingProgress(total, shown=progress) as bar:
            try:
                loop.run(bar)
            except KeyboardInterrupt:
                report.interrupted = True
        report.stages["train"] = perf_counter() - started

        self._describe(report, corpus, loop)
        self.vocabulary, self.tables, self.report = corpus.vocabulary, tables, report
        vectors = tables.in_vectors.float().cpu().numpy()
        metadata = {name: str(value) for name, value in {**self.training.to_dict(), **self.corpus.to_dict()}.items()}
        self.wv = KeyedVectors(corpus.vocabulary.words, vectors, counts=corpus.vocabulary.counts, metadata=metadata)
        return self

    def _describe(self, report: TrainingReport, corpus: Corpus, loop: TrainingLoop) -> None:
        status = ops.status()
        seconds = sum(epoch.seconds for epoch in loop.epochs) or 1.0
        report.raw_tokens = corpus.report.raw_tokens
        report.kept_tokens = corpus.report.kept_tokens
        report.sentences = corpus.report.sentences
        report.vocabulary = len(corpus.vocabulary.words)
        report.epochs = loop.epochs
        report.trained_tokens = sum(epoch.trained_tokens for epoch in loop.epochs)
        # Of every epoch the part that was seen, so that an interrupted run reports its true speed.
        seen = sum(epoch.words_per_second * epoch.seconds for epoch in loop.epochs)
        report.raw_words_per_second = seen * (report.raw_tokens / max(report.kept_tokens, 1)) / seconds
        report.trained_words_per_second = report.trained_tokens / seconds
        native = ops.is_native(f"{self.training.model}_step_", self.training.backend, self.training.device)
        report.backend = "native" if native else "torch"
        on_cpu = torch.device(self.training.device).type == "cpu"
        report.simd = "none" if not native else status.simd if on_cpu else "cuda"
        report.device = self.training.device
        report.threads = self.training.thread_count
        report.table_bytes = loop.tables.in_padded.nbytes + loop.tables.out_padded.nbytes
