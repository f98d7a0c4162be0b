"""One training of a model on a corpus: the loop, the callbacks around its epochs, and the report at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter

import torch

from pyembed import ops
from pyembed.corpus import Corpus
from pyembed.models.callbacks import call
from pyembed.models.settings import training_config
from pyembed.models.state import ModelState
from pyembed.training.draws import rounds_products
from pyembed.training.loop import TrainingLoop
from pyembed.training.progress import TrainingProgress
from pyembed.training.report import TrainingReport
from pyembed.training.steps import step_ops


class TrainingRun:
    """Trains a model, which is up to date whenever a callback looks at it, and however training ends.

    corpus: encoded with the model's vocabulary. stages: seconds that what came before took. Errors as those of
    TrainingLoop, of `ModelState.require_tables` and of the callbacks.

    interrupted: whether Ctrl-C ended the epochs.
    """

    def __init__(
        self, model: ModelState, corpus: Corpus, callbacks: Sequence[object], stages: dict[str, float]
    ) -> None:
        started = perf_counter()
        self._model = model
        self._corpus = corpus
        self._callbacks = callbacks
        self._config = training_config(model)
        model.require_tables(self._config)
        model.take_vectors()
        self._loop = TrainingLoop(
            model.tables,
            model.vocabulary,
            corpus.token_ids,
            self._config,
            first_epoch=model.epochs_trained,
            locks=model.lock_factors(),
        )
        self._epochs_before = model.epochs_trained
        self.interrupted = False
        self._stages = {**stages, "prepare": stages.get("prepare", 0.0) + perf_counter() - started}

    def __call__(self, progress: bool | None = None) -> None:
        """progress: as `Word2Vec.fit`. The model's report tells of an interruption, which is raised all the same."""
        model = self._model
        model.running_training_loss = 0.0
        call(self._callbacks, "on_train_begin", model)
        started = perf_counter()
        try:
            with TrainingProgress(self._corpus.token_ids.n_tokens * self._config.epochs, shown=progress) as bar:
                self._loop.run(bar, self if self._callbacks else None)
        except KeyboardInterrupt:
            self.interrupted = True
            raise
        finally:
            self._stages["train"] = perf_counter() - started
            self._update()
            model.total_train_time += self._stages["train"]
            model.train_count += 1
            model.report = self._report()
        call(self._callbacks, "on_train_end", model)

    def epoch_begins(self, _epoch: int) -> None:
        model = self._model
        call(self._callbacks, "on_epoch_begin", model)
        # a callback may have changed these, in on_train_begin too
        model.take_vectors()
        self._loop.config = replace(self._loop.config, alpha=model.alpha, min_alpha=model.min_alpha)

    def epoch_ended(self, _epoch: int) -> None:
        self._update()
        call(self._callbacks, "on_epoch_end", self._model)
        self._model.take_vectors()

    def _update(self) -> None:
        model = self._model
        model.show_vectors()
        model.running_training_loss = self._loop.loss
        model.min_alpha_yet_reached = self._loop.rate
        model.epochs_trained = self._epochs_before + len(self._loop.epochs)

    def _report(self) -> TrainingReport:
        config, loop, read, status = self._config, self._loop, self._corpus.report, ops.status()
        seconds = sum(epoch.seconds for epoch in loop.epochs) or 1.0
        trained = sum(epoch.trained_tokens for epoch in loop.epochs)
        # Of every epoch the part that was seen, so that an interrupted run reports its true speed.
        seen = sum(epoch.words_per_second * epoch.seconds for epoch in loop.epochs)
        native = all(ops.is_native(name, config.backend, config.device) for name in step_ops(config))
        on_cpu = torch.device(config.device).type == "cpu"
        simd = status.bfloat16_products if rounds_products(loop.config) else status.simd
        return TrainingReport(
            stages=self._stages,
            raw_tokens=read.raw_tokens,
            kept_tokens=read.kept_tokens,
            sentences=read.sentences,
            vocabulary=len(self._model.vocabulary),
            trained_tokens=trained,
            epochs=loop.epochs,
            raw_words_per_second=seen * (read.raw_tokens / max(read.kept_tokens, 1)) / seconds,
            trained_words_per_second=trained / seconds,
            backend="native" if native else "torch",
            simd="none" if not native else simd if on_cpu else "cuda",
            device=config.device,
            threads=config.thread_count,
            table_bytes=loop.tables.nbytes,
            interrupted=self.interrupted,
        )
