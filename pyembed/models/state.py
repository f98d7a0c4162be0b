"""What a model has learnt, and what shows it: tables, vectors and counters, kept in step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyembed import ops
from pyembed.config import TrainConfig
from pyembed.corpus import Vocabulary
from pyembed.models.settings import Settings, corpus_config, training_config
from pyembed.training.report import TrainingReport
from pyembed.training.steps import step_ops
from pyembed.training.tables import Tables, grown_tables, new_tables
from pyembed.vectors.rows import LateRows
from pyembed.vectors.trained import TrainedVectors


class ModelState(Settings):
    """Tables that are trained, and vectors that show their rows.

    Attributes:
        wv: the vectors, the same object throughout. On the CPU in float32 they lie in the memory of tables.in_vectors;
            otherwise they are a copy, taken anew when training ends, and before each callback.
        vocabulary: words and counts, by id.
        tables: in_vectors, out_vectors, node_vectors.
        report: of the last training: stages, losses and rates.
        epochs_trained: epochs so far, which say where in the random draws training goes on.
        corpus_count: sentences of the text that was counted last, blank lines of files among them.
        corpus_total_words: its words.
        train_count: how often training ended.
        total_train_time: seconds of it.
        running_training_loss: sum of the losses of all positive pairs since training last began, in nats, float64.
        min_alpha_yet_reached: the learning rate that training reached last.
        effective_min_count: occurrences that a word needed to be in the vocabulary.
        raw_vocab: counts of all words, where they were asked for.
    """

    tables: Tables
    report: TrainingReport
    epochs_trained: int
    corpus_count: int
    corpus_total_words: int
    train_count: int
    total_train_time: float
    running_training_loss: float
    min_alpha_yet_reached: float
    effective_min_count: int
    raw_vocab: Mapping[str, int]

    def _forget(self) -> None:
        """Begins without a vocabulary. `wv` stays the same object."""
        self.vocabulary = Vocabulary.from_counts([], [])
        if "_wv" not in vars(self):
            self._wv = TrainedVectors(training_config(self).vector_size)
        vars(self).pop("tables", None)
        self._show_no_words()
        self.raw_vocab = {}
        self.epochs_trained = self.corpus_count = self.corpus_total_words = self.train_count = 0
        self.total_train_time = self.running_training_loss = 0.0
        self.min_alpha_yet_reached = self.alpha
        self.effective_min_count = self.min_count or 1

    def _show_no_words(self) -> None:
        self.wv.show([], np.zeros(0, dtype=np.int64), np.zeros((0, self.vector_size), dtype=np.float32))

    def begin(self, vocabulary: Vocabulary) -> None:
        """Untrained vectors of a vocabulary. Raises as `usable_config`, and MemoryError; all stays as it was then."""
        tables = new_tables(len(vocabulary), self.usable_config())
        self.vocabulary = vocabulary
        self.epochs_trained = 0  # vectors that nothing was drawn for
        self._hold(tables)

    def usable_config(self) -> TrainConfig:
        """For whatever takes long afterwards: the configuration, of which it is known that it can be used here.

        Raises:
            ValueError: a setting is out of its range.
            MachineError: the device or the backend is not to be had here.
        """
        config = training_config(self)
        for op in step_ops(config):
            ops.require_machine(op, config.backend, config.device)
        return config

    def _grow(self, vocabulary: Vocabulary) -> None:
        """Untrained vectors beside those there are, for the words that the vocabulary has more."""
        self.take_vectors()
        tables = grown_tables(self.tables, len(vocabulary), training_config(self))
        self.vocabulary = vocabulary
        self._hold(tables)

    def _hold(self, tables: Tables) -> None:
        self.tables = tables
        padded, D = tables.in_padded, tables.dimensions
        if padded.dtype == torch.float32 and padded.device.type == "cpu":
            self.wv.show(self.vocabulary.words, self.vocabulary.counts, _on_host(padded, D))
        else:  # of which a copy may be as large as all tables
            late = LateRows((len(padded), D), lambda: _on_host(padded, D))
            self.wv.show(self.vocabulary.words, self.vocabulary.counts, late)
        settings = {**training_config(self).to_dict(), **corpus_config(self).to_dict()}
        self.wv.metadata = {name: str(value) for name, value in settings.items()}

    def take_vectors(self) -> None:
        """For training and saving: brings what somebody changed in `wv` into the tables.

        Raises:
            ValueError: `wv` has other words than the vocabulary, or vectors of another size.
        """
        if (misfit := self._misfit()) is not None:
            raise ValueError(misfit)
        if not self.wv.has_rows:
            return
        if not self.wv.rows().flags.writeable:
            self.wv.vectors = self.wv.rows().copy()  # an array of the user's, a file's say, that nothing is shown in
        rows = self.wv.rows()
        if not _same_memory(self.tables.in_vectors, rows):
            self.tables.in_vectors.copy_(torch.from_numpy(rows))

    def _misfit(self) -> str | None:
        """What training cannot follow of that which somebody changed in `wv`."""
        if self.wv.index_to_key != self.vocabulary.words:
            return (
                f"wv: expected the {len(self.vocabulary):,} words of the vocabulary in its order, found "
                f"{len(self.wv):,} or another order; words are added with build_vocab(update=True)"
            )
        if self.wv.vector_size != self.tables.dimensions:
            return f"wv: expected vectors of size {self.tables.dimensions}, found {self.wv.vector_size}"
        return None

    def show_vectors(self) -> None:
        """For training: brings what was trained into `wv`, and the words back where somebody changed those."""
        if self._misfit() is not None:
            self._hold(self.tables)
        if self.wv.has_rows and not _same_memory(self.tables.in_vectors, self.wv.rows()):
            torch.from_numpy(self.wv.rows()).copy_(self.tables.in_vectors.cpu())
        self.wv.rows_changed()

    def lock_factors(self) -> NDArray[np.float32] | None:
        """For training: float32[V], or None where every vector learns."""
        factors = self.wv.vectors_lockf
        return None if (factors == 1).all() else np.broadcast_to(factors, len(self.vocabulary)).copy()

    def require_tables(self, config: TrainConfig) -> None:
        """For training: finds out whether the tables are those that the settings call for.

        Raises:
            RuntimeError: there is no vocabulary yet.
            ValueError: a setting that makes the tables was changed after they were made.
        """
        if not len(self.vocabulary):
            raise RuntimeError("expected a vocabulary to train, found none; call build_vocab first, or fit")
        tables = self.tables
        dtype, device = getattr(torch, config.table_dtype), torch.device(config.device)
        made_for: dict[str, tuple[Any, Any]] = {
            "vector_size": (tables.dimensions, config.vector_size),
            "table_dtype": (tables.in_padded.dtype, dtype),
            "device": (tables.in_padded.device.type, device.type),
            "negative above 0": (tables.out_padded is not None, config.negative > 0),
            "hs": (tables.node_padded is not None, config.hs),
        }
        for name, (made, wanted) in made_for.items():
            if made != wanted:
                raise ValueError(
                    f"{name}: expected what the tables were made for, {made}, found {wanted}; it can be chosen until "
                    "build_vocab or fit makes them"
                )

    @property
    def wv(self) -> TrainedVectors:
        """The vectors by word."""
        return self._wv

    @wv.setter
    def wv(self, vectors: object) -> None:
        raise AttributeError(
            f"wv: expected the model's own vectors, which training changes, found a {type(vectors).__name__}; bring "
            "others in with wv.vectors[...] = rows or wv.intersect_word2vec_format(path, lockf=1.0)"
        )

    @property
    def layer1_size(self) -> int:
        """Another name of `vector_size`."""
        return self.vector_size

    @property
    def syn1neg(self) -> NDArray[np.float32] | None:
        """out_vectors, float32[V, D]: the memory of the table, or a copy as with `wv`; None where there are none."""
        tables = self.tables
        return None if tables.out_padded is None else _on_host(tables.out_padded, tables.dimensions)

    @property
    def syn1(self) -> NDArray[np.float32] | None:
        """The vectors of the nodes of Huffman's tree, as `syn1neg`; None without hierarchical softmax."""
        tables = self.tables
        return None if tables.node_padded is None else _on_host(tables.node_padded, tables.dimensions)


def _on_host(padded: Tensor, dimensions: int) -> NDArray[np.float32]:
    """A table's rows: its own memory where that can be. A device may be full: what is not float32 becomes so here."""
    rows: NDArray[np.float32] = padded.cpu().float()[:, :dimensions].numpy()
    return rows


def _same_memory(table: Tensor, rows: NDArray[np.float32]) -> bool:
    return table.device.type == "cpu" and table.data_ptr() == rows.ctypes.data
