"""What a training run tells about itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class EpochReport:
    """One pass over the corpus."""

    loss: float
    """Mean loss per positive pair, in nats, summed in float64 while the parameters moved."""
    pairs: int
    """Positive pairs: (center, context) for skip-gram, windows with a context for CBOW."""
    trained_tokens: int
    """Tokens that subsampling kept."""
    seconds: float
    words_per_second: float
    """Tokens of the corpus (in the vocabulary, before subsampling) per second."""


@dataclass
class TrainingReport:
    """A run: stages in seconds, amounts, losses, and the machine's part in it."""

    stages: dict[str, float] = field(default_factory=dict)
    raw_tokens: int = 0
    """Tokens of the input, once."""
    kept_tokens: int = 0
    """Those in the vocabulary."""
    sentences: int = 0
    vocabulary: int = 0
    trained_tokens: int = 0
    """Tokens that subsampling kept, over all epochs."""
    epochs: list[EpochReport] = field(default_factory=list)
    raw_words_per_second: float = 0.0
    """raw_tokens times epochs, per second of training."""
    trained_words_per_second: float = 0.0
    """trained_tokens per second of training."""
    backend: str = ""
    simd: str = ""
    """What the kernels trained by: ops.status().simd, or bfloat16_products where they rounded; cuda; or none."""
    device: str = ""
    threads: int = 0
    table_bytes: int = 0
    """Memory of both tables."""
    interrupted: bool = False
    """Ctrl-C ended training early."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
