"""Promises of the configurations: defaults of the field, and every bad value refused by the name of its field."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, fields
from typing import Any

import numpy as np
import pytest

from pyembed.config import CorpusConfig, TrainConfig, usable_cores

NAN, INFINITY = float("nan"), float("inf")

BAD_TRAINING: dict[str, list[Any]] = {
    "model": ["glove", None, []],
    "vector_size": [0, -1, 65_537, 1.5, "100", True, None],
    "window": [0, 1_001, 2.0],
    "negative": [0, -1, 1_001, 5.0],
    "hs": [1, None, "yes"],
    "negatives_from": ["block", 1],
    "pool_negatives": [0, 1001, 2.5],
    "pool": [1, 17, 65, 4.0],
    "products": ["float16", 1],
    "ns_exponent": [NAN, INFINITY, "0.75", None],
    "sample": [-1e-9, 1.1, NAN, "1e-3"],
    "epochs": [0, -1, 2**32, 1.0],
    "alpha": [0, -0.1, NAN, INFINITY, "0.025"],
    "min_alpha": [-1e-9, 0.026, NAN, "0"],
    "cbow_gradient": ["true", None],
    "threads": [0, -1, 4_097, 1.0],
    "seed": [-1, 2**63, 1.0, None],
    "backend": ["cuda", None],
    "table_dtype": ["float16", None],
}
BAD_CORPUS: dict[str, list[Any]] = {
    "tokenizer": ["spacy", None],
    "encoding_errors": ["ignore", None],
    "min_count": [0, -1, 1.0],
    "max_final_vocab": [0, -1, 1.0],
}


def cases(table: dict[str, list[Any]]) -> list[Any]:
    return [pytest.param(name, value, id=f"{name}={value!r}") for name, values in table.items() for value in values]


@pytest.mark.parametrize(("name", "value"), cases(BAD_TRAINING))
def test_a_bad_hyper_parameter_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: expected .*, found ") as error:
        TrainConfig(**{name: value})
    assert repr(value) in str(error.value)


@pytest.mark.parametrize(("name", "value"), cases(BAD_CORPUS))
def test_a_bad_corpus_option_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: expected .*, found ") as error:
        CorpusConfig(**{name: value})
    assert repr(value) in str(error.value)


@pytest.mark.parametrize(
    "options",
    [
        {"vector_size": 1},
        {"vector_size": 65_536},
        {"window": 1_000, "negative": 1_000},
        {"hs": True},
        {"hs": True, "negative": 0},
        {"pool": 16},
        {"negatives_from": "pool", "pool": 64},
        {"negatives_from": "batch", "pool_negatives": 1},
        {"pool_negatives": 1_000},
        {"ns_exponent": -0.5},
        {"sample": 0},
        {"sample": 1},
        {"alpha": 1e-5, "min_alpha": 1e-5},
        {"min_alpha": 0},
        {"seed": 0},
        {"seed": 2**63 - 1},
        {"threads": 1},
    ],
)
def test_the_ends_of_the_ranges_are_allowed(options: dict[str, Any]) -> None:
    config = TrainConfig(**options)
    assert {name: getattr(config, name) for name in options} == options


def test_defaults_are_those_of_word2vec_and_gensim() -> None:
    config = TrainConfig()
    assert (config.model, config.vector_size, config.window, config.negative) == ("skipgram", 100, 5, 5)
    assert (config.ns_exponent, config.sample, config.epochs, config.min_alpha) == (0.75, 1e-3, 5, 1e-4)
    assert CorpusConfig().min_count == 5


def test_who_shares_negatives_becomes_a_number_of_windows() -> None:
    assert TrainConfig(negatives_from="pair", pool=9).sharing == 0
    assert TrainConfig(negatives_from="window", pool=9).sharing == 1
    assert TrainConfig(negatives_from="pool", pool=9).sharing == 9
    assert TrainConfig(negatives_from="batch", pool=9).sharing == 9


@pytest.mark.parametrize(("device", "shared_by"), [("cpu", "batch"), ("cpu:0", "batch"), ("cuda", "window")])
def test_who_shares_negatives_follows_the_device_unless_it_is_given(device: str, shared_by: str) -> None:
    assert TrainConfig(device=device).negatives_shared_by == shared_by
    assert TrainConfig(device=device).trains_batches == (shared_by == "batch")
    assert TrainConfig(device=device, negatives_from="pool").negatives_shared_by == "pool"


@pytest.mark.parametrize(("pool", "drawn"), [(None, 8), (2, 6), (4, 8), (6, 10), (16, 20)])
def test_larger_batches_draw_more_negatives(pool: int | None, drawn: int) -> None:
    assert TrainConfig(pool=pool).negatives_drawn == drawn
    assert TrainConfig(pool=pool).negative_weight == 5 / drawn


@pytest.mark.parametrize(("negative", "drawn"), [(1, 2), (5, 8), (10, 16), (999, 1_000)])
def test_the_negatives_of_a_batch_count_as_many_as_a_pairs(negative: int, drawn: int) -> None:
    config = TrainConfig(negatives_from="batch", negative=negative)
    assert config.negatives_drawn == drawn
    assert config.negatives_drawn * config.negative_weight == pytest.approx(negative)
    given = TrainConfig(negatives_from="batch", negative=negative, pool_negatives=3)
    assert (given.negatives_drawn, given.negative_weight) == (3, negative / 3)


def test_other_negatives_are_drawn_as_they_count() -> None:
    for config in (TrainConfig(negatives_from="pool", pool_negatives=9), TrainConfig(hs=True, negative=0)):
        assert not config.trains_batches
        assert (config.negatives_drawn, config.negative_weight) == (config.negative, 1)


def test_the_learning_rate_follows_the_model_unless_it_is_given() -> None:
    assert TrainConfig().learning_rate == 0.025
    assert TrainConfig(model="cbow").learning_rate == 0.05
    assert TrainConfig(model="cbow", alpha=0.3).learning_rate == 0.3


def test_a_minimum_above_the_models_own_rate_is_refused() -> None:
    assert TrainConfig(model="cbow", min_alpha=0.04).min_alpha == 0.04
    with pytest.raises(ValueError, match=r"^min_alpha: expected a number from 0 to alpha \(0.025\)"):
        TrainConfig(min_alpha=0.04)


def test_threads_default_to_the_cores_at_hand() -> None:
    assert TrainConfig(threads=3).thread_count == 3
    assert TrainConfig().thread_count == usable_cores() >= 1


@pytest.mark.parametrize("config", [TrainConfig(alpha=0.1, seed=7), CorpusConfig(min_count=2)])
def test_a_dictionary_makes_an_equal_configuration(config: TrainConfig | CorpusConfig) -> None:
    values = config.to_dict()
    assert values.keys() == {field.name for field in fields(config)}
    assert type(config)(**values) == config


@pytest.mark.parametrize(
    "config",
    [
        TrainConfig(vector_size=np.int64(50), alpha=np.float32(0.5), sample=np.float64(0), threads=np.int32(2)),
        CorpusConfig(min_count=np.int64(2), max_final_vocab=np.int32(9)),
    ],
)
def test_numbers_of_numpy_become_those_that_json_can_hold(config: TrainConfig | CorpusConfig) -> None:
    assert type(config)(**json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize("config", [TrainConfig(), CorpusConfig()])
def test_a_configuration_never_changes(config: TrainConfig | CorpusConfig) -> None:
    name = fields(config)[0].name
    with pytest.raises(FrozenInstanceError):
        setattr(config, name, "other")
