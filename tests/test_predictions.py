"""Likely centers, likelihoods of sentences and estimates of memory: as slow twins and gensim have them."""

from __future__ import annotations

import tracemalloc
from itertools import repeat
from typing import Any

import numpy as np
import pytest

from pyembed import Word2Vec
from pyembed.models.predictions import estimate_memory, predict_output_word, score

SENTENCES = [list("abcdefgabacad"), list("gfedcbaggfg"), list("bdbdb"), ["z"], list("acegbdf") * 3] * 4
ASKED = [["a", "b"], ["c"], ["a", "a", "nothing", "g"], [0, "b", np.int64(3)], ["d", 5]]
SCORED = [list("abcabdz"), list("gx"), [], ["nothing"], list("abcdefg") * 20, ["z", "z"], list("bnobnocno")]


def model_of(**settings: Any) -> Word2Vec:
    """A model with weights that are larger than training would make them, so that the numbers tell something."""
    settings = {"vector_size": 10, "window": 3, "min_count": 1, "workers": 1, "epochs": 1, **settings}
    model = Word2Vec(SENTENCES, **settings)
    rng = np.random.default_rng(0)
    for table in model.tables.padded:
        table[:, :10] = table.new_tensor(rng.normal(size=(len(table), 10)) / 3)
    model.wv.vectors[:] = model.tables.in_vectors.float().numpy()
    return model


def gensims(model: Word2Vec) -> Any:
    """A model of gensim's with the same words and weights, and the same tree."""
    gensim = pytest.importorskip("gensim.models", reason="gensim is not installed")
    names = ("vector_size", "window", "min_count", "sg", "hs", "negative", "cbow_mean", "epochs")
    theirs = gensim.Word2Vec(SENTENCES, workers=1, **{name: getattr(model, name) for name in names})
    rows = [model.wv.get_index(word) for word in theirs.wv.index_to_key]
    theirs.wv.vectors[:] = model.wv.vectors[rows]
    if model.negative:
        theirs.syn1neg[:] = model.syn1neg[rows]
    if model.hs:
        from pyembed.corpus.huffman import huffman_paths

        paths = huffman_paths(model.vocabulary.counts)
        theirs.syn1[: len(model.syn1)] = model.syn1
        for row, ours in enumerate(rows):
            path = slice(paths.starts[ours], paths.starts[ours + 1])
            theirs.wv.expandos["code"][row] = paths.bits[path].copy()
            theirs.wv.expandos["point"][row] = paths.nodes[path].astype(np.uint32)
    return theirs


@pytest.mark.parametrize("cbow_mean", [0, 1])
@pytest.mark.parametrize("sg", [0, 1])
def test_likely_centers_equal_gensims(sg, cbow_mean):
    model = model_of(sg=sg, cbow_mean=cbow_mean)
    theirs = gensims(model)
    for asked in ASKED:
        in_words = [model.wv.index_to_key[item] if not isinstance(item, str) else item for item in asked]
        for topn in (3, 100):
            found, expected = predict_output_word(model, asked, topn), theirs.predict_output_word(in_words, topn)
            assert [word for word, _ in found] == [word for word, _ in expected]
            np.testing.assert_allclose([p for _, p in found], [p for _, p in expected], rtol=1e-5)
    assert theirs.predict_output_word(["nothing"]) is None
    assert predict_output_word(model, ["nothing"]) is None


def test_probabilities_are_those_of_all_words_however_large_the_weights():
    model = model_of()
    model.syn1neg[:] *= 1e4
    found = predict_output_word(model, ["a", "b"], topn=None)
    assert len(found) == len(model.wv)
    assert sum(probability for _, probability in found) == pytest.approx(1)
    assert predict_output_word(model, ["a"], topn=0) == predict_output_word(model, ["a"], topn=-1) == []


def test_one_word_is_a_word_and_no_list_of_letters():
    model = model_of(min_count=1)
    assert predict_output_word(model, "a") == predict_output_word(model, ["a"])
    assert predict_output_word(model, "ab") is None


