"""The comparison: which runs, in which order, each a process of its own, and what each was worth."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType

import numpy as np

from pyembed.bench.job import Job, Outcome
from pyembed.bench.machine import machine
from pyembed.bench.programs import PROGRAMS
from pyembed.bench.results import Comparison, Run, Settings
from pyembed.bench.scores import scores
from pyembed.config import CorpusConfig
from pyembed.files import temporary_folder
from pyembed.vectors import KeyedVectors, VectorFileError

_COMPRESSED = {".gz", ".bz2", ".zst"}


class ComparisonError(ValueError):
    """The comparison cannot begin; the message says why and what to do."""


def compare(settings: Settings, announce: Callable[[str], None] = lambda _: None) -> Comparison:
    """Runs every program on every number of epochs in every round, turn and turn about.

    Ctrl-C or SIGTERM ends it early. A run that fails is kept with its error and ends nothing.

    Args:
        settings: what to compare.
        announce: told what begins, and what a run gave.

    Raises:
        ComparisonError: the corpus is no plain text file, or a program is unknown.
        pyembed.corpus.CorpusError, OSError: the corpus cannot be read or holds no word.
        pyembed.vectors.EvaluationFileError, OSError: a file to score with is missing or not in its format.
    """
    _require(settings)
    announce("reading the corpus and the files to score with")
    comparison = Comparison(
        settings=settings,
        machine=machine(),
        corpus=_corpus_facts(settings),
        versions={name: PROGRAMS[name].installed() for name in settings.programs},
    )
    planned = list(_plan(comparison))
    with (
        tempfile.TemporaryDirectory(prefix="pyembed-bench-", dir=temporary_folder()) as folder,
        _termination_as_ctrl_c(),
    ):
        for number, (program, epochs, seed) in enumerate(planned, 1):
            announce(f"{number} of {len(planned)}: {program}, epochs {epochs}, seed {seed}")
            try:
                run = _run(comparison, program, epochs, seed, Path(folder))
            except KeyboardInterrupt:
                comparison.interrupted = True
                break
            comparison.runs.append(run)
            announce(f"  {run.error}" if run.error else f"  {run.seconds:.1f} s")
    return comparison


def _require(settings: Settings) -> None:
    for name in settings.programs:
        if name not in PROGRAMS:
            raise ComparisonError(f"programs: expected some of {', '.join(PROGRAMS)}, found {name!r}")
    sets = [path.stem for path in settings.scored_with]
    if len(set(sets)) < len(sets):
        raise ComparisonError(f"pairs and analogies: expected files of different names, found {', '.join(sets)}")
    if not settings.corpus.exists():
        raise FileNotFoundError(2, os.strerror(2), str(settings.corpus))
    if not settings.corpus.is_file() or settings.corpus.suffix.lower() in _COMPRESSED:
        raise ComparisonError(
            f"{settings.corpus}: expected one plain text file, which every program can read; decompress it first"
        )
    nothing = KeyedVectors([], np.empty((0, 1), np.float32))
    scores(nothing, settings.pairs, settings.analogies)  # told now, not after the first run


def _corpus_facts(settings: Settings) -> dict[str, int]:
    """Also brings the file into the system's cache, for whoever is first."""
    from pyembed.corpus import ingest_files

    config = CorpusConfig(min_count=settings.min_count)
    read = ingest_files([settings.corpus], config, threads=settings.training.thread_count)
    return {
        "bytes": settings.corpus.stat().st_size,
        "words": read.report.raw_tokens,
        "sentences": read.report.sentences,
        "vocabulary": len(read.vocabulary.words),
    }


def _plan(comparison: Comparison) -> Iterator[tuple[str, int, int]]:
    """Program, epochs and seed of each run, in order."""
    settings = comparison.settings
    installed = [name for name in settings.programs if comparison.versions[name] is not None]
    for seed in range(1, settings.rounds + 1):
        for epochs in settings.epochs:
            yield from ((name, epochs, seed) for name in installed if PROGRAMS[name].WHOLE)
        yield from ((name, 1, seed) for name in installed if not PROGRAMS[name].WHOLE)


def _run(comparison: Comparison, program: str, epochs: int, seed: int, folder: Path) -> Run:
    settings = comparison.settings
    job = Job(
        corpus=settings.corpus.absolute(),
        output=folder / "vectors.bin",
        training=replace(settings.training, epochs=epochs, seed=seed),
        min_count=settings.min_count,
        few_words=settings.few_words,
    )
    started = time.perf_counter()
    error = _run_process(program, job, folder)
    seconds = time.perf_counter() - started
    if error is not None:
        return Run(program=program, epochs=epochs, seed=seed, error=error)
    outcome = Outcome.from_json((folder / "outcome.json").read_text())
    try:
        scored = _scores(settings, outcome)
    except (VectorFileError, OSError) as trouble:
        return Run(program=program, epochs=epochs, seed=seed, error=f"its vectors cannot be read: {trouble}")
    words = outcome.words if outcome.words is not None else comparison.corpus["words"] * epochs
    return Run(
        program=program,
        epochs=epochs,
        seed=seed,
        whole=PROGRAMS[program].WHOLE,
        seconds=seconds,
        stages=outcome.stages,
        words_per_second=words / outcome.stages["train"],
        peak_memory=outcome.peak_memory,
        scores=scored,
    )


def _run_process(program: str, job: Job, folder: Path) -> str | None:
    """What went wrong, in a line; None: nothing."""
    job_file, outcome_file, log_file = (folder / name for name in ("job.json", "outcome.json", "log.txt"))
    job_file.write_text(job.to_json())
    command = [sys.executable, "-m", "pyembed.bench.child", program, str(job_file), str(outcome_file)]
    process = None
    try:
        with log_file.open("wb") as log, _interruptions_held_back():
            # A session of its own, so that Ctrl-C comes here alone, and whatever the program started ends with it.
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        _wait(process)
    except BaseException:
        if process is not None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        raise
    if process.returncode == 0:
        return None
    said = log_file.read_text(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(said) if line.strip()), "it said nothing")
    return f"ended with exit code {process.returncode}: {last}"


@contextmanager
def _termination_as_ctrl_c() -> Iterator[None]:
    """SIGTERM interrupts, too: a program under way would go on without this process."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def _interruptions_held_back() -> Iterator[None]:
    """Ctrl-C and SIGTERM are heard at the end: a process that is just being started would be left running.

    Blocking the signals would not do: any other thread may receive them, and the main one is interrupted all the same.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        before = {number: handler for number, handler in handlers.items() if callable(handler)}
    heard: list[tuple[int, FrameType | None]] = []
    for number in before:
        signal.signal(number, lambda number, frame: heard.append((number, frame)))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for first, frame in heard[:1]:
        before[signal.Signals(first)](first, frame)


def _wait(process: subprocess.Popen[bytes]) -> None:
    """Waits for its end, and hears of Ctrl-C within a moment even where the system told another thread of it."""
    waiting = threading.Thread(target=process.wait, daemon=True)
    waiting.start()
    while waiting.is_alive():
        waiting.join(timeout=0.2)


def _scores(settings: Settings, outcome: Outcome) -> dict[str, float]:
    if outcome.vectors is None or not settings.scored_with:
        return {}
    return scores(KeyedVectors.load(outcome.vectors), settings.pairs, settings.analogies)
