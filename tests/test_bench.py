"""`pyembed bench`: the same for all programs, turn and turn about, and what goes wrong ends nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyembed.bench import compare as bench_compare
from pyembed.bench.compare import compare
from pyembed.bench.job import Job
from pyembed.bench.programs import PROGRAMS, fasttext_unsupervised
from pyembed.bench.results import Settings
from pyembed.cli import main
from pyembed.config import TrainConfig
from pyembed.vectors import KeyedVectors

WORDS = [f"w{number}" for number in range(40)]
SMALL = ["--vector-size", "8", "--min-count", "1", "--threads", "1", "--rounds", "1", "--epochs", "1"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "corpus.txt"
    drawn = np.random.default_rng(0).choice(WORDS, (300, 12))
    path.write_text("\n".join(" ".join(sentence) for sentence in drawn))
    return path


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pairs") / "alike.txt"
    path.write_text("w1 w2 3\nw3 w4 2\nw5 w6 1\nw7 w8 0\n")
    return path


@pytest.fixture
def script(tmp_path: Path):
    """script(name, text): an executable for /bin/sh."""

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    return write


def job(corpus: Path, folder: Path, **training: object) -> Job:
    config = TrainConfig(vector_size=8, threads=1, **training)
    return Job(corpus=corpus, output=folder / "vectors.bin", training=config, min_count=1, few_words=100)


# --- From the command line, every program that is installed -----------------------------------------------------------


@pytest.fixture(scope="module")
def results(corpus: Path, pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a comparison of all programs wrote."""
    folder = tmp_path_factory.mktemp("bench") / "results"
    assert main(["bench", str(corpus), "-o", str(folder), *SMALL, "--pairs", str(pairs), "--few-words", "1000"]) == 0
    return folder


def test_every_installed_program_has_a_row_with_time_memory_and_scores(results):
    facts = json.loads((results / "bench.json").read_text())
    assert facts["corpus"] == {"bytes": facts["corpus"]["bytes"], "words": 3600, "sentences": 300, "vocabulary": 40}
    installed = [name for name, program in PROGRAMS.items() if program.installed()]
    assert {"pyembed", "torch-loop"} <= set(installed)
    assert [run["program"] for run in facts["runs"]] == installed
    for run in facts["runs"]:
        assert run["error"] is None
        assert 0 < run["stages"]["train"] < run["seconds"]
        assert 1e6 < run["peak_memory"] < 1e11
        words = 3600 if run["whole"] else 1000
        assert run["words_per_second"] == pytest.approx(words / run["stages"]["train"])
        assert set(run["scores"]) == ({"alike"} if run["whole"] else set())


def test_tables_of_bfloat16_are_compared_too(corpus, tmp_path):
    asked = job(corpus, tmp_path)
    for name, halves in (("pyembed", False), ("pyembed-bfloat16", True)):
        outcome = PROGRAMS[name].train(asked)
        vectors = np.asarray(KeyedVectors.load(outcome.vectors).vectors)
        assert (vectors.view(np.uint32) << 16 == 0).all() == halves


def test_the_table_says_what_was_measured_with_what(results):
    page = (results / "bench.md").read_text()
    for said in ("pyembed | 1 |", "3,600 words", "vector size 8", "1 threads", "python 3.", "alike", "One round"):
        assert said in page


def test_the_plot_is_written_where_matplotlib_is(results):
    assert (results / "bench.svg").exists() == (find_spec("matplotlib") is not None)


