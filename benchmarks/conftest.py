"""What the benchmarks share: their corpus, options, and rates beside the times."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from measure import Measure
from zipf import ZipfCorpus


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("pyembed")
    group.addoption("--corpus", type=Path, nargs="+", default=[], help="real text to train on, one sentence a line")
    group.addoption("--pairs", type=Path, nargs="+", default=[], help="word pairs to score the vectors with")
    group.addoption("--analogies", type=Path, help="analogies to score the vectors with")


@pytest.fixture(scope="session")
def tiny(request: pytest.FixtureRequest) -> bool:
    """Whether the benchmarks are only tried out (--benchmark-disable)."""
    return bool(request.config.getoption("benchmark_disable"))


@pytest.fixture(scope="session")
def corpus(tiny: bool) -> ZipfCorpus:
    """A million tokens; a few thousand where the benchmarks are only tried out."""
    return ZipfCorpus.of(5_000, 500) if tiny else ZipfCorpus.of(1_000_000, 100_000)


@pytest.fixture
def measure(benchmark: Any) -> Measure:
    return Measure(benchmark)
