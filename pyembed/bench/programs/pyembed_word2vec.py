"""pyembed itself, as `pyembed train` runs it."""

from __future__ import annotations

import time

from pyembed._version import __version__
from pyembed.bench.job import Job, Outcome
from pyembed.config import CorpusConfig

INSTALL = "this is it"
NOTE = ""
WHOLE = True


def installed() -> str | None:
    return __version__


def train(job: Job) -> Outcome:
    from pyembed.models import Word2Vec  # imports torch

    model = Word2Vec.from_configs(job.training, CorpusConfig(min_count=job.min_count))
    model.fit_files([job.corpus], progress=False)
    started = time.perf_counter()
    model.wv.save(job.output)
    stages = {**model.report.stages, "save": time.perf_counter() - started}
    return Outcome(stages=stages, vectors=str(job.output))
