"""fastText without subwords, which is word2vec: its Python package, or a `fasttext` program on the PATH."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from typing import Any

from pyembed.bench.job import Job, Outcome
from pyembed.bench.machine import version_of

INSTALL = "pip install fasttext-wheel, or put a program `fasttext` on the PATH"
_LEAST_THREADS = 11
NOTE = (
    f"no subwords (minn = maxn = 0); at least {_LEAST_THREADS} threads, on the same cores as the others, because with "
    "fewer it leaves part of its input matrix uninitialised; negatives in proportion to count ** 0.5 and a learning "
    "rate that falls to 0, which cannot be changed; a seed of its own."
)
WHOLE = True

_PACKAGES = ("fasttext", "fasttext-wheel", "fasttext-numpy2-wheel")
"""Distributions of the module `fasttext`: the sources, and two that ship compiled."""
_READ = b"Number of labels"
"""What it prints last before it trains."""


def _package() -> str | None:
    return next((found for name in _PACKAGES if (found := version_of(name))), None)


def installed() -> str | None:
    return _package() or shutil.which("fasttext")


def train(job: Job) -> Outcome:
    return _train_package(job) if _package() else _train_program(job)


def _settings(job: Job) -> dict[str, Any]:
    """By the names that both the package and the program know."""
    training = job.training
    return {
        "lr": training.learning_rate,
        "dim": training.vector_size,
        "ws": training.window,
        "epoch": training.epochs,
        "minCount": job.min_count,
        "neg": training.negative,
        "t": training.sample,
        "loss": "ns",
        "minn": 0,
        "maxn": 0,
        "bucket": 1,
        "thread": max(_LEAST_THREADS, training.thread_count),
        "verbose": 2,
    }


def _train_package(job: Job) -> Outcome:
    import fasttext

    from pyembed.vectors import KeyedVectors

    # Its progress, which C++ writes to descriptor 2, is the only sign of where reading ends.
    read_end, write_end = os.pipe()
    stderr = os.dup(2)
    os.dup2(write_end, 2)
    os.close(write_end)
    clock = _Clock(read_end, echo=stderr)
    clock.start()
    try:
        model = fasttext.train_unsupervised(str(job.corpus), model=job.training.model, **_settings(job))
    finally:
        os.dup2(stderr, 2)  # closes the pipe, which ends the clock
        clock.join()
    trained = time.perf_counter()
    KeyedVectors(model.words, model.get_input_matrix()[: len(model.words)]).save(job.output)
    return clock.outcome(trained, str(job.output))


def _train_program(job: Job) -> Outcome:
    stem = job.output.with_suffix("")
    options = [text for name, value in _settings(job).items() for text in (f"-{name}", str(value))]
    command = ["fasttext", job.training.model, "-input", str(job.corpus), "-output", str(stem), *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        clock = _Clock(process.stderr.fileno(), echo=2)
        clock.run()
    if process.returncode != 0:
        last_line = clock.tail.decode(errors="replace").strip().splitlines()[-1:]
        raise RuntimeError(f"fasttext ended with exit code {process.returncode}: {''.join(last_line)}")
    return clock.outcome(clock.last_sign, f"{stem}.vec")


class _Clock(threading.Thread):
    """Reads what fastText says until it falls silent, and notes when."""

    def __init__(self, descriptor: int, *, echo: int) -> None:
        """echo: the descriptor that all is passed on to."""
        super().__init__(name="pyembed-fasttext-clock")
        self._descriptor, self._echo = descriptor, echo
        self.tail = b""
        """The last it said."""
        self.started = time.perf_counter()
        self.read: float | None = None
        """When reading was over."""
        self.last_sign = self.started

    def run(self) -> None:
        while chunk := os.read(self._descriptor, 4096):
            self.last_sign = time.perf_counter()
            self.tail = self.tail[-4096:] + chunk
            if self.read is None and _READ in self.tail:
                self.read = self.last_sign
            os.write(self._echo, chunk)

    def outcome(self, trained: float, vectors: str) -> Outcome:
        """trained: when training was over; what followed until now was saving."""
        read = self.started if self.read is None else self.read
        stages = {"read": read - self.started, "train": trained - read, "save": time.perf_counter() - trained}
        return Outcome(stages=stages, vectors=vectors)
