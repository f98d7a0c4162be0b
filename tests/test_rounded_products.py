"""Promises of batches whose products may be rounded to bfloat16: by how much, where, and who decides."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from blocks import (
    LENGTHS,
    MODELS,
    SKIPGRAM,
    Model,
    Tables,
    batch_draws,
    block_of,
    cbow,
    random_block,
    random_tables,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pyembed import Word2Vec, ops, reference
from pyembed.config import Backend, TrainConfig
from pyembed.ops.torch_kernels import KERNELS
from pyembed.reference import Draws, TokenBlock
from pyembed.training.draws import FEW_WORDS, with_products

LR = (0.05, 0.02)
DISTINCT = [[7], list(range(60)), [], [61, 62], [63], list(range(64, 70))]
"""Sentences in which no word stands twice, so that no context stands at several places of a batch."""

rounds = pytest.mark.skipif(
    not ops.has_bfloat16_products("skipgram", window=5, negative=10, sharing=6), reason="takes AMX, or AMD's AVX-512"
)


def rounded(model: Model, together: int, negative: int, window: int) -> bool:
    return ops.has_bfloat16_products("cbow" if "cbow" in model.name else "skipgram", window, negative, together)


each_rounded_model = pytest.mark.parametrize("model", [m for m in MODELS if rounded(m, 6, 10, 5)], ids=lambda m: m.name)
SHAPES = [(6, 10, 5), (4, 12, 5), (4, 8, 5), (1, 5, 7), (14, 2, 1), (5, 6, 3), (2, 14, 6)]
"""Windows that train together, negatives, window."""


def step(
    tables: Tables, block: TokenBlock, draws: Draws, products: str, model: Model = SKIPGRAM, **options: object
) -> tuple[Tables, float]:
    """Tables after a step, and its loss."""
    after = tables.copy()
    return after, model.batch_step_(*after, block, draws, *LR, products=products, **options)[0].item()


def spec(
    tables: Tables, block: TokenBlock, draws: Draws, lr: tuple[float, float], model: Model
) -> tuple[Tables, float]:
    after = Tables(*(table.double() for table in tables)).copy()
    return after, reference.step_(model.gradient_of, *after, block, draws, *lr)[0].item()


def assert_moved_alike(found: Tables, expected: Tables, start: Tables, *, tolerance: float) -> None:
    """tolerance: the largest part of a row's movement by which it may be off; the tables may be by a third of that."""
    for after, right, before in zip(found, expected, start, strict=True):
        off, moved = after.double() - right, right - before.double()
        assert off.norm() <= tolerance / 3 * moved.norm()
        largest = moved.norm(dim=1).max()
        assert (off.norm(dim=1) <= tolerance * (moved.norm(dim=1) + largest / 4)).all()  # of small ones, much cancels


@rounds
@pytest.mark.parametrize("dimensions", [1, 15, 16, 17, 31, 32, 33, 48, 63, 100, 128, 300])
@pytest.mark.parametrize(
    ("model", "together", "negative", "window"),
    [(model, *shape) for model in MODELS for shape in SHAPES if rounded(model, *shape)],
    ids=lambda value: getattr(value, "name", None),
)
def test_rounding_is_all_that_differs(dimensions: int, model: Model, together: int, negative: int, window: int) -> None:
    block, draws = block_of(DISTINCT, first_position=6), batch_draws(70, together, negative, window=window)
    tables = random_tables(70, dimensions, torch.float32)
    after, loss = step(tables, block, draws, "bfloat16", model, backend="native")
    expected, expected_loss = spec(tables, block, draws, LR, model)
    assert_moved_alike(after, expected, tables, tolerance=0.02)
    assert loss == pytest.approx(expected_loss, rel=1e-3)
    assert not torch.equal(after.in_vectors, step(tables, block, draws, "float32", model)[0].in_vectors)


