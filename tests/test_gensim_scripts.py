"""Scripts as people write them for gensim run as they are with the import lines changed, and print the same lines.

Each script in gensim_scripts/ is run twice: with gensim, and with `pyembed` in place of `gensim` and its modules where
names are imported. What they print must agree: words, whole numbers and truth values exactly, and of numbers with a
fraction and of words in quotes, which depend on random numbers, only that they are there.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("gensim.models", reason="gensim is not installed")
SCRIPTS = sorted((Path(__file__).parent / "gensim_scripts").glob("*.py"))
EXACT = {"evaluation", "similarity_queries"}
"""Nothing is random in these."""


def with_our_imports(source: str) -> str:
    changed, lines = re.subn(r"^from gensim[\w.]* import ", "from pyembed import ", source, flags=re.MULTILINE)
    assert lines
    assert "gensim" not in changed.replace("gensim's", "")
    return changed


def printed(source: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    folder.mkdir()
    monkeypatch.chdir(folder)
    exec(compile(source, "script", "exec"), {"__name__": "__main__"})
    return capsys.readouterr().out


def shape(line: str) -> str:
    return re.sub(r"-?\d+\.\d+(e-?\d+)?", "#", re.sub(r"'[^']*'", "'...'", line))


def test_there_are_scripts_to_run():
    assert len(SCRIPTS) >= 14


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_only_the_imports_change(script, tmp_path, monkeypatch, capsys):
    source = script.read_text()
    theirs = printed(source, tmp_path / "theirs", monkeypatch, capsys).splitlines()
    ours = printed(with_our_imports(source), tmp_path / "ours", monkeypatch, capsys).splitlines()
    assert len(theirs) > 2
    if script.stem in EXACT:
        assert ours == theirs
    else:
        assert [shape(line) for line in ours] == [shape(line) for line in theirs]
