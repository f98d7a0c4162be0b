"""`pyembed phrases`: joined text on disk, facts for people and programs, errors by exit code."""

from __future__ import annotations

import errno
import gzip
import json
from pathlib import Path

import pytest

from pyembed import FrozenPhrases, LineSentence, Phrases
from pyembed.cli import main
from pyembed.cli.exits import ExitCode

TEXT = "the bank of america\n" * 4 + "In New York\n\n" + "new york\n" * 9
TEXT += "".join(f"{i} new york city {i + 5}\n" for i in range(5))


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


def phrases(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    try:
        code = main(["phrases", *map(str, arguments)])
    except SystemExit as end:
        code = int(str(end.code))
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.mark.parametrize("suffix", [".txt", ".gz"])
def test_text_is_written_as_phrases_join_it(suffix, text, capsys, tmp_path):
    output = tmp_path / f"out{suffix}"
    code, out, _ = phrases(capsys, text, "-o", output, "--min-count", 2, "--threshold", 0.1, "--connectors", "english")
    assert code == ExitCode.OK
    expected = Phrases(LineSentence(text), 2, 0.1, connector_words={"of", "the"})
    content = gzip.decompress(output.read_bytes()) if suffix == ".gz" else output.read_bytes()
    assert content.decode().splitlines() == [
        " ".join(sentence) for sentence in expected[LineSentence(text)] if sentence
    ]
    assert "bank_of_america" in content.decode()
    assert f"pass 1: {len(expected.export_phrases())} phrases" in out
    assert f"saved {output}" in out


def test_two_passes_make_longer_phrases(text, capsys, tmp_path):
    connectors = tmp_path / "connectors"
    connectors.write_text("of\nthe\n")
    options = ["--threshold", 0.1, "--min-count", 2, "--connectors", connectors, "--lowercase", "--passes", 2]
    code, out, _ = phrases(capsys, text, *options, "-o", tmp_path / "out", "--json", "--save", tmp_path / "saved")
    assert code == ExitCode.OK
    facts = json.loads(out)
    assert (facts["words"], facts["words_joined"]) == (len(TEXT.split()), len((tmp_path / "out").read_text().split()))
    assert len(facts["passes"]) == 2
    assert "new_york_city" in [best["phrase"] for best in facts["passes"][1]["best"]]
    first, second = (FrozenPhrases.load(tmp_path / name) for name in ("saved", "saved.2"))
    assert facts["passes"][1]["phrases"] == len(second)
    assert second[first[["in", "new", "york", "city"]]][-1] == "new_york_city"


def test_phrases_are_shown_without_a_file_to_write(text, capsys):
    code, out, _ = phrases(capsys, text, "--threshold", 0.1, "--list", 1)
    assert code == ExitCode.OK
    assert len(out.splitlines()) == 3
    assert "saved" not in out


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--min-count", "0"], ExitCode.USAGE, "min_count: expected a number above 0"),
        (["--scoring", "npmi", "--threshold", "2"], ExitCode.USAGE, "threshold: expected -1 to 1"),
        (["--delimiter", ""], ExitCode.USAGE, "delimiter: expected a text"),
        (["--delimiter", " "], ExitCode.USAGE, "delimiter: expected no white space, found ' '"),
        (["--connectors", "missing"], ExitCode.INPUT, "--connectors: expected none, english, or a file"),
        (["-o", "missing/out.txt"], ExitCode.OUTPUT, "missing/out.txt"),
        (["missing.txt"], ExitCode.INPUT, "missing.txt"),
    ],
)
def test_errors_end_with_their_exit_code(options, code, message, text, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found, out, error = phrases(capsys, text, *options)
    assert found == code
    assert message in error
    assert not out
    assert sorted(tmp_path.iterdir()) == [text]


def test_a_full_disk_between_passes_is_an_output_error(text, capsys, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "temporary")

    monkeypatch.setattr(Phrases, "add_vocab", full)
    code, out, error = phrases(capsys, text, "-o", tmp_path / "out")
    assert (code, out) == (ExitCode.OUTPUT, "")
    assert "temporary: No space left on device" in error
    assert list(tmp_path.iterdir()) == [text]
