"""The comparison as a page of Markdown: a table, and everything one must know to read it."""

from __future__ import annotations

import math
from collections.abc import Callable

from pyembed.bench.programs import PROGRAMS
from pyembed.bench.results import Comparison
from pyembed.bench.summary import Row, rows
from pyembed.bench.table import table

_MISSING = "-"

_COLUMNS: dict[str, Callable[[Row], str]] = {
    "program": lambda row: row.program,
    "epochs": lambda row: str(row.epochs) if row.whole else _MISSING,
    "training s": lambda row: _number(row.train_seconds.median if row.whole else math.nan, 2),
    "end to end s": lambda row: _number(row.seconds.median if row.whole else math.nan, 2),
    "M words/s": lambda row: _number(row.words_per_second.median / 1e6, 3),
    "peak MB": lambda row: _number(row.peak_memory.median / 1e6, 0),
    "training x": lambda row: _number(row.train_ratio, 1),
    "end to end x": lambda row: _number(row.ratio, 1),
}


def markdown(comparison: Comparison) -> str:
    """The whole page. Its last line ends with a line break."""
    parts = [_title(comparison), _table(rows(comparison), comparison), _legend(comparison), _facts(comparison)]
    return "\n\n".join(filter(None, [*parts, _troubles(comparison)])) + "\n"


def _number(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}" if math.isfinite(value) else _MISSING


def _title(comparison: Comparison) -> str:
    ended = "\n\nInterrupted: this is what there was." if comparison.interrupted else ""
    return f"# pyembed and others on {comparison.settings.corpus.name}{ended}"


def _table(found: list[Row], comparison: Comparison) -> str:
    sets = [path.stem for path in comparison.settings.scored_with]
    lines = [[*_COLUMNS, *sets]]
    for row in found:
        cells = [text(row) for text in _COLUMNS.values()]
        cells += [_number(row.scores[name].median, 1) if name in row.scores else _MISSING for name in sets]
        lines.append(cells)
    return table(lines)


def _legend(comparison: Comparison) -> str:
    settings = comparison.settings
    last = settings.rounds
    rounds = "One round" if last == 1 else f"Medians of {last} rounds, seeds 1 to {last}"
    sentences = [
        f"{rounds}, turn and turn about, each run a process of its own on the same cores.",
        "Training is the training phase alone; end to end is from the text file to the saved vectors, with start-up.",
        "Words are those of the corpus, before any is dropped, times epochs, for each second of training.",
        "x is how many times as long as pyembed a program takes, the median of the rounds' ratios: quote that, since "
        "seconds change with the machine's other tenants.",
    ]
    if settings.scored_with:
        sentences.append(
            "Scores are those of the very vectors that were timed: Spearman's correlation for word pairs, the share "
            "of right answers for analogies among the 30,000 most frequent words, both times 100."
        )
    else:
        sentences.append("Nothing was scored: name files with --pairs and --analogies. Speed alone says little.")
    return "\n".join(sentences)


def _facts(comparison: Comparison) -> str:
    machine, corpus, training = comparison.machine, comparison.corpus, comparison.settings.training
    versions = ", ".join(f"{name} {machine[name] or _MISSING}" for name in ("python", "torch", "numpy", "numba"))
    lines = [
        f"**Machine** {machine['cpu']}, {machine['cores']} cores, {machine['memory'] / 2**30:.0f} GiB, "
        f"{machine['system']}; {versions}",
        f"**Corpus** {corpus['bytes'] / 1e6:,.1f} MB, {corpus['words']:,} words, {corpus['sentences']:,} sentences, "
        f"{corpus['vocabulary']:,} words in the vocabulary",
        f"**Settings** {training.model}, vector size {training.vector_size}, window {training.window}, "
        f"{training.negative} negatives, sample {training.sample:g}, min_count {comparison.settings.min_count}, "
        f"learning rate {training.learning_rate:g}, {training.thread_count} threads",
    ]
    for name, version in comparison.versions.items():
        note = PROGRAMS[name].NOTE
        lines.append(
            f"**{name}** not installed: {PROGRAMS[name].INSTALL}"
            if version is None
            else f"**{name}** {version}{': ' if note else ''}{note}"
        )
    return "\n".join(f"* {line}" for line in lines)


def _troubles(comparison: Comparison) -> str:
    failed = [run for run in comparison.runs if run.error is not None]
    if not failed:
        return ""
    lines = [f"* {run.program}, epochs {run.epochs}, seed {run.seed}: {run.error}" for run in failed]
    return "\n".join(["Runs that failed and are not in the table:", "", *lines])
