"""Promises of Word2Vec.train: it goes on where training ended, tells a loss that is right, and stops when told to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from toy_texts import SMALL, interrupt_third_step, two_topics

from pyembed import Word2Vec, reference
from pyembed.config import Backend
from pyembed.corpus import CorpusError
from pyembed.corpus.tables import alias_table
from pyembed.reference import Draws, TokenBlock


def built(**options: Any) -> Word2Vec:
    model = Word2Vec(**{**SMALL, **options})
    model.build_vocab(two_topics())
    return model


def losses(model: Word2Vec) -> list[float]:
    return [epoch.loss for epoch in model.report.epochs]


# --- what comes back --------------------------------------------------------------------------------------------------


def test_train_returns_trained_and_raw_words_of_all_epochs() -> None:
    model = built(min_count=118, sample=0.02)
    trained, raw = model.train(two_topics(), epochs=3)
    assert raw == 3 * 2400
    assert trained == model.report.trained_tokens
    assert 0 < trained < 3 * model.vocabulary.total < raw


def test_counters_tell_what_was_done() -> None:
    model = built()
    assert (model.train_count, model.total_train_time, model.epochs_trained) == (0, 0, 0)
    model.train(two_topics(), epochs=3, start_alpha=0.2, end_alpha=0.05)
    model.train(two_topics(), epochs=2, start_alpha=0.05, end_alpha=0.01)
    assert (model.train_count, model.epochs_trained, model.epochs) == (2, 5, 2)
    assert model.total_train_time > 0
    assert model.min_alpha_yet_reached == pytest.approx(0.01)
    assert (model.alpha, model.min_alpha) == (0.05, 0.01)


def test_the_model_describes_itself() -> None:
    assert str(built()) == "Word2Vec<vocab=20, vector_size=24, alpha=0.1>"


# --- going on ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sg", [0, 1])
def test_training_in_two_parts_learns_as_training_at_once(sg: int) -> None:
    at_once, in_parts = built(sg=sg), built(sg=sg)
    at_once.train(two_topics(), epochs=6, end_alpha=0.05)
    in_parts.train(two_topics(), epochs=3, end_alpha=0.075)
    first = losses(in_parts)
    in_parts.train(two_topics(), epochs=3, start_alpha=0.075, end_alpha=0.05)
    # the same rates at the same places, and the same draws
    assert first + losses(in_parts) == losses(at_once)
    assert np.array_equal(in_parts.wv.vectors, at_once.wv.vectors)


def test_a_loop_over_alpha_as_old_scripts_write_it_trains() -> None:
    model = built(alpha=0.1)
    found = []
    for _ in range(5):
        model.min_alpha = model.alpha
        model.train(two_topics(), total_examples=model.corpus_count, epochs=1)
        found += losses(model)
        assert model.min_alpha_yet_reached == pytest.approx(model.alpha)
        model.alpha -= 0.01
    assert found[-1] < found[0] - 0.2


def test_words_that_are_not_in_the_vocabulary_are_left_out() -> None:
    one, other = built(), built()
    one.train(two_topics())
    other.train([["unknown", *sentence] for sentence in two_topics()])
    assert np.array_equal(one.wv.vectors, other.wv.vectors)


def test_long_sentences_are_trained_whole() -> None:
    sentence = [f"w{n % 50}" for n in range(20_000)]
    model = Word2Vec([sentence], **SMALL)
    assert model.report.trained_tokens == 2 * 20_000
    assert model.train([sentence], epochs=1) == (20_000, 20_000)


def test_tables_are_those_that_the_settings_call_for() -> None:
    model = built()
    for name, value in {"vector_size": 10, "table_dtype": "bfloat16", "hs": 1}.items():
        before = getattr(model, name)
        setattr(model, name, value)
        with pytest.raises(ValueError, match=f"^{name}: expected what the tables were made for"):
            model.train(two_topics())
        setattr(model, name, before)
    model.train(two_topics())


# --- the loss ---------------------------------------------------------------------------------------------------------


def test_the_loss_equals_a_slow_recount(backend: Backend) -> None:
    text, alpha = (
        two_topics()[:60],
        0.1 if backend == "native" else 1e-9,
    )  # PyTorch's kernels train many windows at once
    model = Word2Vec(**SMALL | {"backend": backend, "alpha": alpha, "min_alpha": 0, "negative": 3})
    model.build_vocab(text)
    tables = torch.tensor(model.wv.vectors), torch.zeros(len(model.wv), 24)
    model.train(text, epochs=1)

    ids = torch.tensor([model.wv.get_index(word) for sentence in text for word in sentence], dtype=torch.int32)
    block = TokenBlock(ids, torch.arange(0, 481, 8), 0, 0, 480)
    noise = torch.from_numpy(alias_table(model.vocabulary.counts, 0.75))
    drawn = {"negative": 5, "sharing": 4, "negative_weight": 3 / 5, "together": True}
    draws = Draws(noise, window=5, seed=1, epoch=0, **drawn)
    loss, _ = reference.step_(reference.skipgram_gradient, *tables, block, draws, alpha, 0)
    assert model.get_latest_training_loss() == pytest.approx(float(loss), rel=1e-6)


@pytest.mark.parametrize("sg", [0, 1])
def test_the_loss_does_not_depend_on_threads(sg: int) -> None:
    # learning so little that threads cannot get in one another's way
    found = [built(sg=sg, workers=workers, alpha=1e-9, min_alpha=0) for workers in (1, 2, 5)]
    for model in found:
        model.train(two_topics())
    alone, *together = (model.get_latest_training_loss() for model in found)
    assert together == [pytest.approx(alone, rel=1e-9)] * 2
    assert alone > 2 * 2400 * np.log(2)


def test_the_loss_is_that_of_all_epochs_since_training_began() -> None:
    model = built(epochs=3)
    model.train(two_topics(), compute_loss=True)
    assert model.get_latest_training_loss() == pytest.approx(
        sum(epoch.loss * epoch.pairs for epoch in model.report.epochs), rel=1e-12
    )
    whole = model.running_training_loss
    model.train(two_topics(), epochs=1)
    assert 0 < model.get_latest_training_loss() < whole / 2


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_training_needs_a_vocabulary() -> None:
    with pytest.raises(RuntimeError, match="found none; call build_vocab first"):
        Word2Vec(**SMALL).train(two_topics())


def test_an_exhausted_generator_is_told_of() -> None:
    sentences = (sentence for sentence in two_topics())
    model = Word2Vec(**SMALL)
    model.build_vocab(sentences)
    with pytest.raises(CorpusError, match="an iterator can be gone through only once"):
        model.train(sentences)


def test_a_wrong_argument_of_train_changes_no_setting() -> None:
    model = built()
    for wrong in ({"epochs": 0}, {"start_alpha": -1.0}, {"end_alpha": 1.0}):
        with pytest.raises(ValueError, match="found"):
            model.train(two_topics(), **wrong)  # type: ignore[arg-type]
    assert (model.epochs, model.alpha, model.min_alpha) == (2, 0.1, 1e-4)


def test_train_needs_a_text_and_refuses_unknown_arguments() -> None:
    with pytest.raises(TypeError, match="found neither"):
        built().train()
    with pytest.raises(TypeError, match="train has no option 'epoch'; did you mean 'epochs'"):
        built().train(two_topics(), epoch=3)


def test_ctrl_c_keeps_what_was_trained_and_reaches_the_caller(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_third_step(monkeypatch)
    model = built(backend=backend)
    start = model.wv.vectors.copy()
    with pytest.raises(KeyboardInterrupt):
        model.train(two_topics())
    assert model.report.interrupted
    assert model.report.trained_tokens == 1000
    assert model.get_latest_training_loss() > 0
    assert not np.array_equal(model.wv.vectors, start)
    assert model.epochs_trained == 1  # half of it, but its draws are used up
    model.train(two_topics())
    assert model.epochs_trained == 3


def test_an_error_while_reading_leaves_the_model_as_it_was() -> None:
    model = Word2Vec(two_topics(), **SMALL)
    vectors = model.wv.vectors.copy()
    for call in (model.fit, model.build_vocab, model.train):
        with pytest.raises(CorpusError):
            call([])  # type: ignore[operator]
    assert np.array_equal(model.wv.vectors, vectors)
    assert len(model.vocabulary) == 20
