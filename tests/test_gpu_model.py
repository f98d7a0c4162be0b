"""The model of the GPU counts what the kernels really move, and names what limits them."""

from __future__ import annotations

import ctypes
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import simt
import torch

from pyembed import ops
from pyembed.config import Model, TableDtype, TrainConfig, WriteBack
from pyembed.reference import PER_PAIR
from pyembed.selftest.cases import Case, block_of, draws_of, random_tables
from pyembed.selftest.gpu_costs import Cost, Setting, cost_of, shared_bytes
from pyembed.selftest.gpu_model import REGISTERS, predict
from pyembed.selftest.gpus import GPUS, gpu_named

V = 20_000
"""Words: so many that hardly a row is met twice within a window."""
SENTENCE, SENTENCES = 20, 16
WORDS = SENTENCE * SENTENCES
SETTINGS = [
    Setting(dimensions=32, sentence=SENTENCE),
    Setting(dimensions=48, window=3, negative=2, sentence=SENTENCE),
    Setting(dimensions=144, window=8, negative=12, sentence=SENTENCE),
    Setting(dimensions=32, sharing=4, sentence=SENTENCE),
    Setting(dimensions=32, shrink_windows=False, sentence=SENTENCE),
    Setting(dimensions=32, sharing=PER_PAIR, negative=2, sentence=SENTENCE),
    Setting(dimensions=32, sentence=SENTENCE, frequent=1.0),
    Setting(model="cbow", dimensions=32, sentence=SENTENCE),
    Setting(model="cbow", dimensions=32, negative=8, sharing=2, sentence=SENTENCE),
]
DTYPES: list[TableDtype] = ["float32", "bfloat16"]
WRITE_BACKS: list[WriteBack] = ["add", "store"]


def counted(setting: Setting) -> dict[str, int]:
    """What one warp of the real kernel moves while it trains WORDS words, by the shim's counters."""
    simt.require()
    library = ctypes.CDLL(str(simt.LIBRARY))
    library.pyembed_simt_counter.restype = ctypes.c_char_p
    rng = np.random.default_rng(0)
    sentences = rng.permutation(V)[:WORDS].reshape(SENTENCES, SENTENCE).tolist()
    shape = (setting.dimensions, setting.window, setting.negative, setting.sharing, setting.shrink_windows)
    case = Case(setting.model, *shape)
    tables = random_tables(V, setting.dimensions, getattr(torch, setting.table_dtype))
    step = ops.skipgram_step_ if setting.model == "skipgram" else ops.cbow_step_
    library.pyembed_simt_reset_counters()
    block, draws = block_of(sentences, first_position=0), draws_of(case, V)
    options = {"threads": 1, "write_back": setting.write_back, "frequent": round(setting.frequent * V)}
    step(*tables, block, draws, 0.05, 0.05, backend="simt", **options)
    found, count = {}, ctypes.c_uint64()
    while name := library.pyembed_simt_counter(len(found), ctypes.byref(count)):
        found[name.decode()] = count.value
    return found


