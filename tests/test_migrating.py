"""MIGRATING.md names all that gensim's KeyedVectors has, and tells the truth of each name."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import numpy as np
import pytest

from pyembed.vectors import KeyedVectors

gensim_models = pytest.importorskip("gensim.models", reason="gensim is not installed")
MIGRATING = Path(__file__).parent.parent / "MIGRATING.md"


def rows_of_the_table() -> dict[str, str]:
    return dict(re.findall(r"^\| `(\w+)` \| (same|better|refused) \|", MIGRATING.read_text(), re.MULTILINE))


def test_the_table_names_all_that_gensim_has():
    theirs = {name for name in dir(gensim_models.KeyedVectors(2, 1)) if not name.startswith("_")}
    assert rows_of_the_table().keys() == theirs


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("name", "verdict"), rows_of_the_table().items())
def test_names_are_there_or_refused_with_a_reason(name, verdict):
    vectors = KeyedVectors(["a", "b"], np.eye(2), counts=[2, 1])
    if verdict == "refused":
        with pytest.raises(AttributeError, match=f"KeyedVectors has no attribute '{name}'.* \\w+"):
            getattr(vectors, name)
    else:
        assert hasattr(vectors, name)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_arguments_are_named_as_gensims():
    for name, verdict in rows_of_the_table().items():
        theirs = getattr(gensim_models.KeyedVectors, name, None)
        if verdict == "refused" or not inspect.isroutine(theirs):
            continue
        ours = inspect.signature(getattr(KeyedVectors, name)).parameters
        expected = [
            parameter
            for parameter in inspect.signature(theirs).parameters.values()
            if parameter.kind is parameter.POSITIONAL_OR_KEYWORD and name != "load"
        ]
        assert list(ours)[: len(expected)] == [parameter.name for parameter in expected], name
        for parameter in expected:
            if (name, parameter.name) != ("evaluate_word_pairs", "delimiter"):
                assert ours[parameter.name].default in (parameter.default, np.float32), (name, parameter.name)


@pytest.mark.parametrize(
    ("old", "new"), [("index2word", "index_to_key"), ("syn0", "vectors"), ("vocab", "key_to_index")]
)
def test_names_of_gensim_3_tell_the_new_one(old, new):
    vectors = KeyedVectors(["a"], [[1, 2]])
    assert not hasattr(vectors, old)
    with pytest.raises(AttributeError, match=new):
        getattr(vectors, old)
    with pytest.raises(AttributeError, match=r"^'KeyedVectors' object has no attribute 'nonsense'$"):
        vectors.nonsense  # noqa: B018