def test_list_says_how_to_install_what_is_missing(capsys, monkeypatch):
    monkeypatch.setattr(PROGRAMS["gensim"], "installed", lambda: None)
    assert main(["bench", "--list"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^pyembed +\d", printed, re.MULTILINE)
    assert re.search(r"^gensim +not installed: pip install gensim$", printed, re.MULTILINE)


# --- What goes wrong --------------------------------------------------------------------------------------------------


def test_a_program_that_fails_is_reported_and_ends_nothing(corpus, tmp_path, monkeypatch, script, capsys):
    python = script("python", 'echo "the disk said no" >&2; echo >&2; exit 7')
    monkeypatch.setattr(sys, "executable", str(python))
    code = main(["bench", str(corpus), "-o", str(tmp_path), *SMALL, "--programs", "pyembed", "torch-loop"])
    assert code == 1  # there is nothing but failures
    printed = capsys.readouterr()
    assert printed.out == (tmp_path / "bench.md").read_text()
    for program in ("pyembed", "torch-loop"):
        assert f"{program}, epochs 1, seed 1: ended with exit code 7: the disk said no" in printed.out


def test_vectors_that_cannot_be_read_are_a_failed_run(corpus, pairs, monkeypatch, script):
    outcome = '{"stages": {"train": 1}, "vectors": "/nowhere/vectors.bin"}'
    monkeypatch.setattr(sys, "executable", str(script("python", f"echo '{outcome}' > $5")))
    training = TrainConfig(vector_size=8, threads=1)
    settings = Settings(corpus=corpus, training=training, rounds=1, programs=("pyembed",), min_count=1, pairs=(pairs,))
    errors = [run.error for run in compare(settings).runs]
    assert len(errors) == len(settings.epochs)
    assert all("its vectors cannot be read" in str(error) for error in errors)


@pytest.fixture(params=["the main thread", "another thread"])
def ctrl_c_goes_to(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A call that waits in the main thread is not interrupted where the system tells another thread."""
    done = threading.Event()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # shells let what is in the background ignore it
    if request.param == "another thread":
        wait = bench_compare._wait

        def wait_deaf(process: subprocess.Popen[bytes]) -> None:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            wait(process)

        monkeypatch.setattr(bench_compare, "_wait", wait_deaf)
        threading.Thread(target=done.wait, daemon=True).start()
    yield
    done.set()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c_goes_to")
def test_ctrl_c_stops_the_program_and_writes_what_there_is(corpus, tmp_path, monkeypatch, script):
    python = script("python", f"echo $$ > {tmp_path}/pid; kill -INT $PPID; sleep 60")
    monkeypatch.setattr(sys, "executable", str(python))
    assert main(["bench", str(corpus), "-o", str(tmp_path), *SMALL, "--programs", "pyembed"]) == 130
    assert "Interrupted" in (tmp_path / "bench.md").read_text()
    assert json.loads((tmp_path / "bench.json").read_text())["runs"] == []
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_termination_ends_the_program_too(corpus, tmp_path, monkeypatch, script):
    python = script("python", f"echo $$ > {tmp_path}/pid; kill -TERM $PPID; sleep 60")
    monkeypatch.setattr(sys, "executable", str(python))
    assert main(["bench", str(corpus), "-o", str(tmp_path), *SMALL, "--programs", "pyembed"]) == 130
    assert "Interrupted" in (tmp_path / "bench.md").read_text()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_program_is_being_started_leaves_none_running(corpus, tmp_path, monkeypatch, script, number):
    """Another thread gets the signal: the main one is interrupted wherever it is, though it has blocked it."""
    done, started = threading.Event(), []
    other = threading.Thread(target=done.wait, daemon=True)
    other.start()
    popen = subprocess.Popen

    def start(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        process = popen(*arguments, **options)
        if options.get("start_new_session"):
            started.append(process)
            signal.pthread_kill(other.ident, number)
            time.sleep(0.05)
        return process

    monkeypatch.setattr(sys, "executable", str(script("python", "sleep 60")))
    monkeypatch.setattr(subprocess, "Popen", start)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert main(["bench", str(corpus), "-o", str(tmp_path), *SMALL, "--programs", "pyembed"]) == 130
    finally:
        done.set()
        signal.signal(signal.SIGINT, before)
    assert [process.poll() for process in started] == [-signal.SIGKILL]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "expected CORPUS"),
        (["{corpus}.gz"], 2, "expected one plain text file"),
        (["{corpus}", "--programs", "word2vec.c"], 2, "found 'word2vec.c'"),
        (["{corpus}", "--pairs", "a/same.txt", "b/same.txt"], 2, "expected files of different names"),
        (["{corpus}", "--vector-size", "0"], 2, "vector_size"),
        (["no such file"], 3, "No such file"),
        (["{corpus}", "--pairs", "no such pairs"], 3, "No such file"),
        (["{corpus}", "--min-count", "1000000"], 3, "min_count"),
    ],
)
def test_bad_arguments_are_told_before_any_run(arguments, code, message, corpus, tmp_path, capsys):
    Path(f"{corpus}.gz").touch()
    filled = [argument.format(corpus=corpus) for argument in arguments]
    try:
        found = main(["bench", "-o", str(tmp_path), *filled])
    except SystemExit as error:
        found = error.code
    assert found == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "bench.md").exists()


# --- The jobs ---------------------------------------------------------------------------------------------------------


def test_a_job_crosses_to_another_process_unchanged(corpus, tmp_path):
    asked = job(corpus, tmp_path, model="cbow", sample=0.5, seed=7)
    assert Job.from_json(asked.to_json()) == asked


# --- The program fasttext ---------------------------------------------------------------------------------------------

FASTTEXT = """
echo "$@" > "$0.asked"
while [ "$1" != -output ]; do shift; done
printf 'Read 0M words\\nNumber of words:  2\\nNumber of labels: 0\\n' >&2
sleep 0.5
printf '\\rProgress: 100.0%% ETA: 0h 0m\\n' >&2
printf '2 1\\nw1 1\\nw2 2\\n' > "$2.vec"
"""


@pytest.fixture
def without_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fasttext_unsupervised, "_PACKAGES", ())
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.usefixtures("without_package")
def test_fasttext_on_the_path_is_asked_for_word2vec_and_its_phases_are_told_apart(corpus, tmp_path, script):
    program = script("fasttext", FASTTEXT)
    assert fasttext_unsupervised.installed() == str(program)
    outcome = fasttext_unsupervised.train(job(corpus, tmp_path, window=3, sample=0.01, epochs=2))
    words = (tmp_path / "fasttext.asked").read_text().split()
    asked = dict(zip(words[1::2], words[2::2], strict=True))
    assert words[0] == "skipgram"
    for option, value in {"ws": "3", "t": "0.01", "epoch": "2", "minn": "0", "maxn": "0", "thread": "11"}.items():
        assert asked[f"-{option}"] == value
    assert outcome.stages["read"] > 0
    assert outcome.stages["train"] >= 0.4
    assert KeyedVectors.load(outcome.vectors).index_to_key == ["w1", "w2"]


@pytest.mark.usefixtures("without_package")
def test_fasttext_that_fails_says_why(corpus, tmp_path, script):
    script("fasttext", 'echo "cannot open the model" >&2; exit 1')
    with pytest.raises(RuntimeError, match="cannot open the model"):
        fasttext_unsupervised.train(job(corpus, tmp_path))


def test_rounds_take_turns_and_have_seeds_of_their_own(corpus, monkeypatch, script):
    monkeypatch.setattr(sys, "executable", str(script("python", "exit 1")))
    training = TrainConfig(vector_size=8, threads=1)
    programs = ("pyembed", "torch-loop")
    settings = Settings(corpus=corpus, training=training, epochs=(1, 3), rounds=2, programs=programs, min_count=1)
    order = [(run.program, run.epochs, run.seed) for run in compare(settings).runs]
    once = [("pyembed", 1), ("pyembed", 3), ("torch-loop", 1)]
    assert order == [(program, epochs, seed) for seed in (1, 2) for program, epochs in once]