def slow_score(model: Word2Vec, sentence: list[str]) -> float:
    """Pair by pair, node by node, as the specification says it."""
    import torch

    from pyembed.reference import huffman_tree

    tree = huffman_tree(torch.from_numpy(model.vocabulary.counts))
    ids = [model.wv.get_index(word) for word in sentence if word in model.wv]
    total = 0.0
    for center, word in enumerate(ids):
        contexts = [
            model.wv.vectors[ids[place]].astype(np.float64)
            for place in range(max(0, center - model.window), min(len(ids), center + model.window + 1))
            if place != center
        ]
        if not contexts:
            continue
        hidden = contexts if model.sg else [sum(contexts) / (len(contexts) if model.cbow_mean else 1)]
        for step in range(int(tree.path_starts[word]), int(tree.path_starts[word + 1])):
            sign = 1 - 2 * int(tree.path_bits[step])
            for vector in hidden:
                dot = vector @ model.syn1[int(tree.path_nodes[step])].astype(np.float64)
                total -= np.log1p(np.exp(-sign * dot))
    return total


@pytest.mark.parametrize(("sg", "cbow_mean"), [(1, 1), (0, 1), (0, 0)])
def test_likelihoods_equal_a_slow_twins(sg, cbow_mean):
    model = model_of(sg=sg, cbow_mean=cbow_mean, hs=1, negative=0)
    found = score(model, iter(SCORED))
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, [slow_score(model, sentence) for sentence in SCORED], rtol=1e-5, atol=1e-6)


def gensims_log_sigmoid(scores: np.ndarray) -> np.ndarray:
    """From a table of 1,000 values over [-6, 6], read at whole numbers of 83rds."""
    nearest = np.floor((scores + 6) * 83) / 1000 * 12 - 6
    return np.where(np.abs(scores) < 6, -np.log1p(np.exp(-nearest)), 0)


@pytest.mark.parametrize(("sg", "cbow_mean"), [(1, 1), (0, 1), (0, 0)])
def test_likelihoods_equal_gensims_but_for_its_table_of_logarithms(sg, cbow_mean, monkeypatch):
    model = model_of(sg=sg, cbow_mean=cbow_mean, hs=1, negative=0)
    theirs = gensims(model)
    # gensim counts log(1/2) for each node of a lone CBOW center, which has no context to be likely in.
    sentences = [sentence for sentence in SCORED if sum(word in model.wv for word in sentence) != 1]
    expected = theirs.score(sentences, total_sentences=len(sentences))
    np.testing.assert_allclose(score(model, sentences), expected, rtol=0.05)
    monkeypatch.setattr("pyembed.models.predictions._log_sigmoid", gensims_log_sigmoid)
    np.testing.assert_allclose(score(model, sentences), expected, rtol=1e-4)


def test_all_sentences_are_scored_unless_a_limit_is_given():
    model = model_of(hs=1)
    np.testing.assert_array_equal(score(model, SCORED, 2), score(model, SCORED)[:2])
    assert len(model.score(repeat([], 1_000_001))) == 1_000_001
    with pytest.raises(TypeError, match="sentence 1: expected a list of words"):
        score(model, [["a"], "a b"])


def test_the_unable_say_why():
    empty = Word2Vec(hs=1)
    for call in (predict_output_word, score):
        with pytest.raises(RuntimeError, match="with a vocabulary"):
            call(empty, [["a"]])
    with pytest.raises(RuntimeError, match="with negative sampling, found negative = 0"):
        predict_output_word(model_of(hs=1, negative=0), ["a"])
    with pytest.raises(RuntimeError, match=r"hierarchical softmax \(hs=1\)"):
        score(model_of(), [["a"]])


@pytest.mark.parametrize(
    "settings", [{}, {"hs": 1, "negative": 0}, {"hs": 1, "table_dtype": "bfloat16", "vector_size": 33}]
)
def test_tables_take_what_was_estimated(settings):
    model = Word2Vec(SENTENCES, min_count=1, epochs=1, **settings)
    parts = estimate_memory(model)
    assert parts["vectors"] == model.tables.in_padded.nbytes
    assert parts["vectors"] + parts.get("syn1", 0) + parts.get("syn1neg", 0) == model.tables.nbytes
    assert ("syn1" in parts, "syn1neg" in parts) == (model.hs == 1, model.negative > 0)
    assert parts["total"] == sum(parts.values()) - parts["total"]
    assert estimate_memory(Word2Vec(**settings), vocab_size=len(model.wv)) == parts
    assert estimate_memory(model, report={"more": 7})["total"] == parts["total"] + 7


def test_a_vocabulary_takes_about_what_was_estimated():
    model = Word2Vec(vector_size=1, min_count=1)
    tracemalloc.start()
    model.build_vocab_from_freq({f"word{number:04}": 5 for number in range(30_000)})
    assert model.vocabulary.word_to_id  # as soon as a text is encoded
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert estimate_memory(model)["vocab"] == pytest.approx(taken, rel=0.25)
