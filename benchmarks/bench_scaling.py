"""How a training step's words/s change with threads and with the vocabulary, bytes moved beside them.

Vector sizes are in bench_kernels.py, corpus sizes in bench_end_to_end.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from measure import Measure
from step import Step
from zipf import ZipfCorpus

from pyembed.config import TableDtype, TrainConfig, usable_cores

_SPARE = 2 << 30
"""Bytes to leave for everything but the tables."""


def available_memory() -> int:
    """In bytes; what the system holds as a cache and would give back counts."""
    facts = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return 1024 * int(facts["MemAvailable"].split()[0])


@pytest.mark.parametrize("threads", range(1, usable_cores() + 1))
def test_threads(threads: int, corpus: ZipfCorpus, measure: Measure) -> None:
    step = Step(corpus, TrainConfig(threads=threads))
    measure(step, words=step.words)


@pytest.mark.parametrize("exponent", [1.0, 0.0], ids=["zipf", "uniform"])
@pytest.mark.parametrize("table_dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("rows", [10**4, 10**5, 10**6, 10**7])
def test_vocabulary(rows: int, table_dtype: TableDtype, exponent: float, tiny: bool, measure: Measure) -> None:
    config = TrainConfig(table_dtype=table_dtype)
    size = {"float32": 4, "bfloat16": 2}[table_dtype]
    needed = 2 * size * rows * config.vector_size * 9 // 8 + _SPARE  # an eighth more, since rows are padded
    if tiny:
        rows //= 1000
    elif (free := available_memory()) < needed:
        pytest.skip(f"{rows:,} rows need {needed / 1e9:.0f} GB, and {free / 1e9:.0f} GB are available")
    step = Step(ZipfCorpus.of(5_000 if tiny else 1_000_000, rows, exponent), config)
    measure(step, words=step.words, bytes=step.bytes_a_window() * step.windows)
    measure.note(**{"bytes a window": step.bytes_a_window()})
