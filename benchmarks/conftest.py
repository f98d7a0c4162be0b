"""What the benchmarks share: their corpus, and rates beside the times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from zipf import ZipfCorpus


@pytest.fixture(scope="session")
def corpus(request: pytest.FixtureRequest) -> ZipfCorpus:
    """A million tokens; a few thousand where the benchmarks are only tried out (--benchmark-disable)."""
    tiny = request.config.getoption("benchmark_disable")
    return ZipfCorpus.of(5_000, 500) if tiny else ZipfCorpus.of(1_000_000, 100_000)


@pytest.fixture
def measure(benchmark: Any) -> Callable[..., Any]:
    """measure(function, unit=number, ...): times function() and prints units/s; the rates are kept as extra_info."""

    def run(function: Callable[[], Any], **units: float) -> Any:
        result = benchmark.pedantic(function, rounds=5, warmup_rounds=1)
        if benchmark.stats is not None:  # None where timing is disabled
            rates = {f"{unit}/s": number / benchmark.stats.stats.median for unit, number in units.items()}
            benchmark.extra_info.update(rates)
            print(benchmark.name, *(f"{rate:,.0f} {unit}" for unit, rate in rates.items()), sep="  ")
        return result

    return run
