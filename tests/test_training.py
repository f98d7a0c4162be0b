"""Promises of the training loop and of the tables it trains."""

from __future__ import annotations

from itertools import accumulate, combinations, pairwise
from typing import Any

import naive
import numpy as np
import pytest
import torch
from torch.testing import assert_close

from pyembed import ops, reference
from pyembed.config import Backend, TrainConfig
from pyembed.corpus import TokenIds, Vocabulary
from pyembed.corpus.tables import keep_thresholds
from pyembed.ops import torch_kernels
from pyembed.training import blocks
from pyembed.training.loop import EpochHooks, TrainingError, TrainingLoop, learning_rate
from pyembed.training.progress import TrainingProgress
from pyembed.training.tables import Tables, new_table, new_tables

WORDS = 40


def corpus() -> tuple[Vocabulary, TokenIds]:
    """600 tokens of a skewed vocabulary, in sentences of 1 to 24."""
    rng = np.random.default_rng(3)
    lengths = rng.integers(1, 25, 50)
    ids = (rng.pareto(1.0, lengths.sum()) * 4).astype(np.int64) % WORDS
    ids[:WORDS] = np.arange(WORDS)  # every word occurs
    token_ids = TokenIds.from_arrays(ids, [0, *accumulate(lengths.tolist())])
    return Vocabulary.from_counts([f"w{i}" for i in range(WORDS)], np.bincount(ids, minlength=WORDS)), token_ids


def train(config: TrainConfig, hooks: EpochHooks | None = None, **options: Any) -> TrainingLoop:
    vocabulary, token_ids = corpus()
    loop = TrainingLoop(new_tables(WORDS, config), vocabulary, token_ids, config, **options)
    run(loop, hooks)
    return loop


def run(loop: TrainingLoop, hooks: EpochHooks | None = None) -> None:
    with TrainingProgress(loop.token_ids.n_tokens * loop.config.epochs, shown=False) as progress:
        loop.run(progress, hooks)


def config_of(backend: Backend, **options: Any) -> TrainConfig:
    values: dict[str, Any] = {
        "vector_size": 20,
        "epochs": 2,
        "threads": 1,
        "sample": 0.05,
        "alpha": 0.1,
        "backend": backend,
    }
    return TrainConfig(**{**values, **options})


def equal(a: Tables, b: Tables) -> bool:
    return all(torch.equal(one, other) for one, other in zip(a.padded, b.padded, strict=True))


# --- tables -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dimensions", [1, 2, 3, 5, 16, 31, 100, 300])
@pytest.mark.parametrize("seed", [0, 1, 2**40 + 3])
def test_initial_vectors_are_those_of_the_spec(dimensions: int, seed: int) -> None:
    rows = 900  # more than are filled at a time where there are many dimensions
    tables = new_tables(rows, TrainConfig(vector_size=dimensions, seed=seed))
    assert torch.equal(tables.in_vectors, reference.initial_in_vectors(rows, dimensions, seed))
    assert not tables.out_padded.any()
    assert tables.in_vectors.shape == tables.out_vectors.shape == (rows, dimensions)
    assert not tables.in_padded[:, dimensions:].any()


def test_initial_vectors_equal_the_slow_twin() -> None:
    found = reference.initial_in_vectors(6, 5, 9).flatten().tolist()
    for element, value in enumerate(found):
        uniform = (naive.random_word(9, 0, naive.INITIAL, element) >> 8) / 2**24
        assert value == pytest.approx((uniform - 0.5) / 5, rel=1e-6)
        assert -0.1 <= value < 0.1


def test_rows_of_tables_begin_at_a_cache_line() -> None:
    tables = new_tables(7, TrainConfig(vector_size=33))
    for table in (tables.in_padded, tables.out_padded):
        assert table.data_ptr() % 64 == 0
        assert table.stride(0) * table.element_size() % 64 == 0
        assert table.is_contiguous()


def test_a_table_that_does_not_fit_says_how_much_it_needs() -> None:
    with pytest.raises(MemoryError, match=r"2,147,483,647 rows and 65,536 columns needs 562950.0 GB"):
        new_table(2**31 - 1, 65_536)


