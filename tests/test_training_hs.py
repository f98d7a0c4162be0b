"""Promises of training with hierarchical softmax, alone and beside negative sampling."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from test_training import WORDS, config_of, corpus, equal, train

from pyembed import ops, reference
from pyembed.cli import main
from pyembed.config import Backend, TrainConfig
from pyembed.corpus.subsample import Subsampler
from pyembed.corpus.tables import alias_table, keep_thresholds
from pyembed.reference import TokenBlock
from pyembed.training import slices
from pyembed.training.draws import draws_of
from pyembed.training.steps import step_ops, tree_of
from pyembed.training.tables import new_tables

ALONE: dict[str, Any] = {"hs": True, "negative": 0}
each_model = pytest.mark.parametrize("model", ["skipgram", "cbow"])


@each_model
def test_training_follows_the_steps_of_the_spec(model: Any, backend: Backend) -> None:
    config = config_of(backend, model=model, epochs=1, alpha=0.01, **ALONE)
    loop = train(config)
    vocabulary, token_ids = corpus()
    expected = new_tables(WORDS, config)
    assert expected.node_padded is not None
    tree = tree_of(vocabulary.counts, "cpu")
    subsampler = Subsampler(token_ids, keep_thresholds(vocabulary.counts, config.sample), config.window, config.seed)
    gradient_of = reference.skipgram_gradient
    if model == "cbow":

        def gradient_of(*arguments: Any) -> reference.Gradient:
            return reference.cbow_gradient(*arguments, mean=True, exact_gradient=False)

    draws = draws_of(config, torch.from_numpy(alias_table(vocabulary.counts, config.ns_exponent)), epoch=0)
    for kept in subsampler.blocks(0, 1 << 20):
        block = TokenBlock(
            torch.from_numpy(kept.ids),
            torch.from_numpy(kept.sentence_starts),
            kept.first_position,
            kept.center_begin,
            kept.center_end,
        )
        total = reference.step_(
            gradient_of,
            expected.in_padded,
            expected.node_padded,
            block,
            draws,
            config.learning_rate,
            config.min_alpha,
            windows_of=lambda *rest: reference.path_windows(tree, *rest),
        )
    assert loop.loss == pytest.approx(total[0].item(), rel=0.01)
    assert loop.epochs[0].pairs == int(total[1])
    for found, spec in zip(loop.tables.padded, expected.padded, strict=True):
        assert (found - spec).norm() < 0.05 * spec.norm()


@each_model
def test_the_loss_falls_and_one_thread_repeats(model: Any, backend: Backend) -> None:
    first, second = (train(config_of(backend, model=model, epochs=6, **ALONE)) for _ in range(2))
    assert equal(first.tables, second.tables)
    assert first.tables.out_vectors is None
    losses = [epoch.loss for epoch in first.epochs]
    assert losses[-1] < losses[0]


@each_model
def test_both_take_turns_and_their_losses_add_up(model: Any, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "SLICE_CENTERS", 50)
    turns: list[str] = []
    for name in (f"{model}_batch_step_", f"{model}_hs_step_"):
        step = getattr(ops, name)

        def spy(*arguments: Any, _name: str = name, _step: Any = step, **options: Any) -> torch.Tensor:
            turns.append(_name)
            return _step(*arguments, **options)

        monkeypatch.setattr(ops, name, spy)
    both = train(config_of(backend, model=model, epochs=1, alpha=1e-3, hs=True))
    assert len(turns) > 10
    assert all(turn != after for turn, after in pairwise(turns))
    paths, negatives = (train(config_of(backend, model=model, epochs=1, alpha=1e-3, **each)) for each in (ALONE, {}))
    assert both.loss == pytest.approx(paths.loss + negatives.loss, rel=0.01)
    assert both.epochs[0].pairs == paths.epochs[0].pairs == negatives.epochs[0].pairs
    assert len(both.tables.padded) == 3
    assert all(table.any() for table in both.tables.padded)


def test_which_ops_train() -> None:
    assert step_ops(TrainConfig()) == ("skipgram_batch_step_",)
    assert step_ops(TrainConfig(device="cuda:1")) == ("skipgram_step_",)
    assert step_ops(TrainConfig(negatives_from="pool", model="cbow")) == ("cbow_step_",)
    assert step_ops(TrainConfig(hs=True, negative=0, model="cbow")) == ("cbow_hs_step_",)
    assert step_ops(TrainConfig(hs=True)) == ("skipgram_batch_step_", "skipgram_hs_step_")


def test_no_negatives_without_hierarchical_softmax() -> None:
    with pytest.raises(ValueError, match=r"negative: expected a whole number >= 1 unless hs is True, found 0"):
        TrainConfig(negative=0)


@each_model
def test_words_of_one_topic_come_close_on_the_command_line(model: str, tmp_path: Any) -> None:
    from pyembed import KeyedVectors

    rng = np.random.default_rng(0)
    topics = [[f"{topic}{i}" for i in range(12)] for topic in "ab"]
    lines = [" ".join(rng.choice(topics[i % 2], 8)) for i in range(600)]
    text, vectors = tmp_path / "text.txt", tmp_path / "vectors.bin"
    text.write_text("\n".join(lines))
    options = ["--model", model, "--hs", "--negative", "0", "--sample", "0", "--dim", "16", "--threads", "1"]
    assert main(["train", str(text), "-o", str(vectors), *options, "--epochs", "10", "--alpha", "0.1", "--quiet"]) == 0
    kv = KeyedVectors.load(vectors)
    within, across = (np.mean([kv.similarity("a0", word) for word in topic[1:]]) for topic in topics)
    assert within > across + 0.3
