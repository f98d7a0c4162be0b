"""Quality against time, a line for each program, as an image. Needs matplotlib."""

from __future__ import annotations

from pathlib import Path

from pyembed.bench.machine import version_of
from pyembed.bench.results import Comparison
from pyembed.bench.summary import rows
from pyembed.files import whole_file

_WIDTH, _HEIGHT = 4.5, 4.0
"""Of one panel, in inches."""


def why_no_plot(comparison: Comparison) -> str | None:
    """What stands in the way, and what to do about it; None: nothing."""
    if not comparison.settings.scored_with:
        return "nothing was scored: name files with --pairs and --analogies"
    if not any(row.scores for row in rows(comparison)):
        return "no run has a score"
    if version_of("matplotlib") is None:
        return "matplotlib is missing: pip install matplotlib"
    return None


def plot(comparison: Comparison, path: Path) -> None:
    """A panel for each set of scores: medians over the rounds, with bars from the lowest to the highest.

    Time is end to end, on a logarithmic scale; the marks of a line are the numbers of epochs. The format is that of the
    path's suffix.
    """
    from matplotlib.figure import Figure

    sets = [file.stem for file in comparison.settings.scored_with]
    figure = Figure(figsize=(_WIDTH * len(sets), _HEIGHT), layout="constrained")
    panels = figure.subplots(1, len(sets), squeeze=False)[0]
    found = rows(comparison)
    for name, panel in zip(sets, panels, strict=True):
        for program in dict.fromkeys(row.program for row in found if name in row.scores):
            line = [row for row in found if row.program == program]
            seconds, scores = [row.seconds.median for row in line], [row.scores[name] for row in line]
            below = [score.median - score.low for score in scores]
            above = [score.high - score.median for score in scores]
            medians = [score.median for score in scores]
            panel.errorbar(seconds, medians, yerr=(below, above), marker="o", capsize=3, label=program)
            for row, second, median in zip(line, seconds, medians, strict=True):
                panel.annotate(f"{row.epochs}", (second, median), textcoords="offset points", xytext=(5, 5))
        panel.set(title=name, xscale="log", xlabel="seconds from text to saved vectors", ylabel="score")
        panel.grid(visible=True, which="both", alpha=0.3)
        panel.legend()
    with whole_file(path) as file:
        figure.savefig(file, format=path.suffix.removeprefix("."))
