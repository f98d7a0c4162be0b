"""Commands from a cold process to its end: what a small corpus waits for beside its training."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from measure import Measure

from pyembed import KeyedVectors

_WORDS = 2_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vector file and a text of a few thousand words."""
    folder = tmp_path_factory.mktemp("startup")
    words = [f"w{number}" for number in range(_WORDS)]
    KeyedVectors(words, np.ones((_WORDS, 100), np.float32)).save(folder / "vectors.bin")
    (folder / "text.txt").write_text("\n".join([" ".join(words)] * 5))
    return folder


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["neighbors", "vectors.bin", "w7"], ["info", "vectors.bin"], ["info"],
     ["train", "text.txt", "-o", "out.bin", "--quiet"]],
    ids=" ".join,
)  # fmt: skip
def test_a_command(arguments: list[str], folder: Path, measure: Measure) -> None:
    command = [sys.executable, "-m", "pyembed", *arguments]
    measure(lambda: subprocess.run(command, cwd=folder, check=True, capture_output=True))
