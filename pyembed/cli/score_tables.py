"""Tables of scores: a row for each file of vectors, or for each setting of several runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pyembed.vectors import AnalogyScore, Interval, PairScore, RunsScore


def bracket(interval: Interval | None) -> str:
    """An interval as it is printed, times 100."""
    return "" if interval is None else f"[{100 * interval.low:.2f} {100 * interval.high:.2f}]"


def print_table(rows: Sequence[Sequence[str]], markdown: bool) -> None:
    """The first row is that of titles."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [[f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)] for row in rows]
    if markdown:
        lines.insert(1, ["-" * width for width in widths])
    for cells in lines:
        print(f"| {' | '.join(cells)} |" if markdown else "   ".join(cells).rstrip())


def rows_of_files(scores: Mapping[str, tuple[Sequence[PairScore], AnalogyScore | None]]) -> list[list[str]]:
    """A row for each file by name, a column for each test: its score, the interval, and how much was counted."""
    rows: list[list[str]] = []
    for file, (pairs, analogies) in scores.items():
        tests = [(score.name, score.spearman, score.interval, score.pairs, score.total) for score in pairs]
        if analogies is not None:
            total = analogies.total
            tests.append((analogies.name, total.accuracy, analogies.interval, total.questions, total.total))
        if not rows:
            rows.append(["vectors", *(name for name, *_ in tests)])
        cells = (f"{100 * value:6.2f} {bracket(interval)}  {n:,} of {all_:,}" for _, value, interval, n, all_ in tests)
        rows.append([file, *cells])
    return rows


def rows_of_settings(settings: Mapping[str, Sequence[RunsScore]]) -> list[list[str]]:
    """A row for each setting, a column for each test: mean, deviation, interval, and how much was counted."""
    rows = [["setting", "runs", *(score.name for score in next(iter(settings.values())))]]
    for name, scores in settings.items():
        cells = (
            f"{100 * score.mean:6.2f} ± {100 * score.deviation:.2f} {bracket(score.interval)}  "
            f"{_range(score.counted)} of {score.total:,}"
            for score in scores
        )
        rows.append([name, str(len(scores[0].scores)), *cells])
    return rows


def rows_of_differences(settings: Mapping[str, Sequence[RunsScore]]) -> list[list[str]]:
    """A row for each setting but the first: how much better than that it is, and in how many common questions."""
    first, *others = settings
    rows = [[f"better than {first} by", *(score.name for score in settings[first])]]
    for name in others:
        differences = [score.difference for score in settings[name] if score.difference is not None]
        cells = (f"{100 * found.mean:+6.2f} {bracket(found.interval)}  {found.common:,}" for found in differences)
        rows.append([name, *cells])
    return rows


def _range(numbers: Iterable[int]) -> str:
    low, *_, high = sorted([*numbers, *numbers])
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