@pytest.mark.parametrize("model", ["skipgram", "cbow"])
def test_padding_stays_zero(model: str, backend: Backend) -> None:
    tables = train(config_of(backend, model=model)).tables
    assert tables.in_padded.shape[1] > tables.dimensions
    for table in (tables.in_padded, tables.out_padded):
        assert not table[:, tables.dimensions :].any()
        assert table[:, : tables.dimensions].any()


# --- the loop ---------------------------------------------------------------------------------------------------------


def test_the_learning_rate_falls_on_a_line() -> None:
    config = TrainConfig(alpha=0.05, min_alpha=0.01)
    rates = [learning_rate(config, fraction) for fraction in (0, 0.25, 0.5, 1)]
    assert rates == pytest.approx([0.05, 0.04, 0.03, 0.01])


def test_blocks_take_up_the_rate_where_the_one_before_left_it(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[tuple[float, float]] = []
    step = ops.skipgram_batch_step_

    def spy(*arguments: Any, **options: Any) -> torch.Tensor:
        rates.append(arguments[-2:])
        return step(*arguments, **options)

    monkeypatch.setattr(ops, "skipgram_batch_step_", spy)
    monkeypatch.setattr(blocks, "BLOCK_TOKENS", 64)
    train(config_of("auto", alpha=0.1, min_alpha=0.01, epochs=3))
    assert len(rates) > 20
    assert rates[0][0] == 0.1
    assert rates[-1][1] == pytest.approx(0.01)
    assert all(before[1] == pytest.approx(after[0]) for before, after in pairwise(rates))
    assert all(begin > end for begin, end in rates)


@pytest.mark.parametrize("shrink_windows", [True, False], ids=["shrinking", "fixed"])
def test_amounts_are_those_of_the_slow_twin(shrink_windows: bool, backend: Backend) -> None:
    vocabulary, token_ids = corpus()
    config = config_of(backend, window=3, epochs=3, shrink_windows=shrink_windows)
    loop = train(config)
    sentences = [
        token_ids.ids[start:stop].tolist()
        for start, stop in zip(token_ids.sentence_starts, token_ids.sentence_starts[1:], strict=False)
    ]
    thresholds = keep_thresholds(vocabulary.counts, config.sample).tolist()
    assert len(loop.epochs) == 3
    for epoch, report in enumerate(loop.epochs):
        kept = naive.kept_stream(sentences, thresholds, config.seed, epoch)
        position, pairs = 0, 0
        for sentence in kept:
            for place in range(len(sentence)):
                reach = naive.radius(position, config.window, config.seed, epoch, shrink_windows)
                pairs += min(place, reach) + min(len(sentence) - 1 - place, reach)
                position += 1
        assert (report.trained_tokens, report.pairs) == (position, pairs)
        assert 0 < report.trained_tokens < token_ids.n_tokens
        assert report.loss > 0
        assert report.seconds > 0
        assert report.words_per_second == pytest.approx(token_ids.n_tokens / report.seconds)


def test_training_that_goes_on_draws_anew(backend: Backend) -> None:
    """Four epochs are two and two more, whose draws begin where those of the first two ended."""
    constant = {"alpha": 0.05, "min_alpha": 0.05}
    whole = train(config_of(backend, epochs=4, **constant))
    first = train(config_of(backend, epochs=2, **constant))
    vocabulary, token_ids = corpus()
    rest = TrainingLoop(first.tables, vocabulary, token_ids, first.config, first_epoch=2)
    run(rest)
    assert equal(rest.tables, whole.tables)
    assert [epoch.pairs for epoch in first.epochs + rest.epochs] == [epoch.pairs for epoch in whole.epochs]
    assert whole.loss == pytest.approx(first.loss + rest.loss)


def test_the_loss_is_the_sum_over_pairs_and_the_rate_the_last() -> None:
    loop = train(config_of("auto", alpha=0.1, min_alpha=0.02))
    assert loop.loss == pytest.approx(sum(epoch.loss * epoch.pairs for epoch in loop.epochs))
    assert loop.rate == pytest.approx(0.02)


class _Notes:
    """Hooks that write down what they see of a loop."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.calls: list[tuple[str, int]] = []
        self.stop_at = stop_at

    def epoch_begins(self, epoch: int) -> None:
        self.calls.append(("begins", epoch))

    def epoch_ended(self, epoch: int) -> None:
        self.calls.append(("ended", epoch))
        if epoch == self.stop_at:
            raise StopAsyncIteration("enough")


def test_hooks_stand_around_each_epoch() -> None:
    notes = _Notes()
    train(config_of("auto", epochs=2), notes, first_epoch=7)
    assert notes.calls == [("begins", 0), ("ended", 0), ("begins", 1), ("ended", 1)]


def test_an_error_of_a_hook_ends_the_run() -> None:
    notes = _Notes(stop_at=1)
    with pytest.raises(StopAsyncIteration, match="enough"):
        train(config_of("auto", epochs=5), notes)
    assert notes.calls[-1] == ("ended", 1)


@pytest.mark.parametrize("model", ["skipgram", "cbow"])
def test_one_thread_repeats_bit_for_bit(model: str, backend: Backend) -> None:
    first, second = (train(config_of(backend, model=model)) for _ in range(2))
    assert equal(first.tables, second.tables)
    assert [epoch.loss for epoch in first.epochs] == [epoch.loss for epoch in second.epochs]


@pytest.mark.parametrize("model", ["skipgram", "cbow"])
@pytest.mark.parametrize(("negatives_from", "block_tokens"), [("window", 37), ("batch", 36)])
def test_the_size_of_blocks_hardly_changes_the_vectors(
    model: str, negatives_from: str, block_tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every token kept, each center has the same draws, and the same rate but for rounding. A block of 36 tokens
    is one of whole batches of 4 windows."""
    backend: Backend = "native" if ops.status().native else "torch"
    monkeypatch.setattr(torch_kernels, "WINDOWS_PER_BATCH", 1)  # PyTorch's batches end with their block
    config = config_of(backend, model=model, sample=0, negatives_from=negatives_from)
    whole = train(config)
    monkeypatch.setattr(blocks, "BLOCK_TOKENS", block_tokens)
    parts = train(config)
    assert_close(parts.tables.in_vectors, whole.tables.in_vectors, rtol=0, atol=1e-4)
    assert_close(parts.tables.out_vectors, whole.tables.out_vectors, rtol=0, atol=1e-4)
    assert [epoch.pairs for epoch in parts.epochs] == [epoch.pairs for epoch in whole.epochs]


def test_seeds_differ(backend: Backend) -> None:
    assert not equal(train(config_of(backend, seed=1)).tables, train(config_of(backend, seed=2)).tables)


def test_epochs_draw_anew(backend: Backend) -> None:
    amounts = [(epoch.trained_tokens, epoch.pairs) for epoch in train(config_of(backend, epochs=4)).epochs]
    assert len(set(amounts)) == 4


def test_options_of_cbow_reach_the_kernel(backend: Backend) -> None:
    options: list[dict[str, Any]] = [{}, {"cbow_mean": False}, {"cbow_gradient": "exact"}]
    a, b, c = (train(config_of(backend, model="cbow", **each)).tables for each in options)
    assert not equal(a, b)
    assert not equal(a, c)
    assert not equal(b, c)


def test_who_shares_negatives_reaches_the_kernel(backend: Backend) -> None:
    options: list[dict[str, Any]] = [
        {"negatives_from": "window"},
        {"negatives_from": "pair"},
        {"negatives_from": "pool"},
        {"negatives_from": "pool", "pool": 9},
        {"negatives_from": "batch"},
        {"negatives_from": "batch", "pool": 9},
        {"negatives_from": "batch", "pool_negatives": 5},
    ]
    tables = [train(config_of(backend, **each)).tables for each in options]
    assert not any(equal(a, b) for a, b in combinations(tables, 2))


@pytest.mark.parametrize("model", ["skipgram", "cbow"])
def test_a_loss_that_is_no_number_ends_training(model: str, backend: Backend) -> None:
    with pytest.raises(TrainingError, match=r"the loss became (nan|inf|-inf) in epoch \d.*lower alpha \(now 1e\+30\)"):
        train(config_of(backend, model=model, alpha=1e30, epochs=4))


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_in_a_step_is_raised_and_the_epoch_reported(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the kernel broke")

    monkeypatch.setattr(ops, "skipgram_batch_step_", broken)
    monkeypatch.setattr(blocks, "BLOCK_TOKENS", 50)
    with pytest.raises(RuntimeError, match="the kernel broke"):
        train(config_of("auto", threads=threads))
