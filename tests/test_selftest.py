"""`pyembed selftest`: passes where the kernels keep their promises, fails where one does not."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import simt
import torch

from pyembed import ops
from pyembed.cli import main
from pyembed.cli.exits import ExitCode
from pyembed.config import Backend
from pyembed.ops import calls, pair_calls, row_calls
from pyembed.selftest import promises, speed
from pyembed.selftest.cases import Case
from pyembed.selftest.markdown import markdown
from pyembed.selftest.results import Check, Report, Speed, Trial
from pyembed.selftest.trial import agreement
from pyembed.vectors import KeyedVectors

FEW = [Case("skipgram"), Case("cbow", dimensions=31, negative=2)]


@pytest.fixture
def few_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promises, "cases", lambda: iter(FEW))


def all_on(backend: str, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[str, Any], Any] = lambda _, op: op) -> None:
    """Every op that is not told otherwise runs on this backend, spoiled."""

    def kernel(name: str, asked: Backend = "auto", device: Any = "cpu") -> Any:
        return ops.kernel(name, asked, device) if asked == "torch" else spoil(name, simt.kernel(name, backend, device))

    for room in (calls, pair_calls, row_calls):
        monkeypatch.setattr(room, "kernel", kernel)


@pytest.mark.simt
@pytest.mark.usefixtures("few_cases")
def test_kernels_keep_their_promises(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    all_on("auto" if backend == "native" else backend, monkeypatch)  # not every op is compiled
    if backend != "native":  # a GPU has no kernel for windows that train together
        monkeypatch.setattr(ops, "is_native", lambda name, **_: backend != "torch" and "batch" not in name)
    found = list(promises.checks("cpu"))
    assert [check for check in found if not check.passed] == []
    assert {check.promise for check in found} >= {"draws", "gradients", "steps", "steps, bfloat16", "all kept"}
    assert ("sequential" in {check.promise for check in found}) == (backend != "torch")
    assert ("batches" in {check.promise for check in found}) == (backend == "native")


FAULTS = {
    "draw_windows": lambda radius, outputs: (radius + (radius == 1), outputs),
    "draw_negatives": lambda ids: ids ^ (ids % 1000 == 7),
    "keep_tokens": lambda kept, before: (kept[1:], before),
    "skipgram_loss": lambda loss: loss * 1.0001,
    "pair_loss": lambda loss: loss * 1.0001,
    "lookup": lambda rows: rows.flip(0),
}


@pytest.mark.usefixtures("few_cases")
@pytest.mark.parametrize("name", FAULTS)
def test_a_wrong_result_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(op_name: str, op: Any) -> Any:
        if op_name != name:
            return op

        def spoiled(*arguments: Any) -> Any:
            found = op(*arguments)
            return FAULTS[name](*(found if isinstance(found, tuple) else (found,)))

        return spoiled

    all_on("auto", monkeypatch, spoil)
    assert any(not check.passed for check in promises.checks("cpu"))


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("skipgram_step_", "a step too large"),
        ("cbow_step_", "a row left out"),
        ("pair_step_", "a row left out"),
        ("cbow_step_", "an error"),
        ("update_rows_adamw_", "a step too large"),
    ],
)
@pytest.mark.usefixtures("few_cases")
def test_a_wrong_step_is_found(name: str, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(op_name: str, op: Any) -> Any:
        if op_name != name:
            return op

        def spoiled(in_vectors: torch.Tensor, out_vectors: torch.Tensor, *rest: Any) -> Any:
            before = in_vectors.clone()
            total = op(in_vectors, out_vectors, *rest)
            if fault == "an error":
                raise RuntimeError("the kernel failed")
            if fault == "a step too large":
                in_vectors += 0.5 * (in_vectors - before)
            else:
                changed = (in_vectors != before).any(1).nonzero()[:1]
                in_vectors[changed] = before[changed]
            return total

        return spoiled

    all_on("auto", monkeypatch, spoil)
    failed = [check for check in promises.checks("cpu") if not check.passed]
    assert failed
    assert all((check.error is not None) == (fault == "an error") for check in failed)


def test_a_check_that_is_not_a_number_fails() -> None:
    assert not Check("draws", "any", float("nan"), 1.0).passed
    assert Check("draws", "any", 0, 0).passed


def vectors_of(rows: np.ndarray) -> KeyedVectors:
    return KeyedVectors([f"w{i}" for i in range(len(rows))], rows.astype(np.float32))


def test_agreement_is_that_of_nearest_words() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((200, 8))
    rotation, _ = np.linalg.qr(rng.standard_normal((8, 8)))
    assert agreement(vectors_of(rows), vectors_of(3 * rows @ rotation)) == 1
    assert agreement(vectors_of(rows), vectors_of(rng.standard_normal((200, 8)))) < 0.2


def trial_of(**changes: float) -> Trial:
    good = {"device_loss": 2.0, "cpu_loss": 2.01, "device_agreement": 0.8, "seed_agreement": 0.7}
    rest = {"device_seconds": 1.0, "cpu_seconds": 2.0, "allowed_loss": 0.02, "allowed_agreement": 0.05}
    return Trial(**{**good, **rest, **changes})


@pytest.mark.parametrize(
    ("changes", "passed"),
    [({}, True), ({"device_loss": 2.2}, False), ({"device_agreement": 0.6}, False), ({"device_loss": np.nan}, False)],
)
def test_a_trial_passes_by_loss_and_agreement(changes: dict[str, float], passed: bool) -> None:
    assert trial_of(**changes).passed == passed


def report_of(*checks: Check, trial: Trial | None = None) -> Report:
    speeds = [Speed("skipgram", 2e8, 5e6, 4e8, "memory"), Speed("cbow", 1e8, None, None, None)]
    return Report("cuda", {"gpu": "H100"}, {"skipgram_step_": True, "pair_step_": False}, list(checks), speeds, trial)


def test_the_report_tells_passed_from_failed() -> None:
    good, bad = Check("steps", "skipgram D=1", 1e-7, 1e-6), Check("steps", "skipgram D=31", 0.5, 1e-6)
    passed = report_of(good, trial=trial_of())
    assert passed.passed
    assert "FAILED" not in markdown(passed)
    assert "| steps | 1 | 0 | 1e-07 | 1e-06 | passed |" in markdown(passed)
    assert "| skipgram | 200.00 | 40.0 | 50% | memory |" in markdown(passed)
    failed = report_of(good, bad, trial=trial_of())
    assert not failed.passed
    assert "* steps, skipgram D=31: 0.5 > 1e-06" in markdown(failed)
    assert not report_of(good).passed, "a report without its trial is none"
    assert json.loads(json.dumps(failed.to_dict()))["checks"][1]["passed"] is False


@pytest.mark.parametrize("config", speed.SETTINGS, ids=speed.describe)
def test_every_setting_can_be_timed(config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "_TOKENS", dict.fromkeys(("cuda", "cpu", "torch"), 64))
    monkeypatch.setattr(speed, "_WORDS", 100)
    assert speed.words_per_second(config, "cpu") > 0


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but the command's own doing."""
    import pyembed.selftest.run as room

    monkeypatch.setattr(room, "checks", lambda _: [Check("steps", "any", 0.0, 1.0)])
    monkeypatch.setattr(room, "speeds", lambda _: [])
    monkeypatch.setattr(room, "trial", lambda _: trial_of())


@pytest.mark.usefixtures("quick")
def test_the_command_prints_a_report_and_its_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["selftest"]) == ExitCode.OK
    assert capsys.readouterr().out.startswith("# pyembed")
    assert main(["selftest", "--json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["passed"] is True
    monkeypatch.setattr(sys.modules["pyembed.selftest.run"], "trial", lambda _: trial_of(device_loss=9.0))
    assert main(["selftest"]) == ExitCode.FAILED
    assert "FAILED" in capsys.readouterr().out


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_command_says_so_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["selftest", "--device", "cuda"]) == ExitCode.USAGE
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("pyembed: error: device 'cuda': ")
    assert output.err.count("\n") == 1


@pytest.mark.gpu
def test_the_gpu_passes() -> None:
    assert main(["selftest", "--device", "cuda"]) == ExitCode.OK
