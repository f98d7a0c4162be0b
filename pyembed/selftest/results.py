"""What a self-test found, as plain records."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Check:
    """One promise, tried on one case."""

    promise: str
    case: str
    deviation: float
    """The largest one found, in the promise's own measure; not a number if the op raised an error."""
    allowed: float
    error: str | None = None
    """What the op raised, or what else kept the check from being made."""

    @property
    def passed(self) -> bool:
        return self.error is None and self.deviation <= self.allowed  # nothing is <= not a number


@dataclass(frozen=True)
class Speed:
    """A training step, timed. Rates are trained words a second: tokens that subsampling has left."""

    setting: str
    words_per_second: float
    cpu_words_per_second: float | None
    """The same step on the CPU's cores; None where that is the device itself."""
    model_words_per_second: float | None
    """What the model of this GPU allows; None where there is no model of it."""
    limit: str | None
    """The resource that the model holds responsible."""


@dataclass(frozen=True)
class Trial:
    """The demonstration's corpus, trained on the device and on one CPU thread."""

    device_loss: float
    """Mean over the last epoch, in nats."""
    cpu_loss: float
    device_agreement: float
    """Share of a frequent word's ten nearest words that the device and the CPU have in common, mean over words."""
    seed_agreement: float
    """The same of two CPU runs with different seeds: what chance alone does."""
    device_seconds: float
    """Of training."""
    cpu_seconds: float
    allowed_loss: float
    """Largest relative difference of the losses that passes."""
    allowed_agreement: float
    """How far below the seeds' agreement the device's may be."""

    @property
    def passed(self) -> bool:
        near = abs(self.device_loss / self.cpu_loss - 1) <= self.allowed_loss
        return near and self.device_agreement >= self.seed_agreement - self.allowed_agreement


@dataclass
class Report:
    """All of it."""

    device: str
    machine: dict[str, Any]
    kernels: dict[str, bool]
    """By op, whether a compiled kernel runs on the device."""
    checks: list[Check] = field(default_factory=list)
    speeds: list[Speed] = field(default_factory=list)
    trial: Trial | None = None
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks) and self.trial is not None and self.trial.passed

    def to_dict(self) -> dict[str, Any]:
        checks = [{**asdict(check), "passed": check.passed} for check in self.checks]
        trial = self.trial and {**asdict(self.trial), "passed": self.trial.passed}
        return {**asdict(self), "checks": checks, "trial": trial, "passed": self.passed}
