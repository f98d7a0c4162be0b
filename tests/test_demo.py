"""The demonstration: docstrings as ast finds them, and a run from text to neighbors."""

from __future__ import annotations

import ast
import json
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pyembed.cli import main
from pyembed.config import TrainConfig
from pyembed.demo.docstrings import docstrings_of, gather, installed_packages
from pyembed.demo.run import content_words, run_demo
from pyembed.vectors import KeyedVectors


def docstrings_by_ast(source: bytes) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(source)
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = (ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, kinds))
    return [docstring for docstring in found if docstring is not None]


SOURCE = rb'''#!/usr/bin/env python
# A comment with a quote: don't.
"""The module."""
import this  # it's """ nothing

TABLE = {"key":
    "no docstring"}
TEXT = """
def no_code():
    '"no docstring"'
"""

class Thing(Base, metaclass=Meta):  # a comment
    # another

    r"""Raw \d class."""

    def method(self, a="x", b=QQQ  # '
               QQQ):
        'Single\tquotes.'
        """Not this one."""
        return f"""{a}"""

    async def long_header(
        self,
        other: dict[str, int] = None,
    ) -> str:
        u"""Long header."""

    def without(self):
        if self.other("x"):
            "no docstring"
        b"""bytes"""

    @decorated("y")
    def bytes_are_none(self): return b"""bytes"""

    def german(self):
        """K\xc3\xb6nig \N{BULLET}

        second paragraph
        """
'''.replace(b"QQQ", b"'''")


def test_docstrings_are_found_where_python_has_them():
    assert Counter(docstrings_of(SOURCE)) == Counter(docstrings_by_ast(SOURCE))
    assert next(iter(docstrings_of(SOURCE))) == "The module."


def test_docstrings_of_real_code_are_those_of_ast_but_for_a_few():
    files = [
        file
        for folder in ("numpy/linalg", "torch/optim", "torch/nn", "networkx/algorithms")
        for root in installed_packages()
        for file in sorted((root / folder).glob("*.py"))
    ]
    assert files
    expected: Counter[tuple[Path, str]] = Counter()
    found: Counter[tuple[Path, str]] = Counter()
    for file in files:
        source = file.read_bytes()
        expected.update((file, docstring.replace("\r\n", "\n")) for docstring in docstrings_by_ast(source))
        found.update((file, docstring) for docstring in docstrings_of(source))
    wrong = sum((expected - found).values()) + sum((found - expected).values())
    assert wrong <= 0.003 * sum(expected.values())


def test_gathering_is_deterministic_and_drops_repetitions(tmp_path):
    for name in ("b", "a"):
        (tmp_path / name / "inner").mkdir(parents=True)
        (tmp_path / name / "inner" / "code.py").write_text(f'"""Of {name}.\n\n  The   same\n  words.\n"""\n')
    (tmp_path / "a" / "broken.py").write_bytes(b'"""\xff not UTF-8 \\N{NO SUCH NAME}"""\ndef (')
    found = gather([tmp_path])
    assert found.paragraphs == ["\ufffd not UTF-8 \\N{NO SUCH NAME}", "Of a.", "The same words.", "Of b."]
    assert (found.files, found.packages) == (3, ["a", "b"])
    assert gather([tmp_path]) == found


def test_no_python_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected Python files"):
        gather([tmp_path])


@pytest.fixture
def topics(tmp_path: Path) -> Path:
    """Text about two topics, in sentences of ten words."""
    rng = np.random.default_rng(0)
    topics = [[f"{topic}{first}{first}{second}" for first in "abcde" for second in "fghijk"] for topic in "xy"]
    path = tmp_path / "topics.txt"
    path.write_text("".join(" ".join(rng.choice(topics[line % 2], 10)) + "\n" for line in range(3_000)))
    return path


def test_the_demo_learns_and_saves_on_text_of_ones_own(topics, tmp_path):
    said: list[str] = []
    training = TrainConfig(vector_size=16, epochs=10, threads=1, sample=0)
    result = run_demo(tmp_path / "new" / "folder", [str(topics)], training=training, announce=said.append)
    assert result.output == tmp_path / "new" / "folder" / "vectors.bin"
    np.testing.assert_array_equal(KeyedVectors.load(result.output).vectors, result.vectors.vectors)
    assert result.neighbors
    for word, found in result.neighbors.items():
        assert [near[0] for near, _ in found] == [word[0]] * len(found)
    assert list(result.seconds) == ["train", "save", "query"]
    assert "training" in said


def test_the_demo_gathers_docstrings_and_shows_neighbors(capsys, tmp_path, monkeypatch):
    packages = [root / "networkx" for root in installed_packages() if (root / "networkx").is_dir()][:1]
    monkeypatch.setattr("pyembed.demo.docstrings.installed_packages", lambda: packages)
    assert main(["demo", "-o", str(tmp_path), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    found = {near["word"] for entry in result["neighbors"] if entry["word"] == "graph" for near in entry["neighbors"]}
    assert found & {"graphs", "undirected", "directed", "networkx", "subgraph", "multigraph", "digraph"}
    assert (tmp_path / "docstrings.txt").stat().st_size > 100_000
    assert result["output"] == str(tmp_path / "vectors.bin")


def test_the_demo_prints_a_table_stages_and_what_to_try_next(capsys, topics, tmp_path):
    assert main(["demo", "--input", str(topics), "-o", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert f"skip-gram vectors from {topics}" in out
    assert "30,000 words counted" in out
    assert "in all" in out
    assert f"pyembed neighbors {tmp_path / 'out' / 'vectors.bin'} " in out
    assert "\x1b" not in out


@pytest.mark.parametrize("broken", ["input", "output"])
def test_the_demo_fails_cleanly(broken, capsys, tmp_path):
    (tmp_path / "file").write_text("no folder")
    folder = tmp_path / ("file" if broken == "output" else "out")
    code = main(["demo", "--input", str(tmp_path / "missing.txt"), "-o", str(folder)])
    assert code == (4 if broken == "output" else 3)
    assert "pyembed: error: " in capsys.readouterr().err


def test_content_words_are_long_vectors_unlike_each_other():
    words = ["the", "aaaa", "bbbb", "cccc", "d1d1", "eeee"]
    vectors = KeyedVectors(words, [[9, 9], [3, 0.1], [4, 0], [0, 2], [0, -8], [0, -1]])
    assert content_words(vectors, 3) == ["bbbb", "cccc", "eeee"]
    assert content_words(KeyedVectors(["a", "b"], np.eye(2)), 5) == ["a", "b"]