@pytest.mark.parametrize("write_back", WRITE_BACKS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_the_model_counts_the_bytes_that_the_kernel_moves_and_takes(
    setting: Setting, dtype: TableDtype, write_back: WriteBack
) -> None:
    setting = replace(setting, table_dtype=dtype, write_back=write_back)
    found, cost = counted(setting), cost_of(setting)
    row_bytes = WORDS * setting.row_bytes
    # Rows that are met again while they are here are not moved again. How many pairs there are is drawn.
    rel = 0.1 if setting.sharing == PER_PAIR or setting.frequent else 0.01
    assert found["copy_bytes"] == pytest.approx(cost.rows_read * row_bytes, rel=rel)
    back = found["atomic_bytes" if write_back == "add" else "store_bytes"]
    assert back == pytest.approx(cost.rows_written * row_bytes, rel=rel)
    if not setting.frequent:  # rows of frequent words stay in the cache
        assert cost.memory_bytes * WORDS == pytest.approx(found["copy_bytes"] + back + 4 * WORDS, rel=rel)
    again = found["load_bytes"]  # where bfloat16 is added to
    assert shared_bytes(setting) == found["largest_shared_bytes"]
    assert cost.l2_bytes * WORDS >= (1 - rel) * (found["copy_bytes"] + back + again)
    element = 4 if dtype == "float32" else 8
    assert cost.atomic_additions * WORDS * element == pytest.approx(
        found["atomic_bytes"] if write_back == "add" else 0, rel=rel
    )


def test_the_model_knows_the_kernels_registers() -> None:
    table = (Path(__file__).parent.parent / "benchmarks" / "gpu_kernels.md").read_text().partition("## Loops")[0]
    rows = [line for line in table.splitlines() if line.startswith("| train_windows<")]
    registers = [int(found) for row in rows for found in re.findall(r"\| (\d+), \d+ \(", row)]
    assert max(registers) <= REGISTERS
    assert max(registers) > REGISTERS - 16


@pytest.mark.parametrize("sentence", [1, 2, 7, 30])
@pytest.mark.parametrize("shrink_windows", [True, False], ids=["shrinking", "fixed"])
def test_contexts_are_those_of_drawn_windows(sentence: int, shrink_windows: bool) -> None:
    setting = Setting(sentence=sentence, shrink_windows=shrink_windows)
    sentences = 30_000 // sentence
    block = block_of([[1] * sentence] * sentences)
    case = Case("skipgram", window=setting.window, shrink_windows=shrink_windows)
    radius, _ = ops.draw_windows(block, draws_of(case, 2))
    place = torch.arange(sentence).repeat(sentences)
    contexts = torch.minimum(radius, place) + torch.minimum(radius, sentence - 1 - place)
    assert setting.contexts == pytest.approx(float(contexts.double().mean()), rel=0.02, abs=1e-12)


def test_the_limit_is_the_scarcest_means() -> None:
    models: list[Model] = ["skipgram", "cbow"]
    for gpu in GPUS:
        for model in models:
            found = predict(gpu, Setting(model=model))
            assert found.words_per_second == min(found.by_limit.values()) == found.by_limit[found.limit]


def test_tables_that_the_cache_holds_wait_for_no_memory() -> None:
    gpu = GPUS[0]
    rows = gpu.l2_bytes // (2 * Setting().row_bytes)
    assert predict(gpu, Setting(rows=rows)).by_limit["memory"] == float("inf")
    assert predict(gpu, Setting(rows=rows + 1)).by_limit["memory"] < float("inf")


@pytest.mark.parametrize("model", ["skipgram", "cbow"])
def test_more_work_costs_more(model: Model) -> None:
    base = Setting(model=model)
    for larger in (replace(base, dimensions=256), replace(base, negative=12), replace(base, window=10)):
        for name, less, more in zip(Cost._fields, cost_of(base), cost_of(larger), strict=True):
            assert more >= less, name
    assert cost_of(replace(base, sharing=4)).memory_bytes < cost_of(base).memory_bytes
    assert cost_of(replace(base, table_dtype="bfloat16")).memory_bytes < cost_of(base).memory_bytes


def test_settings_come_from_configurations() -> None:
    config = TrainConfig(model="cbow", vector_size=100, negatives_from="pool", pool=8, table_dtype="bfloat16")
    assert Setting.of(config, sentence=20) == Setting("cbow", 100, 5, 5, 8, True, "bfloat16", "add", 20)
    assert Setting.of(config).row_bytes == 2 * 112


@pytest.mark.parametrize(
    ("driver", "name"),
    [
        ("Tesla T4", "T4"),
        ("NVIDIA A100-SXM4-80GB", "A100"),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA B200", "B200"),
        ("NVIDIA A10", None),
        ("NVIDIA GeForce RTX 4090", None),
    ],
)
def test_gpus_are_known_by_the_drivers_name(driver: str, name: str | None) -> None:
    found = gpu_named(driver)
    assert (found and found.name) == name
