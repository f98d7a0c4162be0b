"""Modules of PyTorch from vectors and a vocabulary: rows by id, words without vectors, padding."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import pyembed.nn as pnn
from pyembed import Vocabulary
from pyembed.vectors import KeyedVectors, UnknownWordError, subword_vectors
from pyembed.vectors.formats.fasttext_matrix import DenseMatrix
from pyembed.vectors.formats.fasttext_model import FastTextArguments, FastTextModel, write_model

WORDS = ["the", "of", "king", "Queen"]
VECTORS = np.arange(12, dtype=np.float32).reshape(4, 3) + 1
MODULES = pytest.mark.parametrize(
    "module", [torch.nn.Embedding, torch.nn.EmbeddingBag, pnn.Embedding, pnn.EmbeddingBag], ids=str
)


@pytest.fixture
def vectors() -> KeyedVectors:
    return KeyedVectors(WORDS, VECTORS)


def weight_of(module: torch.nn.Module) -> np.ndarray:
    return module.weight.detach().numpy()


def test_without_a_vocabulary_rows_are_the_own_words(vectors):
    embedding = vectors.to_embedding()
    assert type(embedding) is torch.nn.Embedding
    np.testing.assert_array_equal(weight_of(embedding), VECTORS)
    assert embedding(torch.tensor(vectors.get_index("king"))).tolist() == [7, 8, 9]


@pytest.mark.parametrize(
    "words",
    [
        ["king", "<pad>", "the"],
        {"the": 2, "king": 0, "<pad>": 1},
        SimpleNamespace(words=["king", "<pad>", "the"]),
        Vocabulary(["king", "<pad>", "the"], np.ones(3, dtype=np.int64)),
        (word for word in ("king", "<pad>", "the")),
    ],
    ids=["list", "mapping", "has words", "Vocabulary", "generator"],
)
def test_rows_are_in_the_order_of_the_ids(words, vectors):
    np.testing.assert_array_equal(weight_of(vectors.to_embedding(words)), [[7, 8, 9], [0, 0, 0], [1, 2, 3]])


@MODULES
def test_any_module_with_from_pretrained_takes_its_options(module, vectors):
    made = vectors.to_embedding(["<pad>", *WORDS], padding="<pad>", module=module, max_norm=2.0, sparse=True)
    assert type(made) is module
    assert (made.padding_idx, made.max_norm, made.sparse) == (0, 2.0, True)
    assert not made.weight.requires_grad
    np.testing.assert_array_equal(weight_of(made)[1:], VECTORS)
    assert vectors.to_embedding(module=module, freeze=False).weight.requires_grad


def test_training_the_module_leaves_the_vectors_as_they_are(vectors):
    embedding = vectors.to_embedding(freeze=False)
    with torch.no_grad():
        embedding.weight.zero_()
    np.testing.assert_array_equal(vectors.vectors, VECTORS)


@pytest.mark.parametrize("padding", ["the", 1])
@pytest.mark.parametrize("unknown", ["zeros", "mean", "error"])
def test_the_row_of_padding_is_zeros_and_stays_so(padding, unknown, vectors):
    """Whether the word has a vector or not, and whatever the policy."""
    for word in ("the", "<pad>"):
        chosen = word if padding == "the" else 1
        embedding = vectors.to_embedding(["king", word], padding=chosen, unknown=unknown, freeze=False)
        np.testing.assert_array_equal(weight_of(embedding), [[7, 8, 9], [0, 0, 0]])
        embedding(torch.tensor([0, 1])).sum().backward()
        assert embedding.weight.grad.tolist() == [[1, 1, 1], [0, 0, 0]]


@pytest.mark.parametrize(
    ("unknown", "expected"),
    [
        ("zeros", [0, 0, 0]),
        ("mean", VECTORS.mean(axis=0)),
        ([1, 2, 4], [1, 2, 4]),
        (np.float64([1, 2, 4]), [1, 2, 4]),
        (torch.tensor([1, 2, 4]), [1, 2, 4]),
        (lambda word: [len(word), 0, 1], [2, 0, 1]),
    ],
    ids=["zeros", "mean", "list", "array", "tensor", "function"],
)
def test_unknown_words_have_what_the_policy_says(unknown, expected, vectors):
    weight = weight_of(vectors.to_embedding(["of", "no", "king"], unknown=unknown))
    np.testing.assert_allclose(weight, [VECTORS[1], expected, VECTORS[2]])


@pytest.mark.parametrize("unknown", ["normal", "uniform"])
def test_drawn_vectors_are_as_long_and_wide_as_the_others(unknown):
    rng = np.random.default_rng(0)
    mean, deviation = np.array([0.0, 5, -2]), np.array([1, 0.1, 3])
    values = mean + deviation * rng.normal(size=(70_000, 3))
    values[-1] = np.nan
    known = KeyedVectors([f"w{row}" for row in range(len(values))], values)
    asked = [f"no{number}" for number in range(4_000)]
    drawn = weight_of(known.to_embedding(asked, unknown=unknown))
    np.testing.assert_allclose(drawn.mean(axis=0), mean, atol=0.2)
    np.testing.assert_allclose(drawn.std(axis=0), deviation, rtol=0.05)
    if unknown == "uniform":
        assert np.abs((drawn - mean) / deviation).max() < 1.02 * 3**0.5
    np.testing.assert_array_equal(weight_of(known.to_embedding(asked, unknown=unknown)), drawn)
    assert not np.array_equal(weight_of(known.to_embedding(asked, unknown=unknown, seed=2)), drawn)


def test_lower_case_stands_in_where_it_is_asked_to(vectors):
    words = ["THE", "Of", "queen", "Queen"]
    assert not weight_of(vectors.to_embedding(words))[:3].any()
    weight = weight_of(vectors.to_embedding(words, lower_backup=True))
    np.testing.assert_array_equal(weight, [VECTORS[0], VECTORS[1], [0, 0, 0], VECTORS[3]])


def test_coverage_counts_the_words_with_vectors(vectors):
    words = ["THE", "king", "queen", "Of", "<pad>"]
    found = vectors.coverage(words)
    assert (found.total, found.found, found.lowered) == (5, 1, 0)
    assert found.unknown == ["THE", "queen", "Of", "<pad>"]
    found = vectors.coverage(words, lower_backup=True)
    assert (found.found, found.lowered, found.unknown) == (3, 2, ["queen", "<pad>"])


def test_vectors_left_in_their_file_can_become_rows(vectors, tmp_path):
    vectors.save(tmp_path / "v.safetensors")
    mapped = KeyedVectors.load(fname=tmp_path / "v.safetensors", mmap="r")
    np.testing.assert_array_equal(weight_of(mapped.to_embedding(["king", "no"], unknown="mean"))[0], VECTORS[2])


def fasttext_file(path: Path) -> None:
    """A model of two words with n-grams."""
    rows = np.random.default_rng(0).normal(size=(2 + 50, 4)).astype(np.float32)
    model = FastTextModel(
        arguments=FastTextArguments(dim=4, bucket=50, minn=3, maxn=4),
        entries=[b"where", "κόσμε".encode()],
        counts=np.array([2, 1]),
        words=2,
        tokens=3,
        pruned=None,
        input=DenseMatrix(rows),
        output=DenseMatrix(rows[:2]),
        output_is_quantized=False,
    )
    write_model(model, path)


def test_a_fasttext_model_composes_unknown_words_of_their_n_grams(tmp_path):
    fasttext_file(tmp_path / "model.bin")
    known = KeyedVectors.load(tmp_path / "model.bin")
    compose = subword_vectors(tmp_path / "model.bin")
    embedding = known.to_embedding(["where", "whereas", "x"], unknown=compose)
    for word in known.index_to_key:
        np.testing.assert_allclose(compose(word), known[word], rtol=1e-5)
    weight = weight_of(embedding)
    np.testing.assert_array_equal(weight[0], known["where"])
    assert weight[1].any()
    np.testing.assert_array_equal(weight[1], compose("whereas"))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"words": ["king", "knig"], "unknown": "error"},
            UnknownWordError,
            "no vector for 'knig'; similar words: king",
        ),
        ({"words": []}, ValueError, "words: expected at least one, found none"),
        ({"words": ["a", "b", "a"]}, ValueError, "words: expected distinct words, found 'a' more than once"),
        ({"words": {"a": 0, "b": 2}}, ValueError, "expected the ids 0 to 1, each once, found 2 for 'b' where 1"),
        ({"words": {"a": 0, "b": 0}}, ValueError, "expected the ids 0 to 1, each once, found 0 for 'b' where 1"),
        ({"words": "king"}, TypeError, "words: expected several, found the string 'king'"),
        ({"words": [1, 2]}, TypeError, "expected words, as strings, found 1"),
        ({"padding": "<pad>"}, ValueError, "padding: expected one of the words, found '<pad>'"),
        ({"padding": 4}, ValueError, "padding: expected a word or an id of 0 to 3, found 4"),
        ({"padding": -1}, ValueError, "padding: expected a word or an id of 0 to 3, found -1"),
        ({"padding": True}, ValueError, "padding: expected a word or an id of 0 to 3, found True"),
        ({"unknown": "nothing"}, ValueError, "unknown: expected 'zeros', 'mean', .* found 'nothing'"),
        ({"unknown": [1, 2]}, ValueError, r"unknown: expected a vector of shape \[3\], found \[2\]"),
        (
            {"words": ["no"], "unknown": lambda _: [1]},
            ValueError,
            r"unknown\('no'\): expected a vector of shape \[3\], found \[1\]",
        ),
    ],
)
def test_what_makes_no_module_is_refused(arguments, error, message, vectors):
    with pytest.raises(error, match=message):
        vectors.to_embedding(**arguments)
