"""What is compared and what came of it, as records."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pyembed.bench.programs import PROGRAMS
from pyembed.config import TrainConfig


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is compared. All programs get the same."""

    corpus: Path
    """Plain text, one sentence a line."""
    training: TrainConfig
    """Its epochs and seed give way to those below."""
    min_count: int = 5
    epochs: tuple[int, ...] = (1, 2, 5)
    """Every program trains anew for each of these."""
    rounds: int = 3
    """Round r has seed r, counted from 1."""
    programs: tuple[str, ...] = tuple(PROGRAMS)
    """Names in PROGRAMS; those that are not installed are left out."""
    pairs: tuple[Path, ...] = ()
    """Files of word pairs to score with, see vectors.evaluate_word_pairs."""
    analogies: Path | None = None
    """A file of analogies to score with, see vectors.evaluate_word_analogies."""
    few_words: int = 200_000
    """Words for a program that is too slow for the whole corpus."""

    @property
    def scored_with(self) -> tuple[Path, ...]:
        """All files to score with; a set of scores is named after its file, without the suffix."""
        return self.pairs if self.analogies is None else (*self.pairs, self.analogies)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of one program; with an error there is nothing else."""

    program: str
    epochs: int
    seed: int
    whole: bool = True
    """Whether it trained on the whole corpus."""
    seconds: float = float("nan")
    """Wall time of the process, from text to saved vectors, start-up included."""
    stages: dict[str, float] = field(default_factory=dict)
    """Seconds; `train` is the training alone."""
    words_per_second: float = float("nan")
    """Words of the corpus, before any is dropped, times epochs, per second of training."""
    peak_memory: int = 0
    """Bytes."""
    scores: dict[str, float] = field(default_factory=dict)
    """By set: Spearman's correlation, or the share of analogies answered right, times 100."""
    error: str | None = None


@dataclass
class Comparison:
    """All that was found out; `runs` has what there is, should it be interrupted."""

    settings: Settings
    machine: dict[str, Any]
    corpus: dict[str, int]
    """bytes, words, sentences and the vocabulary's size."""
    versions: dict[str, str | None]
    """Of the programs; None: not installed."""
    runs: list[Run] = field(default_factory=list)
    interrupted: bool = False
    """Ctrl-C ended it early."""

    def to_dict(self) -> dict[str, Any]:
        """For JSON: paths are strings, and what was not measured is NaN or missing."""
        facts = asdict(self, dict_factory=_with_strings)
        for varied in ("epochs", "seed"):  # runs have their own
            del facts["settings"]["training"][varied]
        return facts


def _with_strings(items: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: _string(value) for name, value in items}


def _string(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_string(item) for item in value]
    return str(value) if isinstance(value, Path) else value
