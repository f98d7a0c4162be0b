"""Training a model: counting and training in one call, or training what was counted before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

from typing_extensions import Self

from pyembed.corpus import Vocabulary
from pyembed.models.callbacks import require_callbacks
from pyembed.models.settings import corpus_config, require_known
from pyembed.models.text_source import Files, PathLike, Sentences, TextSource
from pyembed.models.training_run import TrainingRun
from pyembed.models.vocabulary_building import VocabularyModel
from pyembed.training.loop import TrainingError


class TrainableModel(VocabularyModel):
    """A model that learns from text.

    callbacks: called in every training that is not given others; see `callbacks.CallbackAny2Vec`.
    """

    callbacks: Sequence[object]

    def fit(self, sentences: Sentences, *, vocabulary: Vocabulary | None = None, progress: bool | None = None) -> Self:
        """Counts and trains anew on sentences in memory or from a generator, which are gone through once.

        Args:
            sentences: lists of tokens, or strings that are split at white space.
            vocabulary: train this one instead of counting one.
            progress: show it on stderr, or not; None: only on a terminal. Ctrl-C during training ends it early, with
                report.interrupted set and everything trained so far in place.

        Raises:
            ValueError: a setting is out of its range.
            TypeError, CorpusError, OSError: as corpus.ingest_sentences.
            MachineError: the device or the backend is not to be had here.
            MemoryError: the tables do not fit.
            TrainingError: the loss is not a number any more; the model has no vectors then.
        """
        return self._fit_or_stop(TextSource(sentences, None, self.workers, progress=progress), vocabulary, progress)

    def fit_files(
        self,
        inputs: Files,
        *,
        vocabulary: Vocabulary | None = None,
        cache_dir: PathLike | None = None,
        progress: bool | None = None,
    ) -> Self:
        """Counts and trains anew on files, one sentence a line. Arguments and errors as fit and corpus.ingest_files."""
        source = TextSource(None, inputs, self.workers, cache_dir, progress)
        return self._fit_or_stop(source, vocabulary, progress)

    def train(
        self,
        corpus_iterable: Sentences | None = None,
        corpus_file: Files | None = None,
        total_examples: int | None = None,  # noqa: ARG002
        total_words: int | None = None,  # noqa: ARG002
        epochs: int | None = None,
        start_alpha: float | None = None,
        end_alpha: float | None = None,
        word_count: int = 0,  # noqa: ARG002
        queue_factor: int = 2,  # noqa: ARG002
        report_delay: float = 1.0,  # noqa: ARG002
        compute_loss: bool = False,
        callbacks: Iterable[object] = (),
        **unknown: Any,
    ) -> tuple[int, int]:
        """Trains the vectors there are, further or for the first time; the text is gone through once, whatever epochs.

        Ctrl-C ends training early; what was trained stays, and KeyboardInterrupt is raised.

        Args:
            corpus_iterable, corpus_file: as in `build_vocab`. Words that are not in the vocabulary are left out.
            epochs, start_alpha, end_alpha: instead of the settings epochs, alpha and min_alpha, which they change.
            callbacks: instead of the model's.
            compute_loss: not used, as in the constructor.
            total_examples, total_words, word_count, queue_factor, report_delay: not used: the text is known before
                training begins, and no queue feeds the threads.

        Returns:
            Over all epochs, words that were trained, which subsampling leaves, and words of the text.

        Raises:
            RuntimeError: there is no vocabulary yet.
            TrainingError: the loss is not a number any more; nor are the vectors then.
            Others: as `fit`.
        """
        known = ("epochs", "start_alpha", "end_alpha", "compute_loss", "callbacks", "corpus_iterable", "corpus_file")
        require_known("train", unknown, known)
        given = {"epochs": epochs, "alpha": start_alpha, "min_alpha": end_alpha}
        changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        config = replace(self.usable_config(), **changes)  # of which a wrong one raises before anything changes
        self.require_tables(config)
        callbacks = require_callbacks(tuple(callbacks) or self.callbacks)
        vars(self).update(changes, compute_loss=compute_loss)
        started = perf_counter()
        corpus = TextSource(corpus_iterable, corpus_file, self.workers).ingest(corpus_config(self), self.vocabulary)
        stages = {"read": perf_counter() - started}
        TrainingRun(self, corpus, callbacks, stages)()
        return self.report.trained_tokens, self.report.raw_tokens * config.epochs

    def get_latest_training_loss(self) -> float:
        """The running sum of the losses of all positive pairs since training last began, in nats, float64."""
        return self.running_training_loss

    def _fit_or_stop(self, source: TextSource, vocabulary: Vocabulary | None, progress: bool | None) -> Self:
        run = self._read(source, vocabulary)
        try:
            run(progress)
        except KeyboardInterrupt:
            if not run.interrupted:
                raise  # from a callback before or after training: no report tells of it
        except TrainingError:
            self._forget()
            raise
        return self

    def _read(self, source: TextSource, vocabulary: Vocabulary | None = None) -> TrainingRun:
        """Chooses the vocabulary and encodes the text in one pass; what is left to do is to train."""
        self.usable_config()
        callbacks = require_callbacks(self.callbacks)
        started = perf_counter()
        corpus = source.ingest(corpus_config(self), self._choice() if vocabulary is None else vocabulary)
        read = perf_counter()
        self._install(corpus.vocabulary, update=False)
        self.corpus_count, self.corpus_total_words = corpus.report.given_sentences, corpus.report.raw_tokens
        stages = {"read": read - started, "prepare": perf_counter() - read}
        return TrainingRun(self, corpus, callbacks, stages)
