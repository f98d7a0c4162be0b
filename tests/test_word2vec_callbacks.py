"""Promises of callbacks: called in order, with a model that is usable, and their errors end training and arrive."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_texts import SMALL, two_topics

from pyembed import KeyedVectors, Word2Vec
from pyembed.models import CallbackAny2Vec


class Recorder(CallbackAny2Vec):
    """Notes what is called, and what the model looks like then."""

    def __init__(self, name: str = "", notes: list[str] | None = None) -> None:
        self.name = name
        self.notes: list[str] = [] if notes is None else notes
        self.losses: list[float] = []
        self.vectors: list[Any] = []

    def on_train_begin(self, model: Word2Vec) -> None:
        self.notes.append(f"{self.name}train begins")
        self.vectors.append(model.wv.vectors.copy())

    def on_epoch_begin(self, model: Word2Vec) -> None:
        self.notes.append(f"{self.name}epoch begins, {model.epochs_trained} trained")

    def on_epoch_end(self, model: Word2Vec) -> None:
        self.notes.append(f"{self.name}epoch ended, {model.epochs_trained} trained")
        self.losses.append(model.get_latest_training_loss())
        self.vectors.append(model.wv.vectors.copy())

    def on_train_end(self, model: Word2Vec) -> None:
        self.notes.append(f"{self.name}train ended, {model.train_count} times")


def test_hooks_are_called_in_order() -> None:
    recorder = Recorder()
    Word2Vec(two_topics(), callbacks=[recorder], **SMALL)
    assert recorder.notes == [
        "train begins",
        "epoch begins, 0 trained",
        "epoch ended, 1 trained",
        "epoch begins, 1 trained",
        "epoch ended, 2 trained",
        "train ended, 1 times",
    ]


def test_several_are_called_one_after_another() -> None:
    notes: list[str] = []
    Word2Vec(two_topics(), callbacks=[Recorder("1 ", notes), Recorder("2 ", notes)], **{**SMALL, "epochs": 1})
    assert [note[0] for note in notes] == ["1", "2"] * 4


@pytest.mark.parametrize("table_dtype", ["float32", "bfloat16"])
def test_vectors_and_losses_are_those_of_the_moment(table_dtype: Any) -> None:
    recorder = Recorder()
    model = Word2Vec(two_topics(), callbacks=[recorder], **{**SMALL, "epochs": 3, "table_dtype": table_dtype})
    for before, after in zip(recorder.vectors, recorder.vectors[1:], strict=False):
        assert not np.array_equal(before, after)
    assert np.array_equal(recorder.vectors[-1], model.wv.vectors)
    sums = np.cumsum([epoch.loss * epoch.pairs for epoch in model.report.epochs])
    assert recorder.losses == pytest.approx(sums.tolist())


def test_queries_are_right_in_the_midst_of_training() -> None:
    class Asker(CallbackAny2Vec):
        answers: list[list[tuple[str, float]]] = []  # noqa: RUF012

        def on_epoch_end(self, model: Word2Vec) -> None:
            rows = model.wv.vectors
            exact = KeyedVectors(model.wv.index_to_key, rows.copy()).most_similar("a1")
            for (word, score), (other, expected) in zip(model.wv.most_similar("a1"), exact, strict=True):
                assert word == other
                assert score == pytest.approx(expected, abs=1e-6)
            self.answers.append(exact)

    Word2Vec(two_topics(), callbacks=[Asker()], **{**SMALL, "epochs": 3})
    assert len(Asker.answers) == 3
    assert Asker.answers[0] != Asker.answers[2]


def test_a_checkpoint_of_each_epoch_goes_on_from_there(tmp_path: Path) -> None:
    class Saver(CallbackAny2Vec):
        def on_epoch_end(self, model: Word2Vec) -> None:
            model.save(tmp_path / f"{model.epochs_trained}.model")

    model = Word2Vec(two_topics(), callbacks=[Saver()], **{**SMALL, "epochs": 3})
    first, last = (Word2Vec.load(tmp_path / f"{epoch}.model") for epoch in (1, 3))
    assert np.array_equal(last.wv.vectors, model.wv.vectors)
    assert first.epochs_trained == 1
    assert not np.array_equal(first.wv.vectors, model.wv.vectors)


@pytest.mark.parametrize(
    ("hook", "told"),
    [("on_train_begin", False), ("on_epoch_begin", True), ("on_epoch_end", True), ("on_train_end", False)],
)
def test_ctrl_c_in_a_callback_is_raised_by_fit_where_no_report_tells_of_it(hook: str, told: bool) -> None:
    def interrupt(_self: Any, _model: Word2Vec) -> None:
        raise KeyboardInterrupt

    model = Word2Vec(callbacks=[type("Interrupting", (CallbackAny2Vec,), {hook: interrupt})()], **SMALL)
    with nullcontext() if told else pytest.raises(KeyboardInterrupt):
        assert model.fit(two_topics()).report.interrupted


@pytest.mark.parametrize("table_dtype", ["float32", "bfloat16"])
def test_a_callback_may_change_vectors(table_dtype: str) -> None:
    def set_to_zero(_self: Any, model: Word2Vec) -> None:
        model.wv.vectors[:] = 0

    options = {**SMALL, "table_dtype": table_dtype}
    at_the_end = type("AtTheEnd", (CallbackAny2Vec,), {"on_epoch_end": set_to_zero})()
    model = Word2Vec(two_topics(), callbacks=[at_the_end], **options)
    assert not model.wv.vectors.any()
    assert not model.tables.in_vectors.any()

    at_the_beginning = type("AtTheBeginning", (CallbackAny2Vec,), {"on_train_begin": set_to_zero})()
    model, twin = Word2Vec(callbacks=[at_the_beginning], **options), Word2Vec(**options)
    for each in (model, twin):
        each.build_vocab(two_topics())
    twin.wv.vectors[:] = 0
    for each in (model, twin):
        each.train(two_topics())
    assert np.array_equal(model.wv.vectors, twin.wv.vectors)


def test_rates_that_a_callback_sets_are_those_of_the_next_epoch() -> None:
    class Scheduler(CallbackAny2Vec):
        def on_epoch_end(self, model: Word2Vec) -> None:
            model.alpha = model.min_alpha = 0.01

    model = Word2Vec(two_topics(), callbacks=[Scheduler()], **SMALL)
    assert model.min_alpha_yet_reached == 0.01
    by_hand = Word2Vec(**SMALL)
    by_hand.build_vocab(two_topics())
    by_hand.train(two_topics(), epochs=1, start_alpha=0.1, end_alpha=(0.1 + 1e-4) / 2)
    by_hand.train(two_topics(), epochs=1, start_alpha=0.01, end_alpha=0.01)
    np.testing.assert_allclose(model.wv.vectors, by_hand.wv.vectors, atol=1e-5)


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_begin", "on_epoch_end"])
def test_words_that_a_callback_changes_end_training_and_each_vector_stays_with_its_word(hook: str) -> None:
    def add(_self: Any, model: Word2Vec) -> None:
        model.wv.add_vector("stranger", np.ones(24))

    def sort(_self: Any, model: Word2Vec) -> None:
        model.wv.set_vecattr("b3", "count", 10**6)
        model.wv.sort_by_descending_frequency()

    for change in (add, sort):
        model = Word2Vec(**SMALL)
        model.build_vocab(two_topics())
        changing = type("Changing", (CallbackAny2Vec,), {hook: change})()
        with pytest.raises(ValueError, match=r"^wv: expected the 20 words of the vocabulary in its order"):
            model.train(two_topics(), callbacks=[changing])
        assert model.wv.index_to_key == model.vocabulary.words
        assert np.array_equal(model.wv.vectors, model.tables.in_vectors.numpy())
        model.train(two_topics())


def test_callbacks_change_no_draw() -> None:
    with_some = Word2Vec(two_topics(), callbacks=[Recorder()], **SMALL)
    assert np.array_equal(with_some.wv.vectors, Word2Vec(two_topics(), **SMALL).wv.vectors)


def test_those_of_train_are_called_instead_of_the_models() -> None:
    kept, given = Recorder(), Recorder()
    model = Word2Vec(callbacks=[kept], **SMALL)
    model.build_vocab(two_topics())
    assert kept.notes == []
    model.train(two_topics(), callbacks=[given])
    assert (len(kept.notes), len(given.notes)) == (0, 6)
    model.train(two_topics())
    assert (len(kept.notes), len(given.notes)) == (6, 6)


def test_any_object_with_one_of_the_methods_will_do() -> None:
    class Counter:
        epochs = 0

        def on_epoch_end(self, _model: Word2Vec) -> None:
            self.epochs += 1

    counter = Counter()
    Word2Vec(two_topics(), callbacks=[counter], **SMALL)
    assert counter.epochs == 2


def test_gensims_own_class_works() -> None:
    gensim = pytest.importorskip("gensim.models", reason="gensim is not installed")

    class Theirs(gensim.callbacks.CallbackAny2Vec):  # type: ignore[misc,name-defined]
        epochs = 0

        def on_epoch_end(self, _model: Any) -> None:
            self.epochs += 1

    theirs = Theirs()
    Word2Vec(two_topics(), callbacks=[theirs], **SMALL)
    assert theirs.epochs == 2


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_begin", "on_epoch_end", "on_train_end"])
def test_what_a_callback_raises_ends_training_and_arrives(hook: str) -> None:
    class OwnError(Exception):
        pass

    def fail(_self: Any, _model: Word2Vec) -> None:
        raise OwnError

    failing = type("Failing", (CallbackAny2Vec,), {hook: fail})()
    model = Word2Vec(**{**SMALL, "workers": 2, "epochs": 3})
    model.build_vocab(two_topics())
    start = model.wv.vectors.copy()
    with pytest.raises(OwnError):
        model.train(two_topics(), callbacks=[failing])
    epochs = {"on_train_begin": 0, "on_epoch_begin": 0, "on_epoch_end": 1, "on_train_end": 3}[hook]
    assert model.epochs_trained == epochs
    assert np.array_equal(model.wv.vectors, start) == (epochs == 0)
    model.train(two_topics())  # the model is as good as before
    assert model.epochs_trained == epochs + 3
