"""What a program is asked to do and what it tells afterwards: the records that cross from process to process."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from typing_extensions import Self

from pyembed.config import TrainConfig


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run of one program."""

    corpus: Path
    """Plain text, one sentence a line."""
    output: Path
    """Where the vectors go; a program may put a suffix of its own."""
    training: TrainConfig
    """The settings that all programs share. A program without one of them says so in its NOTE."""
    min_count: int
    """Words that occur less often are dropped."""
    few_words: int
    """How many words of the corpus a program gets that is too slow for all of them."""

    def to_json(self) -> str:
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> Self:
        fields = json.loads(text)
        fields["training"] = TrainConfig(**fields["training"])
        fields.update({name: Path(fields[name]) for name in ("corpus", "output")})
        return cls(**fields)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a program tells of a run."""

    stages: dict[str, float]
    """Seconds of each stage; `train` is the training alone."""
    vectors: str | None = None
    """The vector file; None where the vectors are not worth a score."""
    words: int | None = None
    """Words of the corpus trained on, where they are not all of them in every epoch."""
    peak_memory: int = 0
    """Bytes; what the process and its children held at most."""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(**json.loads(text))
