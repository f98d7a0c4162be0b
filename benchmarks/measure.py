"""Times, and what they mean in words, bytes or operations a second."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

_NO_PEAKS: Mapping[str, float] = MappingProxyType({})


class Measure:
    """Times a function with pytest-benchmark; what it notes is printed, and kept as extra_info."""

    def __init__(self, benchmark: Any) -> None:
        self._benchmark = benchmark

    def __call__(
        self, function: Callable[[], Any], *, rounds: int = 5, peaks: Mapping[str, float] = _NO_PEAKS, **units: float
    ) -> Any:
        """measure(function, unit=number, ...): times function(), notes units/s, and returns what it returned.

        peaks: by unit, the highest rate that this machine can reach; noted is the share of it that was.
        """
        result = self._benchmark.pedantic(function, rounds=rounds, warmup_rounds=1)
        if (seconds := self.seconds) is not None:
            rates = {f"{unit}/s": number / seconds for unit, number in units.items()}
            shares = {f"% of the peak {unit}/s": 100 * units[unit] / seconds / peak for unit, peak in peaks.items()}
            self.note(**rates, **shares)
        return result

    @property
    def seconds(self) -> float | None:
        """The median; None where timing is disabled."""
        return None if self._benchmark.stats is None else float(self._benchmark.stats.stats.median)

    def note(self, **facts: float) -> None:
        if facts:
            self._benchmark.extra_info.update(facts)
            print(self._benchmark.name, *(f"{value:,.5g} {name}" for name, value in facts.items()), sep="  ")