@each_rounded_model
@settings(max_examples=40)
@given(
    seed=st.integers(0, 1000),
    together=st.integers(1, 6),
    negative=st.integers(1, 10),
    window=st.integers(1, 5),
    vocabulary=st.integers(2, 60),
    dimensions=st.integers(1, 70),
)
@example(seed=10, together=5, negative=10, window=4, vocabulary=10, dimensions=3)  # numbers that are rounded far
def test_small_steps_on_any_block_follow_the_gradient(
    model: Model, seed: int, together: int, negative: int, window: int, vocabulary: int, dimensions: int
) -> None:
    """Contexts that repeat, draws that equal centers or one another, lonely tokens."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(vocabulary, (sum(LENGTHS) * 3,), generator=generator, dtype=torch.int32)
    block = replace(random_block(vocabulary, LENGTHS * 3), ids=ids)
    draws, tables = batch_draws(vocabulary, together, negative, window=window), random_tables(vocabulary, dimensions)
    single = Tables(*(table.float() for table in tables))
    after = single.copy()
    model.batch_step_(*after, block, draws, 1e-4, 1e-4, products="bfloat16")
    expected, _ = spec(single, block, draws, (1e-4, 1e-4), model)
    for found, right, before in zip(after, expected, single, strict=True):
        # of few words each is updated so much the more often; a lost update would be several times as much
        updates = 2e-5 * max(1, 20 / vocabulary)
        rounding = (right - before.double()).abs() / 256  # both factors are off by 2^-9, the same way in all updates
        assert ((found.double() - right).abs() < updates + rounding).all()


@each_rounded_model
@pytest.mark.parametrize("dimensions", [1, 17, 33, 63, 112])
def test_tables_of_bfloat16_train_as_those_of_float32_do_on_average(dimensions: int, model: Model) -> None:
    block, draws = random_block(50, [40] * 60), batch_draws(50, 6, 10)
    half = Tables(*(table.bfloat16() for table in random_tables(50, dimensions)))
    single = Tables(*(table.float() for table in half))
    (half_after, half_loss), (after, loss) = (
        step(tables, block, draws, "bfloat16", model) for tables in (half, single)
    )
    assert half_loss == pytest.approx(loss, rel=0.01)
    for rounded, exact in zip(half_after, after, strict=True):
        assert (rounded.float() - exact).norm() < 0.1 * exact.norm()


@rounds
@pytest.mark.parametrize("dimensions", [1, 15, 16, 17, 31, 32, 47, 49, 100, 304])
def test_rows_of_bfloat16_become_either_neighbour_by_their_distance(dimensions: int) -> None:
    """Of what rows of float32 become, after a batch that trains each row once; both enter products without rounding."""
    half = Tables(*(table.bfloat16() for table in random_tables(70, dimensions)))
    single = Tables(*(table.float() for table in half))
    taken, places = (
        [],
        [],
    )  # which neighbour: 0 the one nearer to zero, 1 the other; and where the number is between them
    for seed in range(4 + 2000 // dimensions):
        block, draws = block_of([list(range(6))], first_position=6), replace(batch_draws(70, 6, 10), seed=seed)
        (found, _), (exact, _) = (step(tables, block, draws, "bfloat16") for tables in (half, single))
        for after, right, before in zip(found, exact, single, strict=True):
            moved = (right - before).abs().max(dim=1).values > 0
            floor = (right.view(torch.int32) & -0x10000).view(torch.float32)  # towards zero
            gap = (floor.view(torch.int32) + 0x10000).view(torch.float32) - floor
            up = (after.float() - floor) / gap
            place = (right - floor) / gap
            slack = 0.01 * (right - before).abs() / gap.abs() + 1e-3  # products are summed in another order
            assert ((up >= -1 - slack) & (up <= 2 + slack) & (up == up.round())).all()
            assert (((up == 0) | (up == 1)) | (place < slack) | (place > 1 - slack))[moved].all()
            taken.append(up[moved].flatten())
            places.append(place[moved].flatten())
    difference = torch.cat(taken) - torch.cat(places)
    assert difference.abs().max() > 0
    assert difference.mean().abs() < 4 * 0.5 / len(difference) ** 0.5


@each_rounded_model
def test_one_thread_repeats_bit_for_bit(model: Model) -> None:
    block, draws, tables = random_block(9, LENGTHS * 4), batch_draws(9, 6, 10), random_tables(9, 33, torch.float32)
    first, second = (step(tables, block, draws, "bfloat16", model) for _ in range(2))
    assert first[1] == second[1]
    assert all(torch.equal(a, b) for a, b in zip(first[0], second[0], strict=True))


@pytest.mark.parametrize(
    ("model", "together", "negative", "window"),
    [
        *((model, *shape) for model in MODELS for shape in [(7, 10, 4), (6, 10, 6), (16, 1, 5), (4, 13, 5)]),
        (cbow(mean=True, exact=False), 7, 2, 1),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_batches_beyond_the_units_stay_float32(model: Model, together: int, negative: int, window: int) -> None:
    assert not rounded(model, together, negative, window)
    block, draws = random_block(40), batch_draws(40, together, negative, window=window)
    tables = random_tables(40, 20, torch.float32)
    (after, rounded_loss), (plain, loss) = (step(tables, block, draws, name, model) for name in ("bfloat16", "float32"))
    assert rounded_loss == loss
    assert all(torch.equal(a, b) for a, b in zip(after, plain, strict=True))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_the_pytorch_kernel_rounds_no_products(model: Model) -> None:
    assert not ops.has_bfloat16_products("cbow", 5, 10, 4, backend="torch")
    block, draws, tables = random_block(40), batch_draws(40, 6, 10), random_tables(40, 20, torch.float32)
    options = {"model": model, "backend": "torch"}
    after, plain = (step(tables, block, draws, name, **options)[0] for name in ("bfloat16", "float32"))
    assert all(torch.equal(a, b) for a, b in zip(after, plain, strict=True))
    assert not KERNELS["has_bfloat16_products"](torch.empty(0), "skipgram", 5, 10, 6)


# --- who decides ------------------------------------------------------------------------------------------------------


@pytest.fixture
def units(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int, int]]:
    """Units that take everything; what they were asked for."""
    asked = []

    def has_bfloat16_products(model: str, window: int, negative: int, sharing: int, _backend: Backend) -> bool:
        asked.append((model, window, negative, sharing))
        return True

    monkeypatch.setattr(ops, "has_bfloat16_products", has_bfloat16_products)
    return asked


def test_six_windows_of_skipgram_train_together_where_there_are_units(units: list[tuple[str, int, int, int]]) -> None:
    config = with_products(TrainConfig(), FEW_WORDS)
    assert (config.products, config.sharing, config.negatives_drawn, config.negative_weight) == ("bfloat16", 6, 10, 0.5)
    assert units == [("skipgram", 5, 10, 6)]


def test_four_windows_of_cbow_share_twelve_negatives_where_there_are_units(
    units: list[tuple[str, int, int, int]],
) -> None:
    config = with_products(TrainConfig(model="cbow"), FEW_WORDS)
    assert (config.products, config.sharing, config.negatives_drawn) == ("bfloat16", 4, 12)
    assert config.negatives_drawn * config.negative_weight == 5
    assert units == [("cbow", 5, 12, 4)]


@pytest.mark.parametrize("model", ["skipgram", "cbow"])
def test_four_windows_train_together_where_there_are_none(monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    monkeypatch.setattr(ops, "has_bfloat16_products", lambda *_: False)
    config = with_products(TrainConfig(model=model), FEW_WORDS)  # type: ignore[arg-type]
    assert (config.products, config.sharing, config.negatives_drawn, config.negative_weight) == ("float32", 4, 8, 0.625)


@pytest.mark.parametrize(
    "given",
    [{"negatives_from": "window"}, {"device": "cuda"}, {"negative": 0, "hs": True}],
    ids=str,
)
def test_what_is_no_batch_on_the_cpu_stays_float32(units: list[object], given: dict[str, object]) -> None:
    assert with_products(TrainConfig(**given), FEW_WORDS).products == "float32"  # type: ignore[arg-type]
    assert units == []


@pytest.mark.parametrize("model", ["skipgram", "cbow"])
def test_on_a_gpu_as_many_train_together_whatever_products_says(model: str) -> None:
    options = {"model": model, "device": "cuda", "negatives_from": "batch"}
    config = TrainConfig(products="bfloat16", **options)  # type: ignore[arg-type]
    assert (config.sharing, config.negatives_drawn) == (4, 8)


def test_what_is_given_stays(units: list[object]) -> None:
    assert with_products(TrainConfig(products="float32"), FEW_WORDS) == TrainConfig(products="float32")
    assert with_products(TrainConfig(pool=3, pool_negatives=7), FEW_WORDS).sharing == 3
    assert with_products(TrainConfig(pool=3, pool_negatives=7), FEW_WORDS).negatives_drawn == 7
    assert len(units) == 2


@pytest.mark.usefixtures("units")
def test_of_few_words_four_windows_train_together() -> None:
    assert with_products(TrainConfig(), FEW_WORDS - 1).sharing == 4
    assert with_products(TrainConfig(products="bfloat16"), FEW_WORDS - 1).sharing == 6


@rounds
def test_a_vocabulary_of_a_thousand_words_trains_by_products_of_bfloat16() -> None:
    sentences = [[f"w{(7 * start + step) % FEW_WORDS}" for step in range(20)] for start in range(FEW_WORDS)]
    status = ops.status()
    model = Word2Vec(sentences, sg=1, vector_size=8, min_count=1, epochs=1, workers=1)
    assert model.report.simd == status.bfloat16_products in ("amx", "avx512_bf16")
    alike = Word2Vec(sentences, sg=1, vector_size=8, min_count=1, epochs=1, workers=1, products="bfloat16", pool=6)
    assert torch.equal(torch.from_numpy(model.wv.vectors), torch.from_numpy(alike.wv.vectors))
    plain = Word2Vec(sentences, sg=1, vector_size=8, min_count=1, epochs=1, products="float32")
    assert plain.report.simd == status.simd != status.bfloat16_products
