"""The report as a page of Markdown, to be pasted where somebody asks how it went."""

from __future__ import annotations

from itertools import groupby

from pyembed._version import __version__
from pyembed.bench.table import table
from pyembed.selftest.results import Check, Report, Speed, Trial


def markdown(report: Report) -> str:
    """The whole page. Its last line ends with a line break."""
    parts = [
        f"# pyembed {__version__}: self-test of {report.device}: {_verdict(report.passed)}",
        _machine(report),
        _checks(report.checks),
        _speeds(report.speeds),
        *([_trial(report.trial)] if report.trial else []),
        f"Took {report.seconds:.0f} s.",
    ]
    return "\n\n".join(parts) + "\n"


def _verdict(passed: bool) -> str:
    return "passed" if passed else "FAILED"


def _machine(report: Report) -> str:
    compiled = [name for name, native in report.kernels.items() if native]
    by_torch = [name for name, native in report.kernels.items() if not native]
    facts = {
        **report.machine,
        "compiled kernels": " ".join(compiled) or "none",
        "PyTorch kernels": " ".join(by_torch) or "none",
    }
    return "\n".join(f"* **{name.replace('_', ' ')}** {value}" for name, value in facts.items())


def _checks(checks: list[Check]) -> str:
    """A line for each promise, then one for each check that failed."""
    rows = [["promise", "cases", "failed", "largest deviation", "allowed", ""]]
    for promise, each in groupby(sorted(checks, key=lambda check: check.promise), key=lambda check: check.promise):
        found = list(each)
        failed = sum(not check.passed for check in found)
        worst = max((check.deviation for check in found if check.error is None), default=float("nan"))
        verdict = _verdict(not failed)
        rows.append([promise, str(len(found)), str(failed), f"{worst:.2g}", f"{found[0].allowed:.2g}", verdict])
    failures = [
        f"* {check.promise}, {check.case}: {check.error or f'{check.deviation:.3g} > {check.allowed:.3g}'}"
        for check in checks
        if not check.passed
    ]
    return "\n\n".join(["## Promises", table(rows), *(["\n".join(failures)] if failures else [])])


def _speeds(speeds: list[Speed]) -> str:
    rows = [["training step", "M trained words/s", "times the CPU", "share of the model", "the model's limit"]]
    for speed in speeds:
        on_cpu, model = speed.cpu_words_per_second, speed.model_words_per_second
        rows.append(
            [
                speed.setting,
                f"{speed.words_per_second / 1e6:,.2f}",
                f"{speed.words_per_second / on_cpu:.1f}" if on_cpu else "-",
                f"{speed.words_per_second / model:.0%}" if model else "-",
                speed.limit or "-",
            ]
        )
    return "\n\n".join(
        ["## Speed", table(rows), "Words left by subsampling; 100,000 words by Zipf's law, sentences of 20."]
    )


def _trial(trial: Trial) -> str:
    rows = [
        ["the demonstration's corpus", "device", "one CPU thread", "another seed", ""],
        ["loss of the last epoch", f"{trial.device_loss:.4f}", f"{trial.cpu_loss:.4f}", "-", ""],
        ["ten nearest words in common", f"{trial.device_agreement:.1%}", "100%", f"{trial.seed_agreement:.1%}", ""],
        ["training, s", f"{trial.device_seconds:.2f}", f"{trial.cpu_seconds:.2f}", "-", ""],
    ]
    rows[1][-1] = _verdict(abs(trial.device_loss / trial.cpu_loss - 1) <= trial.allowed_loss)
    rows[2][-1] = _verdict(trial.device_agreement >= trial.seed_agreement - trial.allowed_agreement)
    return "\n\n".join(["## A training run", table(rows)])
