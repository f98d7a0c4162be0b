"""Promises of the comparison's table, page and plot: what is made of the runs there are."""

from __future__ import annotations

import math
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from pyembed.bench.markdown import markdown
from pyembed.bench.plot import plot, why_no_plot
from pyembed.bench.results import Comparison, Run, Settings
from pyembed.bench.summary import rows
from pyembed.config import TrainConfig


def comparison(runs: list[Run], **settings: object) -> Comparison:
    versions = {"pyembed": "1", "gensim": "2", "torch-loop": None}
    machine = dict.fromkeys(("cpu", "system", "python", "torch", "numpy", "numba"), "x")
    sizes = {"bytes": 10, "words": 100, "sentences": 1, "vocabulary": 1}
    asked = Settings(corpus=Path("corpus.txt"), training=TrainConfig(), **settings)
    return Comparison(asked, {**machine, "cores": 2, "memory": 2**33}, sizes, versions, runs)


def a_run(program: str, seed: int, seconds: float, *, epochs: int = 1, whole: bool = True, **scores: float) -> Run:
    rate = 100 * epochs / seconds
    return Run(
        program=program,
        epochs=epochs,
        seed=seed,
        whole=whole,
        seconds=2 * seconds,
        stages={"train": seconds},
        words_per_second=rate,
        scores=scores,
    )


def test_medians_are_over_rounds_and_ratios_are_taken_round_by_round():
    own = [a_run("pyembed", seed, seconds, s=seconds) for seed, seconds in enumerate((1.0, 10.0, 2.0), 1)]
    other = [a_run("gensim", seed, seconds, s=0.0) for seed, seconds in enumerate((10.0, 30.0, 10.0), 1)]
    first, second = rows(comparison([*own, *other]))
    assert (first.program, first.train_seconds.median, first.ratio) == ("pyembed", 2.0, 1.0)
    assert (first.scores["s"].low, first.scores["s"].high) == (1.0, 10.0)
    assert second.train_seconds.median == 10.0
    assert second.train_ratio == pytest.approx(5.0)  # of 10, 3 and 5; the ratio of the medians would be the same
    assert second.ratio == pytest.approx(5.0)


def test_a_part_of_the_corpus_compares_by_its_rate_alone():
    runs = [a_run("pyembed", 1, 4.0, epochs=2), replace(a_run("torch-loop", 1, 1.0, whole=False), words_per_second=5.0)]
    loop, own = rows(comparison(runs))
    assert (loop.program, own.program) == ("torch-loop", "pyembed")
    assert loop.train_ratio == pytest.approx(10.0)
    assert math.isnan(loop.ratio)
    assert "| torch-loop | - | - | - |" in markdown(comparison(runs))


def test_failed_runs_count_for_nothing():
    failed = Run(program="gensim", epochs=1, seed=1, error="out of memory")
    found = comparison([a_run("pyembed", 1, 1.0), failed])
    assert [row.program for row in rows(found)] == ["pyembed"]
    assert "gensim, epochs 1, seed 1: out of memory" in markdown(found)


def test_a_plot_needs_scores_and_matplotlib(tmp_path):
    assert "--pairs" in str(why_no_plot(comparison([a_run("pyembed", 1, 1.0)])))
    scored = comparison([a_run("pyembed", 1, 1.0, alike=50.0)], pairs=(Path("alike.txt"),))
    if find_spec("matplotlib") is None:
        assert "pip install matplotlib" in str(why_no_plot(scored))
    else:
        assert why_no_plot(scored) is None
        plot(scored, tmp_path / "plot.svg")
        assert b"<svg" in (tmp_path / "plot.svg").read_bytes()
