"""The programs compared. Each is a module that knows whether it is installed and how it trains one Job."""

from __future__ import annotations

from typing import Protocol

from pyembed.bench.job import Job, Outcome
from pyembed.bench.programs import (
    fasttext_unsupervised,
    gensim_word2vec,
    pyembed_bfloat16,
    pyembed_word2vec,
    torch_loop,
)


class Program(Protocol):
    """What a module of this room offers."""

    INSTALL: str
    """What to do where it is missing."""
    NOTE: str
    """What of it is not as in the others, for the reader of the table."""
    WHOLE: bool
    """Whether it trains on the whole corpus, for the number of epochs asked for."""

    def installed(self) -> str | None:
        """The version, or None."""

    def train(self, job: Job) -> Outcome:
        """Trains and saves, in this process. Any exception is the run's failure."""


PROGRAMS: dict[str, Program] = {
    "pyembed": pyembed_word2vec,
    "pyembed-bfloat16": pyembed_bfloat16,
    "gensim": gensim_word2vec,
    "fasttext": fasttext_unsupervised,
    "torch-loop": torch_loop,
}
"""By name, pyembed's own first: ratios are to it."""
