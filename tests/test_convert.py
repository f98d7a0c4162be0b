"""`pyembed convert`: any format to any other, what is lost is said, what is wrong is told by exit code."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from format_cases import WORDS, small_table, write_cases

from pyembed.cli import main
from pyembed.cli.exits import ExitCode
from pyembed.vectors.formats import FORMATS, read, write


def convert(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    try:
        code = main(["convert", *map(str, arguments)])
    except SystemExit as end:
        code = int(str(end.code))
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.mark.parametrize("target", [name for name in FORMATS if name not in ("parquet", "arrow")])
def test_every_case_converts_to_every_format(target, capsys, tmp_path):
    for case, path in write_cases(tmp_path).items():
        table = read(path)
        output = tmp_path / f"to-{case.replace('.', '-')}"
        if target == "word2vec-binary":  # no format but this one minds a space, and no word here has one
            assert not any(" " in word for word in table.words)
        code, _, errors = convert(capsys, path, output, "--to", target)
        assert (code, errors) == (ExitCode.OK, "")
        found = read(output, format=target)
        assert list(found.words) == WORDS
        np.testing.assert_array_equal(found.vectors, table.vectors)


def test_what_a_format_has_no_place_for_is_said(capsys, tmp_path):
    write(small_table(), tmp_path / "v.safetensors")
    code, out, _ = convert(capsys, tmp_path / "v.safetensors", tmp_path / "v.txt")
    assert code == ExitCode.OK
    assert out == (
        "9 words, 6 dimensions: safetensors to word2vec-text\nword2vec-text has no place for counts and metadata\n"
    )
    code, out, _ = convert(capsys, tmp_path / "v.safetensors", tmp_path / "v.fifu", "--json")
    assert json.loads(out) == {
        "input": str(tmp_path / "v.safetensors"),
        "from": "safetensors",
        "output": str(tmp_path / "v.fifu"),
        "to": "finalfusion",
        "words": 9,
        "dimensions": 6,
        "lost": ["counts"],
    }


def test_damaged_rows_are_an_error_or_left_out_with_a_warning(capsys, tmp_path):
    (tmp_path / "v.vec").write_bytes(b"2 1\na 1\nb x\n")
    code, out, errors = convert(capsys, tmp_path / "v.vec", tmp_path / "v.npz")
    assert (code, out) == (ExitCode.INPUT, "")
    assert "line 3: expected a number in dimension 0" in errors
    assert not (tmp_path / "v.npz").exists()
    code, _, errors = convert(capsys, tmp_path / "v.vec", tmp_path / "v.npz", "--errors", "skip")
    assert code == ExitCode.OK
    assert "warning: " in errors
    assert "1 rows were left out" in errors
    assert list(read(tmp_path / "v.npz").words) == ["a"]


def test_errors_have_their_exit_codes(capsys, tmp_path):
    write(small_table(), tmp_path / "v.txt")
    (tmp_path / "text").write_text("nothing here")
    for arguments, code, message in [
        (["v.txt", "v.unknown"], ExitCode.OUTPUT, "found '.unknown'"),
        (["missing.txt", "v.npz"], ExitCode.INPUT, "No such file"),
        (["text", "v.npz"], ExitCode.INPUT, "found no suffix"),
        (["v.txt", "missing/v.npz"], ExitCode.OUTPUT, "No such file"),
        (["v.txt", "v.txt"], ExitCode.OUTPUT, "expected another file than the input"),
        (["v.txt", "v.npz", "--to", "pickle"], ExitCode.USAGE, "invalid choice: 'pickle'"),
    ]:
        names = [
            argument if argument.startswith("--") or argument == "pickle" else tmp_path / argument
            for argument in arguments
        ]
        found, out, errors = convert(capsys, *names)
        assert (found, out) == (code, ""), arguments
        assert message in errors


def test_a_missing_package_is_explained(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    write(small_table(), tmp_path / "v.txt")
    code, _, errors = convert(capsys, tmp_path / "v.txt", tmp_path / "v.parquet")
    assert code == ExitCode.OUTPUT
    assert "pip install 'pyembed-torch[arrow]'" in errors


def test_a_missing_package_is_explained_by_every_command_that_reads(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "v.parquet").write_bytes(b"PAR1")
    assert main(["info", str(tmp_path / "v.parquet")]) == ExitCode.INPUT
    assert "pip install 'pyembed-torch[arrow]'" in capsys.readouterr().err
