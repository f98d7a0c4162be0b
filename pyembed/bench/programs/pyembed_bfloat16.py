"""pyembed with tables of bfloat16, which take half the memory."""

from __future__ import annotations

from dataclasses import replace

from pyembed.bench.job import Job, Outcome
from pyembed.bench.programs import pyembed_word2vec

INSTALL = pyembed_word2vec.INSTALL
NOTE = "table_dtype bfloat16, all else as pyembed"
WHOLE = True


def installed() -> str | None:
    return pyembed_word2vec.installed()


def train(job: Job) -> Outcome:
    return pyembed_word2vec.train(replace(job, training=replace(job.training, table_dtype="bfloat16")))
