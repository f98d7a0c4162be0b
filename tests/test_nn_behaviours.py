"""The table of what torch's embedding modules do is complete: nn_behaviours.md and the tests that it names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FILES = {
    "Embedding": "test_nn_embedding.py",
    "EmbeddingBag": "test_nn_embedding_bag.py",
    "EmbeddingBag, refused and at random": "test_nn_bags_at_large.py",
    "Both, under transforms and wrappers": "test_nn_transforms.py",
    "Both, under compilers": "test_nn_compilers.py",
}


@pytest.mark.parametrize("heading", FILES)
def test_every_behaviour_has_a_test_and_every_test_a_behaviour(heading: str):
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", (HERE / "nn_behaviours.md").read_text(), re.M | re.S)
    lines = [line for line in section.splitlines() if line.startswith("| ")][1:]
    named = [re.findall(r"`(test_\w+)` \|$", line) for line in lines]
    tests = re.findall(r"^def (test_\w+)\(", (HERE / FILES[heading]).read_text(), re.M)
    assert named == [[test] for test in tests]
    assert all(line.count("|") == 5 for line in lines)
